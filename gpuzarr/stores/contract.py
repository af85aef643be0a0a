"""Where keys and bytes live. The contract is small: read many ranges at once, get one small object, list names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import EncodedBatch

MISSING = -1


@dataclass(frozen=True)
class Ranges:
    """Many byte ranges: range i is `sizes[i]` bytes at `offsets[i]` of the object `keys[objects[i]]`.

    A size of -1 means to the end of the object; a negative offset counts from its end.
    """

    keys: Sequence[str]
    objects: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def whole(cls, keys: Sequence[str]) -> Ranges:
        n = len(keys)
        return cls(keys, *(_ONE if n == 1 else _all(n)))


def _all(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, offsets and sizes of the ranges that are `n` whole objects."""
    return np.arange(n), np.zeros(n, np.int64), np.full(n, -1, np.int64)


_ONE = _all(1)  # what is asked for most
for _array in _ONE:
    _array.flags.writeable = False


class Sink(Protocol):
    """A new object that nobody sees until `commit`; after `abort` nothing of it is left. StoreError where it cannot."""

    def write(self, data: Any, offset: int) -> None:
        """Put bytes (a 1-d uint8 array of the host, or bytes) at `offset`."""
        ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


class Store(Protocol):
    """A store is picklable, has a `repr` that names it, and may be used by many threads at once.

    What writes, an object at a time, leaves the old object or the new one, whatever happens meanwhile. StoreError,
    naming the key, where the store cannot be written.
    """

    def get(self, key: str) -> bytes | None:
        """One small object, whole; None where there is none."""
        ...

    def read(self, ranges: Ranges, place: Callable[[np.ndarray], EncodedBatch], threads: int = 1) -> EncodedBatch:
        """Read all ranges into host memory, on at most so many threads.

        Ranges of one object that lie close together may be read as one segment; else each range is a segment.
        `place(sizes)` is called once, with the size of each segment (0 for what is missing), and says where they
        go. The encoded batch that is returned has each range in there: if nothing was joined, segment i is range i and
        its `data` and `starts` are what `place` gave. It has MISSING (-1) as the size of a range whose object
        does not exist.
        A range that reaches beyond its object gives StoreError.
        """
        ...

    def version(self, key: str) -> Any:
        """What is another one when the object is: compared with `==`. None where the store cannot tell."""
        ...

    def size(self, key: str) -> int | None:
        """Bytes of an object, MISSING if it is not there; None where only reading tells. A store need not have it."""
        ...

    def names(self, prefix: str) -> list[str]:
        """The names of files and folders directly under `prefix` ("" or a path without a slash at its end), sorted."""
        ...

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes of each object under `prefix` ("" or a path without a slash at its end)."""
        ...

    def set(self, key: str, data: Any) -> None:
        """Write one object: bytes, or a 1-d uint8 array or memoryview of the host."""
        ...

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        """Write objects: key i gets chunk i of the encoded batch, which is in host memory."""
        ...

    def create(self, key: str) -> Sink:
        """An object that is written piece by piece."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is not there is no error."""
        ...

    def delete_prefix(self, prefix: str) -> None:
        """Delete all objects under `prefix` ("" or a path without a slash at its end)."""
        ...

    def locked(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        """Hold the locks of these keys: nobody else who asks for one of them has it meanwhile."""
        ...
