"""Continue the writing of an image that was interrupted: what is done of a level makes what is not done of the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuzarr.nodes.missing import as_slices
from gpuzarr.pyramids.cascade import Cascade, reduced_bounds
from gpuzarr.pyramids.cells import Box
from gpuzarr.pyramids.ownership import of_level, scales
from gpuzarr.write.coverage import Bounds, common
from gpuzarr.write.objects import bounds_of_object, objects_of


def restore(cascade: Cascade, image: Any, owned: Sequence[Bounds], done: Sequence[np.ndarray]) -> None:
    """Read again what is done of a level and lies below shards of the next that are not: these were lost, or not begun.

    `owned`: the boxes of level 0 of this worker, which restores nothing of others. `done`: which shards of each level
    are, in the shape of their grids.
    """
    levels, factors = image.levels, image.factors
    scale = scales(factors, levels[0].ndim)
    for i, window in enumerate(factors):
        mine = [of_level(box, scale[i], levels[i].shape) for box in owned]
        for coords in np.argwhere(done[i]).tolist() if not done[i + 1].all() else ():
            shard = bounds_of_object(levels[i].layout, tuple(coords))
            for region in mine:
                if (box := common(shard, region)) is not None:
                    for part in _below(levels[i + 1], done[i + 1], box, window):
                        cascade.take(i, Box(part, levels[i][as_slices(part)], is_stored=True))


def _below(upper: Any, done: np.ndarray, box: Bounds, window: Sequence[int]) -> list[Bounds]:
    """The parts of a box that become elements of shards of the next level that are not done."""
    found = []
    for coords, shared, _ in objects_of(upper.layout, reduced_bounds(box, window)):
        if not done[coords]:
            grown = tuple((a * f, b * f) for (a, b), f in zip(shared, window, strict=True))
            if (part := common(grown, box)) is not None:
                found.append(part)
    return found
