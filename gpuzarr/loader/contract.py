"""What the parts of the loader tell each other: blocks of samples, steps of an epoch, views of arrays.

A sample is a place in a data set: its origin. Samples that lie near each other, and so share chunks, are a block. An
epoch is a sequence of steps, a batch each; its order is a pure function of the seed, the epoch and the geometry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing.selection import Outer

Corners = tuple[np.ndarray, tuple[int, ...]]  # first elements of boxes, int64 (m, ndim), and the shape of each


class Space(Protocol):
    """All samples of a data set, in blocks. Blocks are numbered from 0, in the order of stores, then in C order."""

    @property
    def axes(self) -> int:
        """Along which samples have an origin."""
        ...

    @property
    def is_known(self) -> bool:
        """Whether nothing needs to be read for `counts`."""
        ...

    def counts(self, epoch: int) -> np.ndarray:
        """Samples of each block in an epoch, int64 (blocks,). A pure function."""
        ...

    def origins(self, block: int, epoch: int) -> np.ndarray:
        """The first element of each sample of a block, in elements of the first array, int64 (counts[block], axes).

        A pure function: the same origins every time. Those of padded samples may be negative.
        """
        ...

    def stores(self, blocks: np.ndarray) -> np.ndarray:
        """The number of the store in which each block lies, int64 (n,)."""
        ...

    @property
    def geometry(self) -> dict[str, str]:
        """What decides about order and origins, by name, as short texts: a state of another one is refused by it."""
        ...


class View(Protocol):
    """What is wanted of an array (of the same one in each store) for a sample."""

    @property
    def name(self) -> str:
        """Of the batch's array."""
        ...

    @property
    def arrays(self) -> Sequence[Any]:
        """A gpuzarr.Array for each store."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample."""
        ...

    @property
    def cast(self) -> Sequence[Cast | None]:
        """For the array of each store what becomes of its elements; None: nothing."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the batch, in native byte order."""
        ...

    @property
    def pad_value(self) -> Any:
        """Elements outside of the array, as they are in the batch."""
        ...

    def selections(self, store: int, origins: np.ndarray) -> list[Outer]:
        """The elements that samples with these origins, (n, axes), want of the array of a store: one selection for
        several samples, or for a part of one. Ranges ascend. Indices lie in the array."""
        ...

    def targets(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        """For each of these selections the view of `out`, (n, *shape), that it fills; with every axis of the array
        (`Outer.full_shape`)."""
        ...

    def corners(self, store: int, origins: np.ndarray) -> Corners | None:
        """The same where samples are whole boxes of one shape that follow each other in `out` in C order, as many of
        them for each sample. Else None."""
        ...

    def padding(self, store: int, origins: np.ndarray, out: Any) -> list[Any]:
        """The views of `out` that no selection fills."""
        ...


@dataclass(frozen=True, eq=False)
class Step:
    """A batch of a rank.

    `number`: of the step in its epoch, from 0. `end`: samples of all ranks that are done after it. `blocks`, `indices`:
    the samples, each as a block and the number in it (`Space.origins`), int64 (n,). `enters`: the blocks of which this
    rank has the first sample here, in the order of these; `leaves`: those of which it has the last one.
    """

    number: int
    end: int
    blocks: np.ndarray
    indices: np.ndarray
    enters: np.ndarray
    leaves: np.ndarray


class Order(Protocol):
    """The steps of one rank in one epoch."""

    samples: int  # of all ranks in the epoch, those that `drop_last` leaves out too

    def count(self, position: int = 0) -> int:
        """The number of steps behind a position (samples of all ranks that are done); the same for each rank."""
        ...

    def steps(self, position: int = 0) -> Iterator[Step]:
        """The steps behind a position."""
        ...

    def live_blocks(self) -> int:
        """The most blocks of which the rank has samples in a step, or both before and after it; rather too many."""
        ...
