"""An object of a store as a file that is read and sought in, for libraries that want one."""

from __future__ import annotations

import os
from collections import OrderedDict
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import ChangedError, GpuZarrError, StoreError
from gpuzarr.interrupts import within
from gpuzarr.stores.contract import Objects, Store, concurrency
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.ranges import MISSING, Ranges
from gpuzarr.stores.versions import looked_for

FAR_BLOCK_BYTES, NEAR_BLOCK_BYTES = 1 << 20, 1 << 14  # of a store where requests take long, and of others
MAX_KEPT_BYTES = 1 << 25


class Blocks:
    """Blocks of `nbytes` bytes of an object, all of one version, of which those fetched last are kept.

    `version`: that it must have; None: any, which is then the attribute `version`. StoreError where the object is
    missing, ChangedError where it is of another version, now or later.
    """

    def __init__(self, store: Store, key: str, version: Any = None) -> None:
        self.store, self.key = store, key
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.length, self.version = within(store.open([key]), _length_and_version)
        if self.length == MISSING:
            raise StoreError(f"there is no file at {key!r} of {store!r}")
        if version not in (None, self.version):
            raise _changed(store, key)
        self.nbytes = FAR_BLOCK_BYTES if concurrency(store) > 1 else NEAR_BLOCK_BYTES

    def block(self, number: int) -> bytes:
        """A block by its number."""
        if (block := self._blocks.get(number)) is None:
            offset = number * self.nbytes
            block = fetched(self.store, self.key, offset, min(self.nbytes, self.length - offset), self.version)
            self._blocks[number] = block
            if len(self._blocks) * self.nbytes > MAX_KEPT_BYTES:
                self._blocks.popitem(last=False)
        return block

    def check(self) -> None:
        """ChangedError where another file has taken the place of one of this machine, of which no blocks were read."""
        if isinstance(self.store, LocalStore) and list(self.store.versions([self.key])) != [self.version]:
            raise _changed(self.store, self.key)

    def clear(self) -> None:
        """Keep none of them any more."""
        self._blocks.clear()


class Stream:
    """A file of such blocks. `error`: what reading raised, as libraries pass over that."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks, self._at = blocks, 0
        self.error: GpuZarrError | None = None

    @classmethod
    def of(cls, store: Store, key: str) -> Stream:
        return cls(Blocks(store, key))

    @property
    def name(self) -> str:
        """The file in messages."""
        return f"{self._blocks.key!r} of {self._blocks.store!r}"

    def __len__(self) -> int:
        return int(self._blocks.length)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self)}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = len(self) if size is None or size < 0 else min(self._at + size, len(self))
        parts = []
        try:
            while self._at < end:
                number, skip = divmod(self._at, self._blocks.nbytes)
                parts.append(self._blocks.block(number)[skip : skip + end - self._at])
                self._at += len(parts[-1])
        except GpuZarrError as error:
            self.error = error
            raise
        return b"".join(parts)

    def readinto(self, into: Any) -> int:
        view = memoryview(into).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def fetched(store: Store, key: str, offset: int, size: int, version: Any = None) -> bytes:
    """A range of an object. StoreError where it is not there, ChangedError where the object has another `version`."""
    if size == 0:
        return b""
    return within(store.open([key]), partial(_fetched, store, key, offset, size, version))


def _fetched(store: Store, key: str, offset: int, size: int, version: Any, objects: Objects) -> bytes:
    if version is not None and list(objects.versions([version])) != [version]:
        raise _changed(store, key)
    ranges = Ranges([key], np.zeros(1, np.int64), np.array([offset]), np.array([size]))
    requests = objects.requests(ranges)
    into = EncodedBatch(np.zeros(int(requests.sizes.sum()), np.uint8), np.zeros(1, np.int64), requests.sizes)
    found = objects.read(requests, into)
    if objects.changed():
        raise _changed(store, key)
    if found.sizes[0] < max(size, 0):
        raise StoreError(f"there is no file at {key!r} of {store!r}, or it is too short")
    return found[0].tobytes()


def _length_and_version(objects: Objects) -> tuple[int, Any]:
    """Those of the only object. A store far away is asked for the version first, and told the length by that."""
    (version,) = looked_for(objects, [0], [None])
    (length,) = objects.lengths()
    return int(length), version


def _changed(store: Store, key: str) -> ChangedError:
    return ChangedError(f"{key!r} of {store!r} is another file than the one that was opened: open it again")
