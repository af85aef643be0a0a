"""A complete store, over a dict: everything that `gpuzarr.stores.contract` asks for. Copy it to begin another one.

It passes the laws of stores (`tests/stores/test_laws.py` has a row for each store).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

from gpuzarr.batch import EncodedBatch
from gpuzarr.per_process import PerProcess
from gpuzarr.stores.guards import Guard
from gpuzarr.stores.keys import check, check_prefix
from gpuzarr.stores.ranges import MISSING, Ranges, Read, Requests, beyond, requests

_LOCK = PerProcess(threading.RLock)  # locks cannot be pickled, and a forked child must not wait for its parent's
_WRITING = PerProcess(threading.Lock)  # another one: threads write for who holds the locks of objects
_NUMBERS = count(1)


@dataclass(frozen=True)
class OwnStore:
    """Objects in memory, each with the number of its version."""

    values: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    has_cheap_lengths = True
    guard: ClassVar[Guard] = "versions"

    def __repr__(self) -> str:
        return f"OwnStore at {id(self.values):#x}"

    def get(self, key: str) -> bytes | None:
        check(self, [key])
        return self.values.get(key, (0, None))[1]

    def open(self, keys: Sequence[str], threads: int = 1) -> OwnObjects:
        check(self, keys)
        return OwnObjects(self, keys, [self.values.get(key) for key in keys])

    def why_not_to_device(self) -> str:
        return f"{self!r} is memory of the host"

    def names(self, prefix: str) -> list[str]:
        check_prefix(self, prefix)
        start = f"{prefix}/" if prefix else ""
        return sorted({key.removeprefix(start).split("/")[0] for key in list(self.values) if key.startswith(start)})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        check_prefix(self, prefix)
        start = f"{prefix}/" if prefix else ""
        return iter([(key, len(data)) for key, (_, data) in list(self.values.items()) if key.startswith(start)])

    def set(self, key: str, data: Any) -> None:
        check(self, [key])
        with _WRITING.value:
            self.values[key] = next(_NUMBERS), bytes(data)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        for i, key in enumerate(keys):
            self.set(key, encoded.on_host(i))

    def write_if_unchanged(self, keys: Sequence[str], encoded: EncodedBatch, versions: Sequence[Any]) -> list[int]:
        return [i for i, key in enumerate(keys) if not self.set_if_unchanged(key, encoded.on_host(i), versions[i])]

    def set_if_unchanged(self, key: str, data: Any, version: Any) -> bool:
        with _WRITING.value:
            if is_unchanged := self.values.get(key, (MISSING,))[0] == version:
                self.values[key] = next(_NUMBERS), bytes(data)
        return is_unchanged

    def create(self, key: str) -> OwnSink:
        check(self, [key])
        return OwnSink(self, key)

    def delete(self, keys: Sequence[str]) -> None:
        check(self, keys)
        with _WRITING.value:
            for key in keys:
                self.values.pop(key, None)

    def delete_prefix(self, prefix: str) -> None:
        self.delete([*([prefix] if prefix else []), *[key for key, _ in self.objects(prefix)]])

    @contextmanager
    def locked(self, keys: Sequence[str]) -> Iterator[None]:
        check(self, keys)
        with _LOCK.value:
            yield


@dataclass(frozen=True)
class OwnObjects:
    """Objects as they were when they were opened, so none of them changes."""

    store: OwnStore
    keys: Sequence[str]
    values: list[tuple[int, bytes] | None]

    def __enter__(self) -> OwnObjects:
        return self

    def __exit__(self, *exception: object) -> None:
        self.values.clear()

    def lengths(self) -> list[int]:
        return [MISSING if value is None else len(value[1]) for value in self.values]

    def versions(self, known: Sequence[Any]) -> list[int]:
        return [MISSING if value is None else value[0] for value in self.values]

    def changed(self) -> bool:
        return False

    def requests(self, ranges: Ranges) -> Requests:
        return requests(self.store, ranges, self.lengths(), gap=0, max_bytes=1 << 24)  # joins neighbours without a gap

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        target = memoryview(into.data if into.host is None else into.host)
        columns = requests.objects, into.starts, requests.offsets, requests.sizes
        for number, start, offset, size in zip(*[column.tolist() for column in columns], strict=True):
            target[start : start + size] = self._part(number, offset, size)
        return requests.ranges(into)

    def reader(self, reads: Sequence[Read]) -> Callable[[int, memoryview], None]:
        lengths = self.lengths()
        for i, (number, offset, size, _, _) in enumerate(reads):
            if offset + size > lengths[number]:
                raise beyond(self.store, self.keys[number], lengths[number], size, offset, i)

        def fill(i: int, into: memoryview) -> None:
            number, offset, _, skip, size = reads[i]
            into[:] = self._part(number, offset + skip, size)

        return fill

    def _part(self, number: int, offset: int, size: int) -> bytes:
        value = self.values[number]
        return b"" if value is None else value[1][offset : offset + size]


@dataclass(frozen=True)
class OwnSink:
    """An object in pieces, put together when it is complete."""

    store: OwnStore
    key: str
    pieces: dict[int, bytes] = field(default_factory=dict)

    def write(self, data: Any, offset: int) -> None:
        self.pieces[offset] = bytes(data)

    def commit(self) -> None:
        self.store.set(self.key, self._data())

    def commit_if_unchanged(self, version: Any) -> bool:
        return self.store.set_if_unchanged(self.key, self._data(), version)

    def cut(self, nbytes: int) -> None:
        for offset in [offset for offset in self.pieces if offset >= nbytes]:
            del self.pieces[offset]

    def _data(self) -> bytes:
        return b"".join(self.pieces[offset] for offset in sorted(self.pieces))

    def abort(self) -> None:
        self.pieces.clear()
