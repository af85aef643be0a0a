"""How large chunks are as they are stored, seen from a few of them: what tells a GPU's batches how many fit its memory.

A shard's index tells, or the length of a file. Nothing of a chunk is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from gpuzarr.batch import ALIGNMENT
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CodecError, StoreError
from gpuzarr.indexing.boxes import ReadPart
from gpuzarr.indexing.locate import Locator
from gpuzarr.indexing.shard_indexes import Indexes
from gpuzarr.interrupts import within
from gpuzarr.read.unchanged import tell_traffic
from gpuzarr.stores.contract import Objects, Store

WINDOWS, EACH = 8, 8  # places of the selection that are looked at, and neighbours at each
MARGIN = 9 / 8  # batches may be so much larger than the largest place, before they are read in parts

Sizes = Callable[[np.ndarray], "np.ndarray | None"]  # bytes of chunks at (n, ndim) coordinates, 0 for a missing one


def nothing() -> None:
    """Of what nobody can look at."""
    return None


def sizes(locator: Locator, store: Store, trace: Trace | None = None) -> Sizes:
    """What tells the sizes of the chunks of an array. What it reads is counted in `trace`."""
    return partial(_sizes, locator, store, {}, trace)


def _sizes(locator: Locator, store: Store, memo: Indexes, trace: Trace | None, coords: np.ndarray) -> np.ndarray | None:
    """None where only reading tells, or where that will be an error."""
    route = locator.route(coords)

    def found(objects: Objects) -> np.ndarray | None:
        located = locator.locate(route, objects, memo)
        if trace is not None:
            tell_traffic([objects], trace)
        if not locator.layout.levels:
            return np.maximum(objects.lengths(), 0) if store.has_cheap_lengths else None
        return np.where(located.present, located.ranges.sizes, 0)

    try:
        return within(store.open(route.keys), found)
    except (CodecError, StoreError):
        return None


def estimated(parts: Sequence[ReadPart], sizes: Sizes) -> int | None:
    """Bytes that a chunk of `parts` has as it is stored, about: at the place where chunks are largest, and a margin."""
    ends = np.cumsum([len(part) for part in parts])
    first = np.unique(np.linspace(0, max(ends[-1] - EACH, 0), WINDOWS).astype(np.int64))
    numbers = np.minimum(first[:, None] + np.arange(EACH), ends[-1] - 1).reshape(-1)
    which = np.searchsorted(ends, numbers, side="right")
    begins = ends - [len(part) for part in parts]
    coords = np.concatenate([parts[i].some(numbers[which == i] - begins[i]) for i in np.unique(which).tolist()])
    if (found := sizes(coords)) is None:
        return None
    taken = -(-found // ALIGNMENT) * ALIGNMENT
    return int(MARGIN * taken.reshape(-1, EACH).mean(axis=1).max()) + 1
