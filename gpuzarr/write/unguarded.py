"""Changes of parts of objects that other processes may change, too, where nothing keeps theirs from being lost.

One writer in one process is the common case, and all is well then; but nobody can tell that from here. So there is a
warning, once for each array, in each process.
"""

from __future__ import annotations

from gpuzarr.errors import UnguardedWriteWarning, warn
from gpuzarr.per_process import PerProcess
from gpuzarr.stores.guards import guard
from gpuzarr.write.target import Target

MAX_NOTED_ARRAYS = 1 << 12
GUARDED = {  # how reports and explanations say it, of a number of locks
    "processes": "under {} locks, between processes",
    "versions": "under {} locks between threads, and once more where another process has replaced one meanwhile",
    "threads": "under {} locks between threads; what other processes change meanwhile is lost",
    "alone": "under {} locks",
    "none": "under {} locks; what others change meanwhile is lost (safe=False)",
}
_NOTED: PerProcess[set[tuple[str, str]]] = PerProcess(set)


def protection(target: Target) -> str:
    """What guards objects that are changed in part: a `Guard`, or "none"."""
    return guard(target.store) if target.safe else "none"


def warn_once(target: Target, key: str) -> None:
    """Warn where an object is to be changed in part, at `key`, that nothing guards from other processes."""
    if protection(target) != "threads" or (place := (repr(target.store), target.path)) in _NOTED.value:
        return
    if len(_NOTED.value) >= MAX_NOTED_ARRAYS:
        _NOTED.value.clear()
    _NOTED.value.add(place)
    what, whole = ("shard", "shards") if target.layout.levels else ("chunk", "chunks")
    warn(
        f"{key!r} of {target.store!r}, a {what}, is changed in part: it is read, changed and written, and this store "
        f"has neither locks between processes nor conditional puts. What another process changes meanwhile is lost. "
        f"Write whole {whole} where there are several processes (`shard_slices` tells each its own); where this one is "
        "the only writer, config={'safe': False} says so",
        UnguardedWriteWarning,
    )
