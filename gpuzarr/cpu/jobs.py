"""Chunks that the C library reads from files, decodes and places, each while it is in a core's cache."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import Boxes, address
from gpuzarr.cpu.boxes import Placement
from gpuzarr.cpu.functions import Function
from gpuzarr.devices.trace import Trace

_NUMBER, _ADDRESS = ctypes.c_int64, ctypes.c_void_p
_NONE = np.zeros((0, 2), np.int64)
Where = tuple[int, int, int, int]
Wanted = tuple[int, int]
OPEN, WHOLE = 0, -1  # a file that is open has no path; a chunk that is all of its file has no size


class _Kind(ctypes.Structure):
    """`Kind` of gpuzarr/native/read.c."""

    _fields_ = (
        *(("decode", _ADDRESS), ("nbytes", _NUMBER), ("most", _NUMBER), ("flags", _NUMBER)),
        *(("stored", _ADDRESS), ("decoded", _ADDRESS)),
    )


@dataclass
class Spent:
    """Stored bytes of the chunks that went well; and what all took: `numbers` are the seconds to read, to decode and
    to place, the bytes that were read, and the system calls for that."""

    stored: int = 0
    numbers: np.ndarray = field(default_factory=lambda: np.zeros(5))

    def tell(self, trace: Trace) -> None:
        """Add them to a trace."""
        self.tell_traffic(trace)
        trace.count(stored=self.stored)
        for stage, seconds in zip(("storage", "decode", "place"), self.numbers.tolist(), strict=False):
            trace.add_time(stage, 0.0, seconds)

    def tell_traffic(self, trace: Trace) -> None:
        """Add what was read to a trace, also where chunks did not go well."""
        nbytes, calls = self.numbers[3:].tolist()
        trace.count(read=int(nbytes), requests=int(calls))


@dataclass
class Jobs:
    """Chunks of one array, and their places in results; the rows are `Job` of gpuzarr/native/read.c.

    Of each chunk: `where`, address of a path, file, offset and bytes; `wanted`, the first byte of the decoded chunk
    that is wanted, and the first one behind.
    """

    strides: tuple[int, ...]  # bytes from element to element of a chunk
    rows: list[tuple[int, ...]] = field(default_factory=list)
    boxes: list[list[int]] = field(default_factory=list)  # of each axis: begin and step, in the result begin and end
    outs: list[np.ndarray] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)

    def add(self, where: Where, wanted: Wanted, target: int) -> None:
        """Add a chunk that is decoded to its place."""
        self.rows.append((*where, *wanted, target, 0, 0, 0, 0, 0))

    def add_slices(self, where: Where, wanted: Wanted, inside: Any, outside: Any, out: np.ndarray) -> None:
        """Add a chunk whose elements `inside` (slices) are wanted, at `outside` in `out`, the same in all calls."""
        number = len(self.boxes)
        self.boxes.append(
            [n for i, o in zip(inside, outside, strict=True) for n in (i.start, i.step or 1, o.start, o.stop)]
        )
        self.outs = [out]
        self.rows.append((*where, *wanted, 0, -1, number, number + 1, number, 0))

    def add_boxes(self, where: Where, wanted: Wanted, placement: Placement, box: tuple[int, int, int]) -> None:
        """Add a chunk of which boxes of a table are wanted. `box`: its number there, the first box, the one behind."""
        self.held.append(placement)
        number, begin, end = box
        self.rows.append((*where, *wanted, 0, placement.at, begin, end, number, 0))

    def table(self) -> np.ndarray:
        """All rows, int64 (n, 12). They refer to what this object holds."""
        jobs = np.array(self.rows, np.int64)
        if self.boxes:
            self.held.append(placement := self._placement())
            jobs[jobs[:, 7] == -1, 7] = placement.at
        return jobs

    def _placement(self) -> Placement:
        strides, places = (np.array(steps, np.int64) for steps in (self.strides, self.outs[0].strides))
        table = np.array(self.boxes, np.int64).reshape(len(self.boxes), len(strides), 4)
        begin, step, place, end = np.moveaxis(table, 2, 0)
        sizes, each = end - place, np.arange(len(table))
        starts, none, lists = (begin @ strides, place @ places), np.zeros(len(table), np.int64), np.full_like(sizes, -1)
        shapes = sizes, step * strides, np.broadcast_to(places, sizes.shape), lists, _NONE
        boxes = Boxes(each, starts[0], none, starts[1], each, *shapes)
        return Placement(boxes, self.outs[0].dtype.itemsize, self.outs)


def run(
    jobs: np.ndarray,
    decode: Function | None,
    nbytes: int,
    stored: np.ndarray,
    decoded: np.ndarray,
    flags: int,
    spent: Spent,
) -> np.ndarray:
    """Do jobs, rows of `Job`. `stored`, `decoded`: scratch for a chunk. Returns which did not go well, bool (n,)."""
    call = None if decode is None else ctypes.addressof(decode.call)
    kind = _Kind(call, nbytes, len(stored), flags, address(stored), address(decoded))
    at = address(jobs), len(jobs), ctypes.addressof(kind), address(spent.numbers)
    spent.stored += native.library().gpuzarr_read(*at)
    failed: np.ndarray = jobs[:, -1] == 0
    return failed


def rows_of(where: np.ndarray, nbytes: int, targets: np.ndarray) -> np.ndarray:
    """Rows of `Job` for chunks of open files, int64 (n, 3) of file, offset and bytes, which are decoded to these
    addresses."""
    rows = np.zeros((len(where), 12), np.int64)
    rows[:, 1:4], rows[:, 5], rows[:, 6] = where, nbytes, targets
    return rows


def placed_rows(where: np.ndarray, nbytes: int, placement: Placement) -> np.ndarray:
    """The same for chunks that are decoded to scratch, of which all boxes are placed, in the order of the chunks."""
    rows = rows_of(where, nbytes, np.zeros(len(where), np.int64))
    number = np.arange(len(where))
    rows[:, 7], rows[:, 10] = placement.at, number
    rows[:, 8], rows[:, 9] = (np.searchsorted(placement.chunk, number, side) for side in ("left", "right"))
    return rows


def paths_of(paths: Sequence[str]) -> tuple[np.ndarray, list[int]]:
    """Paths as C has them: their memory, and the address of each. 0: it cannot be one."""
    encoded = list(map(os.fsencode, paths))
    memory = np.frombuffer(b"\0".join(encoded) + b"\0", np.uint8)
    found, at = [], address(memory)
    for each in encoded:
        found.append(0 if b"\0" in each else at)
        at += len(each) + 1
    return memory, found
