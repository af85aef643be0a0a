"""Blocks whose halo is cut off: of each only the core is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuzarr.pyramids.arrivals import Arrivals
from gpuzarr.pyramids.blocks import Blocks
from gpuzarr.pyramids.cells import within
from gpuzarr.write.coverage import Bounds, common


class Cut:
    """The counterpart of `Blend` that holds nothing: what a block makes final is its core.

    `blocks`, `extra`: as for `Blend`.

    Examples
    --------
    >>> from gpuzarr.pyramids.blocks import Blocks
    >>> from gpuzarr.pyramids.cut import Cut
    >>> cut = Cut(Blocks((6,), block=3, halo=1, is_cut=True))
    >>> cut.add(((2, 6),), np.arange(4))
    [(((3, 6),), array([1, 2, 3]))]
    >>> cut.unfinished()
    (1, ((0, 4),))
    """

    nbytes = 0

    def __init__(self, blocks: Blocks, extra: Sequence[int] = ()) -> None:
        self._blocks, self._arrivals = blocks, Arrivals(blocks, extra)

    def add(self, bounds: Bounds, values: Any) -> list[tuple[Bounds, Any]]:
        """Return what `blocks.region` has of the core of a block: bounds, and views of the values.

        ArgumentError for a block that has come already, or is none of the blocks, and for values of another shape.
        """
        block = self._arrivals.number(bounds, values)
        self._arrivals.note(block)
        core = self._blocks.core(block)
        boxes = [box for region in self._blocks.region if (box := common(core, region)) is not None]
        return [(box, values[(..., *within(box, bounds))]) for box in boxes]

    def unfinished(self) -> tuple[int, Bounds | None]:
        """The number of blocks that have not come, and the first of them; (0, None) at the end."""
        return self._arrivals.unfinished()
