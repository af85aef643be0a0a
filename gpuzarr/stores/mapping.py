"""Store over a Mapping from keys to bytes: a dict, a zip or LMDB wrapped as one, another library's mapper."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.checks import shown
from gpuzarr.errors import ReadOnlyError, StoreError, StoreKindError, as_store_error
from gpuzarr.stores import handles, memory, read_only
from gpuzarr.stores.contract import Fill
from gpuzarr.stores.guards import Guard
from gpuzarr.stores.hidden import hidden, is_hidden, rebased
from gpuzarr.stores.key_locks import LOCKS, Locked
from gpuzarr.stores.keys import check, check_prefix, only_keys, start_of
from gpuzarr.stores.memory import Below, Buffers, bytes_of, place, with_buffers
from gpuzarr.stores.ranges import MISSING, Ranges, Read, Requests, beyond, requests
from gpuzarr.stores.sink import BufferedSink
from gpuzarr.stores.spread import each
from gpuzarr.stores.traffic import Traffic

MAX_REQUEST_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class MappingStore:
    """A mapping from keys to bytes as a store; `gpuzarr.storage.MemoryStore` is this class, too.

    Pickling pickles the mapping. What came out of a pickle of a dict is a copy of what is in the memory of a process:
    it can only be read, as what another process writes to it would be lost. Reads of several threads of the caller, and
    reads ahead, reach the mapping from these threads. If it has a method `getsize(key)`, sizes are asked of that, and
    values are not fetched for them.

    Parameters
    ----------
    mapping
        Holds the objects, and is not copied; default: a new dict. Values are bytes, bytearray, memoryview or NumPy
        arrays. In a dict that has buffers of zarr-python, new values are such buffers, too.
    read_only
        True: nothing is written to it.
    store_dict
        zarr-python's name of `mapping`.
    concurrency
        Values that threads get at once; more than 1 pays for a mapping of what is far away, and needs one that allows
        it. Default: 1, as nothing tells which mappings do.

    Examples
    --------
    >>> store = gpuzarr.storage.MemoryStore()
    >>> gpuzarr.save(store, np.arange(3))
    >>> sorted(store.mapping)
    ['c/0', 'zarr.json']
    """

    mapping: Mapping[str, Any] = field(default_factory=dict)
    read_only: bool = False
    store_dict: InitVar[Mapping[str, Any] | None] = None
    concurrency: int = 1
    copied_from: int | None = field(default=None, init=False)  # the process that pickled the mapping

    def __post_init__(self, store_dict: Mapping[str, Any] | None) -> None:
        given: Any = self.mapping if store_dict is None else store_dict
        if not isinstance(given, Mapping | None):
            raise StoreKindError(f"a store in memory has a mapping from keys to bytes, not {shown(given)}")
        object.__setattr__(self, "mapping", {} if given is None else with_buffers(given))

    close, __enter__, __exit__, with_read_only = handles.close, handles.enter, handles.leave, handles.with_read_only

    def __reduce__(self) -> tuple[Any, ...]:
        if self.copied_from is None and (self.read_only or not memory.is_of_this_process(self.mapping)):
            return MappingStore, (self.mapping, self.read_only, None, self.concurrency)
        return _copied, (self.mapping, self.concurrency, self.copied_from or os.getpid())

    def __deepcopy__(self, memo: dict[int, Any]) -> MappingStore:
        return replace(self, mapping=deepcopy(self.mapping, memo))

    def __repr__(self) -> str:
        return f"MappingStore({memory.shown(self.mapping)})"

    def get(self, key: str) -> bytes | None:
        check(self, [key])
        value = self.value(key)
        return None if value is None else value.tobytes()

    def open(self, keys: Sequence[str], threads: int = 1) -> MappingObjects:
        check(self, keys)
        return MappingObjects(self, keys)

    def why_not_to_device(self) -> str:
        return f"{self!r} is not a folder of files"

    def why_read_only(self, keys: Sequence[str]) -> str | None:
        if self.copied_from is not None:
            where = f"process {self.copied_from}, which would not have what is written here"
            return f"it is a copy, by pickle, of what is in the memory of {where}"
        return "it was given with read_only=True" if self.read_only else read_only.why_read_only(self.mapping)

    @property
    def has_cheap_lengths(self) -> bool:
        """True for a dict. Other mappings may have to fetch values to know their lengths."""
        return isinstance(self.mapping, dict | Below | Buffers)

    @property
    def guard(self) -> Guard:
        """What others may have, too, has locks between threads alone; a dict is of this process."""
        return "alone" if memory.is_of_this_process(self.mapping) else "threads"

    def names(self, prefix: str) -> list[str]:
        below, start = self._below(prefix), len(start_of(prefix))
        found = {key[start:].partition("/")[0] for key in below}
        return sorted(name for name in found if not hidden(name))

    def listing(self, prefix: str) -> Callable[[str], list[str]]:
        found: dict[str, set[str]] = {}
        for key in self._below(prefix):
            folder, _, name = key.rpartition("/")
            while name not in (names := found.setdefault(folder, set())):  # else the folders around it are known
                names.add(name)
                if len(folder) <= len(prefix):
                    break
                folder, _, name = folder.rpartition("/")
        return lambda path: sorted(name for name in found.get(path, ()) if not hidden(name))

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        return ((key, self._size(key)) for key in self.keys(prefix))

    def keys(self, prefix: str) -> list[str]:
        below, start = self._below(prefix), len(start_of(prefix))
        return [key for key in below if not is_hidden(key[start:])]

    def _size(self, key: str) -> int:
        """Bytes of an object that is there; asked of the mapping if it has a method for that."""
        mapping = self.mapping
        while isinstance(mapping, Below | Buffers):
            key, mapping = (mapping.prefix + key if isinstance(mapping, Below) else key), mapping.inner
        size = getattr(mapping, "getsize", lambda key: None)(key)
        return size if isinstance(size, int) and size >= 0 else len(MappingStore(mapping).value(key) or b"")

    def _below(self, prefix: str) -> list[str]:
        """The keys below a prefix, in one step for a dict. Counting a mapping beforehand may need all of its keys."""
        check_prefix(self, prefix)
        start = start_of(prefix)
        return only_keys(key for key in list(iter(self.mapping)) if isinstance(key, str) and key.startswith(start))

    def set(self, key: str, data: Any) -> None:
        check(self, [key])
        with self._writing(key) as mapping:
            mapping[key] = bytes(data)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        for i, key in enumerate(keys):
            self.set(key, encoded.on_host(i))

    def create(self, key: str) -> BufferedSink:
        check(self, [key])
        self._writable(key)
        return BufferedSink(self, key)

    def delete(self, keys: Sequence[str]) -> None:
        check(self, keys)
        self._delete(keys)

    def _delete(self, keys: Iterable[str]) -> None:
        """Delete whatever has these keys, also what is no object."""
        for key in keys:
            with self._writing(key) as mapping:
                mapping.pop(key, None)

    def delete_prefix(self, prefix: str) -> None:
        check_prefix(self, prefix)
        start = start_of(prefix)
        self._delete(key for key in list(iter(self.mapping)) if key == prefix or str(key).startswith(start))

    def _at(self, prefix: str) -> list[str]:
        """The keys at a prefix and below it."""
        return [*self._below(prefix), *([prefix] if prefix and prefix in self.mapping else [])]

    def holds(self, prefix: str) -> bool:
        return any(prefix or not is_hidden(key) for key in self._at(prefix))

    def move(self, source: str, target: str, order: Callable[[Iterable[str]], list[str]]) -> None:
        """See `Moves`. No value is lost where the mapping takes no more: it is deleted when its copy is there."""
        keys = order(key for key in self._at(source) if source or not is_hidden(key))
        with self._writing(source or target) as mapping:
            for key in keys:
                mapping[rebased(key, source, target)] = mapping[key]
                del mapping[key]

    def locked(self, keys: Sequence[str]) -> Locked:
        check(self, keys)
        return Locked(LOCKS.value.of(place(self.mapping, key) for key in sorted(set(keys))))

    @contextmanager
    def _writing(self, key: str) -> Iterator[MutableMapping[str, Any]]:
        """Context with the mapping to write to, in which OSError becomes StoreError, naming the key."""
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
        """The mapping. ReadOnlyError, naming the key, if it cannot be changed."""
        if self.read_only or not isinstance(self.mapping, MutableMapping):
            raise ReadOnlyError(f"cannot write {key!r} of {self!r}: {self.why_read_only([key])}")
        return self.mapping

    def value(self, key: str) -> memoryview | None:
        """Bytes of an object; None if it is missing. StoreError for a value that is not bytes."""
        try:
            value = bytes_of(self.mapping[key])
        except KeyError:
            return None
        except (StoreError, MemoryError):
            raise
        except Exception as error:  # of whatever the mapping is made of
            raise as_store_error(error, "read", key, self) from error
        try:
            if isinstance(value, np.ndarray):
                value = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            return memoryview(value).cast("B")
        except (TypeError, ValueError) as error:
            raise StoreError(f"the value of {key!r} of {self!r} is {type(value).__name__}, not bytes") from error


def _copied(mapping: Mapping[str, Any], concurrency: int, process: int) -> MappingStore:
    made = MappingStore(mapping, read_only=True, concurrency=concurrency)
    object.__setattr__(made, "copied_from", process)
    return made


class MappingObjects:
    """Objects of a MappingStore, each fetched once. See `Objects`."""

    def __init__(self, store: MappingStore, keys: Sequence[str]) -> None:
        self.keys, self._store, self._traffic = keys, store, Traffic()

    def __enter__(self) -> MappingObjects:
        return self

    def __exit__(self, *_: object) -> None:
        self.__dict__.pop("_values", None)

    @cached_property
    def _values(self) -> list[memoryview | None]:
        values: list[memoryview | None] = [None] * len(self.keys)

        def get(i: int) -> None:
            values[i] = self._store.value(self.keys[i])

        each(get, range(len(values)), min(self._store.concurrency, len(values)))
        self._traffic = Traffic(len(values), sum([len(value) for value in values if value is not None]))
        return values

    def traffic(self) -> Traffic:
        return self._traffic

    def lengths(self) -> list[int]:
        return [MISSING if value is None else len(value) for value in self._values]

    def versions(self, known: Sequence[Any]) -> list[None]:
        """None each: a mapping has no versions."""
        return [None] * len(self.keys)

    def changed(self) -> bool:
        """False, because the values are held."""
        return False

    def requests(self, ranges: Ranges) -> Requests:
        return requests(self._store, ranges, self.lengths(), 0, MAX_REQUEST_BYTES)

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        target = memoryview(into.data if into.host is None else into.host)
        columns = requests.objects, into.starts, requests.offsets, requests.sizes
        for number, start, offset, size in zip(*(column.tolist() for column in columns), strict=True):
            if (value := self._values[number]) is not None:
                target[start : start + size] = value[offset : offset + size]
        return requests.ranges(into)

    def reader(self, reads: Sequence[Read]) -> Fill:
        lengths = self.lengths()
        for i, (number, offset, size, _, _) in enumerate(reads):
            if offset + size > lengths[number]:
                raise beyond(self._store, self.keys[number], lengths[number], size, offset, i)

        def fill(i: int, into: memoryview) -> None:
            number, offset, _, skip, size = reads[i]
            if (value := self._values[number]) is not None:
                into[:] = value[offset + skip : offset + skip + size]

        return fill
