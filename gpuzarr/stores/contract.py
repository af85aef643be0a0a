"""Where keys and bytes live. The contract is small: read many ranges at once, get one small object, list names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import EncodedBatch

MISSING = -1


Read = tuple[int, int, int, int, int]  # number of an object, offset and bytes of a range; offset there and bytes wanted


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

    def take(self, which: np.ndarray) -> Ranges:
        """Some of the ranges; the keys stay."""
        return Ranges(self.keys, self.objects[which], self.offsets[which], self.sizes[which])

    @classmethod
    def whole(cls, keys: Sequence[str]) -> Ranges:
        """The ranges that are whole objects."""
        n = len(keys)
        return cls(keys, *(_ONE if n == 1 else _all(n)))


def _all(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, offsets and sizes of the ranges that are `n` whole objects."""
    return np.arange(n), np.zeros(n, np.int64), np.full(n, -1, np.int64)


_ONE = _all(1)  # what is asked for most
for _array in _ONE:
    _array.flags.writeable = False


@dataclass(frozen=True)
class Requests:
    """Reads that fetch some ranges: request j is `sizes[j]` bytes at `offsets[j]` of object `objects[j]`.

    It has 0 bytes where the object is missing. `wanted`: the size of each range, MISSING where its object is. Range i
    lies `skip[i]` bytes into request `within[i]`; both are None where request i is range i.
    """

    objects: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    wanted: np.ndarray
    within: np.ndarray | None = None
    skip: np.ndarray | None = None

    def ranges(self, encoded: EncodedBatch) -> EncodedBatch:
        """The ranges, in the encoded batch that the requests were read into."""
        if self.within is not None:
            return EncodedBatch(encoded.data, encoded.starts[self.within] + self.skip, self.wanted, encoded.host)
        return (
            encoded
            if self.wanted is self.sizes
            else EncodedBatch(encoded.data, encoded.starts, self.wanted, encoded.host)
        )


class Sink(Protocol):
    """A new object that nobody sees until `commit`; after `abort` nothing of it is left. StoreError where it cannot."""

    def write(self, data: Any, offset: int) -> None:
        """Put bytes (a 1-d uint8 array of the host, or bytes) at `offset`."""
        ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


class Objects(Protocol):
    """Some objects of a store, opened to be read together: `with store.open(keys) as objects`.

    Object i is the one at `keys[i]`. What is read of an object within one `with` is of one version of it, or `changed`
    tells. Opening makes no request to a remote store: it learns lengths and versions from the answers to reads.
    Methods may be called by several threads at once. StoreError, naming the key, where an object cannot be read.
    """

    keys: Sequence[str]

    def __enter__(self) -> Objects: ...

    def __exit__(self, *exception: object) -> None: ...

    def lengths(self) -> Sequence[int]:
        """Bytes of each object, MISSING where there is none. A store that cannot ask for lengths fetches the objects,
        and gives them to the reads that follow."""
        ...

    def versions(self, known: Sequence[Any]) -> Sequence[Any]:
        """Version of each object, compared with `==`: another one when the object is. None where the store cannot tell.

        `known` are the versions that the caller has met before (None: not met). A store that has not heard of an
        object yet gives back the known one, and `changed` compares it with the answers.
        """
        ...

    def changed(self) -> bool:
        """Tell if an object is no longer of the version that `versions` gave: then what was read means nothing."""
        ...

    def requests(self, ranges: Ranges) -> Requests:
        """Plan the reads for all ranges, whose `objects` count `keys`; neighbours of one object are joined.

        RangeError, with the number of the range, for one that reaches beyond its object.
        """
        ...

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        """Make all reads, as many as possible at once, into host memory: request i into chunk i of `into`.

        Returned are the ranges, in that memory; a range whose object does not exist has the size MISSING.
        """
        ...

    def reader(self, reads: Sequence[Read]) -> Callable[[int, memoryview], None]:
        """Get ready for single reads, made one at a time by any thread.

        The function that is returned, `fill(i, into)`, makes read i into memory of as many bytes. A remote store sends
        all requests at once, and `fill` waits for the answer. RangeError, with the number of the read, for one whose
        range reaches beyond its object.
        """
        ...


class Store(Protocol):
    """A store is picklable, has a `repr` that names it, and may be used by many threads at once.

    What writes, an object at a time, leaves the old object or the new one, whatever happens meanwhile. StoreError,
    naming the key, where the store cannot be written.
    """

    @property
    def has_cheap_lengths(self) -> bool:
        """Whether `Objects.lengths` reads no object."""
        ...

    def get(self, key: str) -> bytes | None:
        """One small object, whole; None where there is none."""
        ...

    def open(self, keys: Sequence[str], threads: int = 1) -> Objects:
        """Open some objects, on at most so many threads, which also serve `Objects.read`."""
        ...

    def why_not_to_device(self) -> str | None:
        """Tell why objects cannot be read straight into the memory of a GPU; None where they can (`ReadsToDevice`)."""
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


class ReadsToDevice(Protocol):
    """Objects of a store whose `why_not_to_device` is None."""

    def read_to_device(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        """Make all reads, as `Objects.read`, into memory of a GPU that nothing uses any more."""
        ...
