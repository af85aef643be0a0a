"""Copies of samples out of chunks into arrays of a batch, on a CPU, by the C library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import address
from gpuzarr.cpu.boxes import Placement
from gpuzarr.cpu.corners import CornerBoxes
from gpuzarr.dtypes.cast import Cast
from gpuzarr.loader.batches.pieces import Piece
from gpuzarr.read.thresholds import MIN_PLACED_BYTES

CAST_BYTES = 1 << 19  # of samples that are cast at once
MAX_CUTTERS = 2  # batches that are cut at the same time
Copy = Callable[[int], None]  # of the samples of a part, by its number


class Copies(Protocol):
    """What is to be copied into an array of n samples."""

    def place(self, out: np.ndarray, device: Any) -> None:
        """Copy all of it, on as many threads as it is worth."""
        ...

    def in_parts(self, rows: int, like: np.ndarray) -> Callable[[np.ndarray], Copy]:
        """What copies parts of so many rows of an array like this one. It is given memory of that many rows, to which
        each part is copied."""
        ...


@dataclass(frozen=True, eq=False)
class BoxCopies:
    """Boxes of any form."""

    piece: Piece

    def place(self, out: np.ndarray, device: Any) -> None:
        placement = Placement(self.piece.found, out.dtype.itemsize, [out])
        if out.nbytes < 2 * MIN_PLACED_BYTES:
            placement.place(self.piece.addresses)
        else:
            runs = placement.runs(MIN_PLACED_BYTES)
            device.each(partial(placement.place_some, self.piece.addresses), runs, threads(device))

    def in_parts(self, rows: int, like: np.ndarray) -> Callable[[np.ndarray], Copy]:
        step = like.strides[0]
        piece, heads = self.piece.in_parts(rows * step, step, -(-len(like) // rows))

        def into(scratch: np.ndarray) -> Copy:
            placement = Placement(piece.found, like.dtype.itemsize, [scratch])
            return lambda part: placement.place_some(piece.addresses, (heads[part], heads[part + 1]))

        return into


@dataclass(frozen=True, eq=False)
class CornerCopies:
    """Boxes of one shape, `each` for a sample. `chunks`: numbers and addresses of those that are there. `which`: the
    rows of the samples in the array, ascending; None: all of them."""

    boxes: CornerBoxes
    each: int
    chunks: tuple[np.ndarray, np.ndarray]
    which: np.ndarray | None

    def place(self, out: np.ndarray, device: Any) -> None:
        nbytes = len(self.boxes) * self.boxes.nbytes
        parts = max(nbytes // MIN_PLACED_BYTES, 1) if threads(device) > 1 else 1
        places = self._places(0, len(self.boxes) // self.each, 0)
        run, target = (0, len(self.boxes)), address(out)
        if parts == 1:
            self.boxes.cut(run, self.chunks, target, places)
        else:
            each = [(part, parts) for part in range(parts)]
            device.each(partial(self.boxes.cut, run, self.chunks, target, places), each, threads(device))

    def in_parts(self, rows: int, like: np.ndarray) -> Callable[[np.ndarray], Copy]:
        def copy(target: int, part: int) -> None:
            first, last = part * rows, min((part + 1) * rows, len(like))
            a, b = (first, last) if self.which is None else np.searchsorted(self.which, [first, last]).tolist()
            run = a * self.each, b * self.each
            self.boxes.cut(run, self.chunks, target, self._places(a, b, first))

        return lambda scratch: partial(copy, address(scratch))

    def _places(self, a: int, b: int, first: int) -> np.ndarray | None:
        """The places of the boxes of samples a to b - 1, counted from row `first`; None: one after another."""
        if self.which is None:
            return None
        rows = self.which[a:b] - first
        return (rows[:, None] * self.each + np.arange(self.each)).reshape(-1)


def cast_all(copies: Sequence[Copies], out: np.ndarray, cast: Cast, device: Any) -> None:
    """Copy to scratch, a few rows at a time, which are cast from there while they are in a core's cache."""
    like = np.empty(out.shape, cast.source)  # of which no memory is touched
    rows = max(CAST_BYTES // like.strides[0], 1)
    begun = [one.in_parts(rows, like) for one in copies]
    parts = range(-(-len(out) // rows))

    def work(left: Iterator[int]) -> None:
        scratch = np.empty((rows, *out.shape[1:]), cast.source)
        into = [begin(scratch) for begin in begun]
        for part in left:
            for copy in into:
                copy(part)
            some = out[part * rows : (part + 1) * rows]
            cast.put(some, scratch[: len(some)])

    device.share(work, parts, 1 if out.nbytes < 2 * MIN_PLACED_BYTES else min(threads(device), len(parts)))


def threads(device: Any) -> int:
    """Threads that are worth it for one batch, as others are cut beside it."""
    return max(device.threads // MAX_CUTTERS, 1)
