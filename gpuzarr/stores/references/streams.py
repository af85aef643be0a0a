"""An object of a store as a file that is read and sought in, for libraries that want one."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import ChangedError, StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.ranges import MISSING, Ranges

BLOCK_BYTES, MAX_BLOCKS = 1 << 20, 32


class Stream:
    """An object, read in blocks of which the last used are kept. StoreError where it is missing."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key, self._at = store, key, 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        with store.open([key]) as objects:
            (self._length,) = objects.lengths()
        if self._length == MISSING:
            raise StoreError(f"there is no file at {key!r} of {store!r}")

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._length if size is None or size < 0 else min(self._at + size, self._length)
        parts = []
        while self._at < end:
            number, skip = divmod(self._at, BLOCK_BYTES)
            parts.append(self._block(number)[skip : skip + end - self._at])
            self._at += len(parts[-1])
        return b"".join(parts)

    def readinto(self, into: Any) -> int:
        view = memoryview(into).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._blocks.clear()

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        block = self._blocks[number] = self._fetched(number * BLOCK_BYTES)
        if len(self._blocks) > MAX_BLOCKS:
            self._blocks.popitem(last=False)
        return block

    def _fetched(self, offset: int) -> bytes:
        return fetched(self._store, self._key, offset, min(BLOCK_BYTES, self._length - offset))


def fetched(store: Store, key: str, offset: int, size: int, version: Any = None) -> bytes:
    """A range of an object. StoreError where it is not there, or the object is not of the `version` that is known."""
    if size == 0:
        return b""
    ranges = Ranges([key], np.zeros(1, np.int64), np.array([offset]), np.array([size]))
    with store.open([key]) as objects:
        is_other = version is not None and list(objects.versions([version])) != [version]
        requests = objects.requests(ranges)
        into = EncodedBatch(np.zeros(int(requests.sizes.sum()), np.uint8), np.zeros(1, np.int64), requests.sizes)
        found = objects.read(requests, into)
        if is_other or objects.changed():
            raise ChangedError(f"{key!r} of {store!r} changed since it was opened: open it again")
        if found.sizes[0] < max(size, 0):
            raise StoreError(f"there is no file at {key!r} of {store!r}, or it is too short")
    return found[0].tobytes()
