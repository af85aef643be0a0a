"""Any Mapping from keys to bytes: a dict, an open zip or LMDB wrapped as one, another library's mapper."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import StoreError
from gpuzarr.stores.coalesce import segments, used
from gpuzarr.stores.contract import MISSING, Ranges


class _Lock:
    """Of all mappings: a mapping belongs to one process, and its locks are held shortly.

    A forked child has one of its own: another thread may hold its parent's.
    """

    def __init__(self) -> None:
        self.begin()
        os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        self.held = threading.RLock()


_LOCK = _Lock()


@dataclass(frozen=True, eq=False)
class MappingStore:
    """Keys and values of `mapping`, which is not copied. Values: bytes, bytearray, memoryview or a NumPy array.

    Pickling pickles the mapping. Many threads read it at once if it can be read so.
    """

    mapping: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"MappingStore({type(self.mapping).__name__} at {id(self.mapping):#x})"

    def get(self, key: str) -> bytes | None:
        value = self._value(key)
        return None if value is None else value.tobytes()

    def version(self, key: str) -> None:
        """A mapping cannot tell."""
        return None

    def size(self, key: str) -> int | None:
        """Of a dict: other mappings may have to fetch the value."""
        if not isinstance(self.mapping, dict):
            return None
        value = self._value(key)
        return MISSING if value is None else len(value)

    def names(self, prefix: str) -> list[str]:
        start = f"{prefix}/" if prefix else ""
        keys = [key for key in self.mapping if isinstance(key, str) and key.startswith(start)]
        return sorted({key[len(start) :].partition("/")[0] for key in keys} - {""})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = f"{prefix}/" if prefix else ""
        for key in [key for key in self.mapping if isinstance(key, str) and key.startswith(start)]:
            yield key, len(self._value(key) or b"")

    def read(self, ranges: Ranges, place: Callable[[np.ndarray], EncodedBatch], threads: int = 1) -> EncodedBatch:
        keys, objects = used(ranges)
        values = [self._value(key) for key in keys]
        lengths = [MISSING if value is None else len(value) for value in values]
        plan = segments(self, ranges, keys, objects, lengths, gap=0, most=1 << 24)
        encoded = place(plan.sizes)
        into = memoryview(encoded.data if encoded.host is None else encoded.host)
        rows = zip(*(a.tolist() for a in (plan.objects, encoded.starts, plan.offsets, plan.sizes)), strict=True)
        for number, start, offset, size in rows:
            value = values[number]
            if value is not None:
                into[start : start + size] = value[offset : offset + size]
        return plan.ranges(encoded)

    def set(self, key: str, data: Any) -> None:
        with self._writing(key) as mapping:
            mapping[key] = bytes(data)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        for i, key in enumerate(keys):
            self.set(key, encoded.on_host(i))

    def create(self, key: str) -> MappingSink:
        self._writable(key)
        return MappingSink(self, key, bytearray())

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            with self._writing(key) as mapping:
                mapping.pop(key, None)

    def delete_prefix(self, prefix: str) -> None:
        start = f"{prefix}/" if prefix else ""
        self.delete([key for key in self.mapping if isinstance(key, str) and (key.startswith(start) or key == prefix)])

    @contextmanager
    def locked(self, keys: Sequence[str]) -> Iterator[None]:
        with _LOCK.held:
            yield

    @contextmanager
    def _writing(self, key: str) -> Iterator[MutableMapping[str, Any]]:
        """The mapping; what a disk or a network behind it refuses inside is a StoreError that names the key."""
        mapping = self._writable(key)
        try:
            yield mapping
        except StoreError:
            raise
        except OSError as error:
            problem = StoreError(f"cannot write {key!r} of {self!r}: {error}")
            problem.errno = error.errno
            raise problem from error

    def _writable(self, key: str) -> MutableMapping[str, Any]:
        if not isinstance(self.mapping, MutableMapping):
            raise StoreError(f"cannot write {key!r} of {self!r}: a {type(self.mapping).__name__} cannot be changed")
        return self.mapping

    def _value(self, key: str) -> memoryview | None:
        try:
            value = self.mapping[key]
        except KeyError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {key!r} of {self!r}: {error}") from error
        try:
            if isinstance(value, np.ndarray):
                value = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            return memoryview(value).cast("B")
        except (TypeError, ValueError) as error:
            raise StoreError(f"the value of {key!r} of {self!r} is {type(value).__name__}, not bytes") from error


@dataclass(frozen=True)
class MappingSink:
    """A value of a mapping that is being put together."""

    store: MappingStore
    key: str
    data: bytearray

    def write(self, data: Any, offset: int) -> None:
        data = memoryview(data)
        self.data.extend(bytes(max(0, offset + len(data) - len(self.data))))
        self.data[offset : offset + len(data)] = data

    def commit(self) -> None:
        self.store.set(self.key, bytes(self.data))

    def abort(self) -> None:
        self.data.clear()
