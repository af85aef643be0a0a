"""Libraries with threads of their own, in Rust. A forked child lacks those, and would wait for them for ever."""

from __future__ import annotations

import os
from typing import Any

from gpuzarr.errors import StoreError

_USED: dict[str, int] = {}  # the process whose threads a library has, once it has some
_LIBRARIES = {"icechunk", "obstore"}
MAX_WRAPPED = 16  # stores one in the other


def use(library: str, place: str) -> None:
    """Note that a library has threads now. StoreError, naming the place, in a forked child of who used it first."""
    if _USED.setdefault(library, os.getpid()) != os.getpid():
        raise StoreError(
            f"cannot reach {place} in a forked process: {library} was used before the fork, and its threads are the "
            "parent's; start processes by 'spawn' or 'forkserver' (multiprocessing.get_context; of a DataLoader: "
            "multiprocessing_context='forkserver')"
        )


def library_of(store: Any) -> str | None:
    """The library whose threads a store of zarr-python, or one that it wraps, waits for; None: no such one."""
    for _ in range(MAX_WRAPPED):
        if (library := type(store).__module__.partition(".")[0]) in _LIBRARIES:
            return library
        inner = vars(store) if hasattr(store, "__dict__") else {}
        store = inner.get("_store", inner.get("store"))
    return None
