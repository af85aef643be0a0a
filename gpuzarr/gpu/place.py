"""Place decoded chunks in results: one launch for all boxes of all chunks of a batch, wherever they go.

kernels/place.cu; place_planes.cu where some chunks are still shuffled; place_listed.cu where lists say which elements
of an axis are wanted, or which single elements; place_cast.cu where elements are changed on their way.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import Program, kind_of
from gpuzarr.gpu import forms as table
from gpuzarr.gpu import programs
from gpuzarr.gpu.forms import IN_FLIGHT, MAX_AXES, MIN_ROW_BYTES, PIECE, TILES
from gpuzarr.gpu.planes import FILE, WIDTHS, Planes
from gpuzarr.gpu.tables import THREADS, stacked, upload_words

ITEM_SIZES = (1, 2, 4, 8, 16)  # bytes of an element
MAX_CHUNK_BYTES = 2**31 - 2**16
_MIN_BLOCKS = 2112  # of threads of a large launch: four times as many as 132 multiprocessors hold
_OF_BOXES = ("chunk", "begin", "result", "target", "shape")
Strides = tuple[int, ...]  # bytes
KERNELS = (
    *(("place.cu", "place", None), ("place_listed.cu", "place_listed", None)),
    *((FILE, f"place_planes_{width}", width) for width in WIDTHS),
    *((programs.FILE, f"place_cast_{width}", width) for width in programs.WIDTHS),
)


class Part(Protocol):
    """Chunks and what is wanted of them, as the parts of `indexing.grid`."""

    def __len__(self) -> int:
        """Number of chunks."""
        ...

    @property
    def sliced(self) -> bool:
        """Whether it has boxes alone, without lists."""
        ...

    @property
    def chunk_shape(self) -> tuple[int, ...]: ...

    def boxes(self, strides: Strides, results: Sequence[Strides]) -> Boxes:
        """What is wanted. `strides`: of the elements of a chunk, and of those of each result."""
        ...


Placement = tuple[Sequence[Part], Sequence[Any]]  # chunks, and the results in which they are placed


@dataclass(frozen=True)
class Chunks:
    """Decoded chunks on the device. `strides`: bytes from element to element along each axis of a chunk.

    `swap`: bytes of the units that are in the other byte order, 1 for none. `held`: what owns the memory. `shuffled`:
    the planes of chunks that have no address (0). `program`: what becomes of the elements, none of which are shuffled
    then.
    """

    addresses: np.ndarray
    strides: Strides
    swap: int
    held: Any
    shuffled: Planes | None = None
    program: Program | None = None


def fits(chunk_shape: tuple[int, ...], out: Any, device: Device, stored: int = 0) -> bool:
    """Whether the kernel can place chunks of this shape in `out`. `stored`: bytes of an element as stored."""
    item = out.dtype.itemsize
    aligned = item in ITEM_SIZES and device.address(out) % item == 0 and not any(step % item for step in out.strides)
    return aligned and len(chunk_shape) <= MAX_AXES and prod(chunk_shape) * max(item, stored) < MAX_CHUNK_BYTES


def in_rows(placements: Sequence[Placement], strides: Strides) -> np.ndarray:
    """Mask of the chunks of which only long rows are wanted: bit shuffles of these can be left."""
    boxes, item = _boxes(placements, strides), placements[0][1][0].dtype.itemsize
    found = np.ones(sum(len(part) for parts, _ in placements for part in parts), bool)
    found[boxes.chunk[~table.has_rows(table.axes_of(boxes, item), item)[boxes.shape]]] = False
    return found


def place(
    device: Device,
    placements: Sequence[Placement],
    present: np.ndarray,
    chunks: Chunks | None,
    fill: Any,
) -> None:
    """Copy what is wanted of each present chunk to its place in the results, and write `fill` in place of missing ones.

    `placements`: parts and the results that they go to, all of one dtype. `fits` must hold for them. `present`: bool,
    one for each chunk of the parts. `chunks`: the present ones, in the same order; None if they are in place already.
    Of chunks that are `shuffled` no lists are wanted: all parts are `sliced`.
    """
    outs = [out for _, results in placements for out in results]
    boxes = _boxes(placements, chunks.strides if chunks else (0,) * len(placements[0][0][0].chunk_shape))
    if chunks is None:  # a fill value lies anywhere: best as in the result
        missing = ~present[boxes.chunk]
        boxes = replace(boxes, **{name: getattr(boxes, name)[missing] for name in _OF_BOXES}, sources=boxes.targets)
    base = np.array([device.address(out) for out in outs], np.uint64)
    target = base[boxes.result] + boxes.target.astype(np.uint64)
    source = _sources(boxes, present, chunks)
    shuffled, item = chunks.shuffled if chunks else None, outs[0].dtype.itemsize
    # planes give no wider elements
    bits, long = (item, PIECE) if shuffled else (_bits(source, boxes.entries[:, 0]), MIN_ROW_BYTES)
    program = chunks.program if chunks else None
    changes = program is not None
    forms, units = table.forms_of(boxes, item, bits, _bits(target, boxes.entries[:, 1]), long, changes)
    pattern = np.frombuffer(np.full(PIECE // item, fill, outs[0].dtype).tobytes(), np.uint64)
    last = *pattern, np.uint32(chunks.swap if chunks else 1), np.uint32(len(target))
    if program is not None:
        words, flags = programs.table(device, program, boxes.chunk)
        columns, some = (target, source, boxes.shape), (last[0], *last[2:])
        _launch_program(device, columns, forms, units, boxes.entries, program, words, some)
        del flags  # held until here
    elif shuffled is None:
        _launch(device, (target, source, boxes.shape), forms, units, boxes.entries, last)
    else:
        _launch_planes(device, (target, source, boxes.shape), forms, units, shuffled, present, boxes.chunk, last)


def _launch(
    device: Device, columns: Sequence[np.ndarray], forms: np.ndarray, units: np.ndarray, entries: np.ndarray, last: Any
) -> None:
    file, name, _ = KERNELS[1 if len(entries) else 0]
    arrays = (stacked(*columns), forms, entries) if len(entries) else (stacked(*columns), forms)
    device.kernel(file, name)(*_grid(forms, units, columns[-1]), (*upload_words(device, *arrays), *last))


def _launch_program(
    device: Device, columns: Sequence[np.ndarray], forms: np.ndarray, units: np.ndarray, entries: np.ndarray,
    program: Program, words: np.ndarray, last: Any,
) -> None:  # fmt: skip
    width, (length, _) = program.source.itemsize, program.words.shape
    lists = entries if len(entries) else np.zeros(1, np.int64)
    *tables, code = upload_words(device, stacked(*columns), forms, lists, words)
    kernel = device.kernel(programs.FILE, f"place_cast_{width}", width)
    said = np.uint32(kind_of(program.source)), code, np.uint32(length)
    kernel(*_grid(forms, units, columns[-1]), (*tables, *last, *said))


def _launch_planes(
    device: Device, columns: Sequence[np.ndarray], forms: np.ndarray, units: np.ndarray,
    shuffled: Planes, present: np.ndarray, chunk: np.ndarray, last: Any,
) -> None:  # fmt: skip
    cuts, *of_chunks = _cut(shuffled, present)
    cut, plane, bits = (column[chunk] for column in of_chunks)
    *places, number = columns
    if bits.any():
        number = number + bits * len(forms)
        forms, units = table.with_strips(forms, units, shuffled.width)
    rows = stacked(*places, number, cut, plane)
    planes, *tables = upload_words(device, shuffled.planes, rows, forms, cuts)
    kernel = device.kernel(FILE, f"place_planes_{shuffled.width}", shuffled.width)
    kernel(*_grid(forms, units, number), (*tables, planes, *last))


def _boxes(placements: Sequence[Placement], strides: Strides) -> Boxes:
    """The boxes of all parts; chunks, results and entries of lists are numbered through all of them, and each shape is
    there once."""
    parts: list[Part] = []
    found: list[Boxes] = []
    before: list[int] = []  # results before those of each part
    count = 0
    for some, outs in placements:
        steps = [tuple(out.strides) for out in outs]
        parts += some
        found += [part.boxes(strides, steps) for part in some]
        before += [count] * len(some)
        count += len(outs)
    if len(found) == 1:
        return table.distinct(found[0])
    joined = {field.name: np.concatenate([getattr(boxes, field.name) for boxes in found]) for field in fields(Boxes)}
    joined["chunk"] += _shifts(parts, [boxes.chunk for boxes in found])
    joined["result"] += np.repeat(before, [len(boxes.result) for boxes in found])
    joined["shape"] += _shifts([boxes.extents for boxes in found], [boxes.shape for boxes in found])
    shifts = _shifts([boxes.entries for boxes in found], [boxes.lists for boxes in found])[:, None]
    joined["lists"] = np.where(joined["lists"] < 0, -1, joined["lists"] + shifts)
    return table.distinct(Boxes(**joined))


def _shifts(before: Sequence[Sized], rows: Sequence[Sized]) -> np.ndarray:
    """For the rows of each part, how many there were of something in the parts before."""
    ends = np.cumsum([len(some) for some in before])
    return np.repeat(ends - [len(some) for some in before], [len(some) for some in rows])


def _sources(boxes: Boxes, present: np.ndarray, chunks: Chunks | None) -> np.ndarray:
    """The address of each box, uint64; 0 where its chunk is missing."""
    found = np.zeros(len(boxes.chunk), np.uint64)
    if chunks and len(chunks.addresses):
        there = present[boxes.chunk]
        number = np.cumsum(present) - 1
        found[there] = chunks.addresses[number[boxes.chunk[there]]] + boxes.begin[there].astype(np.uint64)
    return found


def _cut(shuffled: Planes, present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The table of cuts into blocks; and for every chunk the number of its cut, its first plane, and whether its bits
    are shuffled."""
    cuts, which = shuffled.cuts()
    cut, first, bits = np.zeros((3, len(present)), np.int64)
    cut[present], first[present], bits[present] = which, shuffled.first, shuffled.bits > 0
    return cuts, cut, first, bits


def _bits(*numbers: np.ndarray) -> int:
    """The bits that any of the numbers has."""
    found = 0
    for some in numbers:
        found |= int(np.bitwise_or.reduce(some.astype(np.int64), initial=0))
    return found


def _grid(forms: np.ndarray, units: np.ndarray, number: np.ndarray) -> tuple[tuple[int, int], tuple[int]]:
    """Grid and block: enough blocks for the whole GPU; where there are more, each does more work."""
    most, total = int(units[number].max()), int(units[number].sum())
    small = 1 << max(5, (-(-most // IN_FLIGHT) - 1).bit_length())
    threads = THREADS if (forms["mode"] == TILES).any() else min(THREADS, small)
    each = min(max(total // _MIN_BLOCKS, threads * IN_FLIGHT), threads * IN_FLIGHT * 4)
    return (len(number), min(-(-most // each), 65535)), (threads,)
