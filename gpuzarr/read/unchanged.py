"""Objects opened for a read, and once more where somebody replaced one meanwhile; what came from stores is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gpuzarr.devices.trace import Trace
from gpuzarr.errors import ChunkError, StoreError
from gpuzarr.interrupts import within_all
from gpuzarr.stores.contract import Objects
from gpuzarr.stores.identity import identity
from gpuzarr.stores.traffic import Traffic, traffic

if TYPE_CHECKING:
    from gpuzarr.read.source import Source

T = TypeVar("T")
MAX_TRIES = 64  # to read shards that somebody replaces meanwhile; 5 were too few beside one who writes small ones


def unchanged(
    source: Source, keys: Sequence[str], read: Callable[[Objects], T], threads: int = 1, trace: Trace | None = None
) -> T:
    """Return what `read(objects)` makes of the objects at `keys`; if somebody replaced one meanwhile, read again.

    `trace`: of the read, in which what comes from the store is counted.
    """
    return unchanged_all([(source, keys)], lambda objects: read(objects[0]), threads, trace)


def unchanged_all(
    opened: Sequence[tuple[Source, Sequence[str]]],
    read: Callable[[Sequence[Objects]], T],
    threads: int = 1,
    trace: Trace | None = None,
) -> T:
    """Return what `read` makes of the objects at these keys of the stores of these arrays, as `unchanged`."""

    def tried(objects: Sequence[Objects]) -> tuple[T] | None:
        try:
            result = read(objects)
            return None if True in [one.changed() for one in objects] else (result,)
        except (ChunkError, StoreError):
            if True not in [one.changed() for one in objects]:
                raise
            return None
        finally:
            if trace is not None:
                tell_traffic(objects, trace)

    contexts = [partial(source.store.open, keys, threads) for source, keys in opened]
    for _ in range(MAX_TRIES):
        if (found := within_all(contexts, tried)) is not None:
            return found[0]
        for source, _ in opened:
            source.locator.indexes.forget()  # those of the old objects
            if source.cache is not None:
                source.cache.doubt(identity(source.store, source.path))
    raise StoreError(f"{opened[0][1][0]!r} of {opened[0][0].store!r} is replaced faster than it can be read")


def tell_traffic(objects: Sequence[Objects], trace: Trace) -> None:
    """Count what objects have asked their stores for."""
    count_traffic(list(map(traffic, objects)), trace)


def count_traffic(found: Sequence[Traffic | None], trace: Trace) -> None:
    """Count what came from stores; None: from one that does not count."""
    requests = nbytes = uncounted = 0
    for each in found:
        if each is None:
            uncounted += 1
        else:
            requests, nbytes = requests + each.requests, nbytes + each.nbytes
    trace.count(requests=requests, read=nbytes, uncounted=uncounted)
