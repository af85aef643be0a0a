"""Stores in the memory of a process: what another process writes to its copy of one would be lost."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.memory import is_of_this_process

_number = count()
_kept: WeakValueDictionary[int, Any] = WeakValueDictionary()  # what tasks of this process write to, by number


def is_in_memory(store: Store) -> bool:
    """True if the objects of a store are in the memory of this process, as far as can be known."""
    if isinstance(store, MappingStore):
        return is_of_this_process(store.mapping) or _is_memory(getattr(store.mapping, "fs", None))
    if (inner := getattr(store, "store", None)) is not None:
        return is_in_memory(inner)
    return _is_memory(getattr(getattr(store, "client", None), "fs", None))


def _is_memory(file_system: Any) -> bool:
    """True for fsspec's file system in memory."""
    protocol = getattr(file_system, "protocol", ())
    return "memory" in ((protocol,) if isinstance(protocol, str) else protocol)


@dataclass(frozen=True)
class Kept:
    """A reference to an object of this process, which another process cannot follow."""

    text: str
    number: int
    process: int = field(default_factory=os.getpid)

    @classmethod
    def of(cls, held: Any, text: str) -> Kept:
        """A reference that is valid as long as the object lives. `text` says in errors what it is."""
        made = cls(text, next(_number))
        _kept[made.number] = held
        return made

    def found(self) -> Any:
        """The object. StoreError in another process."""
        held = _kept.get(self.number) if self.process == os.getpid() else None
        if held is None:
            raise StoreError(
                f"{self.text} is in the memory of process {self.process}, and cannot be written by process "
                f"{os.getpid()}: give from_dask a folder or a URL, or compute with threads"
            )
        return held
