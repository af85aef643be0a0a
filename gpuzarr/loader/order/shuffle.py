"""How samples are shuffled: blocks in random order, and the samples of a few blocks at a time among each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.checks import number, shown
from gpuzarr.errors import ArgumentError

LANES = (8, 4, 2, 1)  # the default is the first one that divides the number of blocks
MAX_BLOCKS_AT_A_TIME = 1 << 20
MAX_LANES = 1024


@dataclass(frozen=True)
class BlockShuffle:
    """Shuffle of samples that needs few chunks at a time: `Loader(..., shuffle=BlockShuffle(blocks=16))`.

    Samples that lie near each other are a block. It is as large as the largest chunk of all arrays; or larger, where
    samples of neighbouring blocks share chunks, while the chunks of `blocks` of them take no more than about a GiB. In
    each epoch all blocks are put into a random order and dealt to lanes. Each lane takes its next blocks, `blocks /
    lanes` of them, and gives their samples in random order; then it takes its next blocks. Samples are taken from each
    lane in turn, so that the samples of `blocks` blocks are mixed, and each chunk is read and decoded once. What the
    longer lanes have left when the shorter ones have ended comes last.

    Of `world_size` ranks, each takes every `world_size`-th sample. Where that number divides `lanes`, a rank has lanes
    of its own, and no two ranks read the same chunk but at the end of an epoch.

    Parameters
    ----------
    blocks
        The number of blocks of all ranks whose samples are mixed. More are a better shuffle (`Loader.plan()` tells how
        good), and take more memory.
    lanes
        The number of lanes, which divides `blocks`, at most 1024. By default the largest of 8, 4, 2 and 1 that does.
    block
        The elements of a block along each axis along which samples are taken: a number for all, or one for each axis.
        By default as said above.

    Raises
    ------
    ArgumentError
        (a ValueError and a TypeError) for numbers below 1 and for lanes that do not divide `blocks`.

    Examples
    --------
    >>> import gpuzarr
    >>> gpuzarr.BlockShuffle(blocks=12)
    BlockShuffle(blocks=12, lanes=4, block=None)
    >>> gpuzarr.BlockShuffle(blocks=6, lanes=3, block=(64, 64)).blocks_of_a_lane
    2
    """

    blocks: int = 16
    lanes: int | None = None
    block: int | tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        blocks = number(self.blocks, "BlockShuffle(blocks=...)", 1, MAX_BLOCKS_AT_A_TIME)
        default = next(lanes for lanes in LANES if blocks % lanes == 0)
        lanes = default if self.lanes is None else number(self.lanes, "BlockShuffle(lanes=...)", 1, MAX_LANES)
        if blocks % lanes:
            raise ArgumentError(f"BlockShuffle(blocks={blocks}, lanes={lanes}): lanes must divide blocks")
        for name, value in {"blocks": blocks, "lanes": lanes, "block": _block(self.block)}.items():
            object.__setattr__(self, name, value)

    @property
    def blocks_of_a_lane(self) -> int:
        """The number of blocks whose samples a lane mixes at a time."""
        return self.blocks // (self.lanes or 1)


def _block(given: Any) -> int | tuple[int, ...] | None:
    """The elements of a block, checked."""
    name = "BlockShuffle(block=...)"
    are_several = isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.ndim > 0)
    if are_several and len(given):
        return tuple(number(elements, name, 1) for elements in given)
    return None if given is None else number(given, name, 1)


def shuffle_of(shuffle: Any) -> BlockShuffle | None:
    """The shuffle that an argument `shuffle=` means: False none, which is None here, True one with the defaults."""
    if isinstance(shuffle, BlockShuffle):
        return shuffle
    if isinstance(shuffle, bool | np.bool_):
        return BlockShuffle() if shuffle else None
    raise ArgumentError(f"shuffle must be True, False or a gpuzarr.BlockShuffle, not {shown(shuffle)}")
