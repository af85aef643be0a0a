"""Stores in the memory of a process: what another process writes to its copy of one would be lost."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.memory import is_of_this_process

_numbers = count()
_kept: WeakValueDictionary[int, Any] = WeakValueDictionary()  # what tasks of this process write to, by its number
_number_of: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


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


def reference(held: Any, text: str) -> tuple[Any, ...]:
    """What `__reduce__` returns for an object of this process: unpickled here it is the same object, while that lives.

    In another process it is an `Elsewhere`. `text` names in errors what would be written.
    """
    number = _number_of.setdefault(held, next(_numbers))
    _kept[number] = held
    return _found, (text, number, os.getpid())


@dataclass(frozen=True)
class Elsewhere:
    """Stands for a target that is in the memory of another process.

    Its error is raised by the task, not when it is unpickled: a worker that cannot unpickle a task would die.
    """

    text: str
    process: int

    def write(self, values: Any, block: tuple[int, ...]) -> None:
        """Raise a StoreError."""
        raise StoreError(
            f"{self.text} is in the memory of process {self.process}, and cannot be written by process {os.getpid()}: "
            "give from_dask a folder or a URL, or compute with threads"
        )


def _found(text: str, number: int, process: int) -> Any:
    held = _kept.get(number) if process == os.getpid() else None
    return Elsewhere(text, process) if held is None else held
