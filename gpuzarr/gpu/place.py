"""Place decoded chunks in the result: one launch for all chunks of a batch.

kernels/place.cu; kernels/place_planes.cu where some chunks are still shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.gpu.planes import FILE, STRIP, WIDTHS, Planes, divisor
from gpuzarr.gpu.tables import THREADS, stacked, upload_words

MAX_AXES = 8
ITEM_SIZES = (1, 2, 4, 8, 16)  # bytes of an element
MAX_CHUNK_BYTES = 2**31 - 2**16
_ROWS, _ELEMENTS, _TILES = range(3)
_MIN_ROW_BYTES = 64  # of a row that is moved by pieces of 16 bytes; one piece where chunks are planes
_PIECE = 16  # bytes
_TILE_SIDE = 32  # elements
_MIN_TILE_EXTENT = 8  # elements of an axis: along a shorter one a tile would be mostly empty
_IN_FLIGHT = 4  # pieces or elements that a thread moves at once
_MIN_BLOCKS = 2112  # of threads of a large launch: four times as many as 132 multiprocessors hold
_EACH = [("source", "<i8"), ("target", "<i8"), ("extent", "<u4"), ("multiplier", "<u4"), ("shift", "<u4")]
_FORM = np.dtype(
    [*((*each, MAX_AXES) for each in _EACH), *((name, "<u4") for name in ("axes", "mode", "width", "run"))]
)
Strides = tuple[int, ...]  # bytes
KERNELS = (("place.cu", "place", None), *((FILE, f"place_planes_{width}", width) for width in WIDTHS))


class Region(Protocol):
    """Chunks of which the same part is wanted, as `indexing.grid.ChunkBlock`."""

    def __len__(self) -> int: ...
    @property
    def each(self) -> tuple[int, ...]:
        """Elements wanted of each chunk along each axis."""
        ...

    @property
    def inside(self) -> tuple[slice, ...]:
        """The wanted elements of a chunk."""
        ...

    def begins(self, strides: Strides) -> np.ndarray:
        """Byte offsets of the part of each chunk in the result."""
        ...


@dataclass(frozen=True)
class Chunks:
    """Decoded chunks on the device. `strides`: bytes from element to element along each axis of a chunk.

    `swap`: bytes of the units that are in the other byte order, 1 for none. `held`: what owns the memory. `shuffled`:
    the planes of chunks that have no address (0).
    """

    addresses: np.ndarray
    strides: Strides
    swap: int
    held: Any
    shuffled: Planes | None = None


@dataclass(frozen=True)
class _Axis:
    extent: int
    source: int
    target: int


def fits(chunk_shape: tuple[int, ...], out: Any, device: Device) -> bool:
    """Whether the kernel can place chunks of this shape in `out`."""
    item = out.dtype.itemsize
    aligned = item in ITEM_SIZES and device.address(out) % item == 0 and not any(step % item for step in out.strides)
    return aligned and len(chunk_shape) <= MAX_AXES and prod(chunk_shape) * item < MAX_CHUNK_BYTES


def in_rows(regions: Sequence[Region], strides: Strides, out: Any) -> np.ndarray:
    """Mask of the chunks of which rows of `STRIP` elements or more are wanted: bit shuffles of these can be left."""
    last = [_axes(region.each, _steps(region), strides, out)[-1] for region in regions]
    found = [axis.source == axis.target == out.itemsize and axis.extent >= STRIP for axis in last]
    return np.repeat(np.array(found, bool), [len(region) for region in regions])


def place(
    device: Device, regions: Sequence[Region], present: np.ndarray, chunks: Chunks | None, out: Any, fill: Any
) -> None:
    """Copy the wanted part of each present chunk to its place in `out`, and write `fill` in place of missing ones.

    `present`: bool, one for each chunk of the regions. `chunks`: the present ones, in the same order; None if they are
    in place already. `fits` must hold for them.
    """
    counts = [len(region) for region in regions]
    begins = [region.begins(out.strides) for region in regions]
    target = np.uint64(device.address(out)) + np.concatenate(begins).astype(np.uint64)
    source = np.zeros(len(present), np.uint64)
    strides, swap = (chunks.strides, chunks.swap) if chunks else (tuple(out.strides), 1)
    if chunks and len(chunks.addresses):
        first = [sum(i.start * step for i, step in zip(r.inside, strides, strict=True)) for r in regions]
        source[present] = chunks.addresses + np.repeat(first, counts).astype(np.uint64)[present]
    shuffled = chunks.shuffled if chunks else None
    sources, long = (
        (out.itemsize, _PIECE) if shuffled else (_bits(source), _MIN_ROW_BYTES)
    )  # planes give no wider elements
    forms, units, which = _forms(regions, strides, out, sources, _bits(target), long)
    number = np.repeat(which, counts)
    if not chunks:
        target, source, number = target[~present], source[~present], number[~present]
    pattern = np.frombuffer(np.full(_PIECE // out.itemsize, fill, out.dtype).tobytes(), np.uint64)
    last = *pattern, np.uint32(swap), np.uint32(len(number))
    if shuffled is None:
        tables = upload_words(device, stacked(target, source, number), forms)
        device.kernel("place.cu", "place")(*_shape(forms, units, number), (*tables, *last))
    else:
        cuts, cut, plane, bits = _cut(shuffled, present)
        if bits.any():
            number = number + bits * len(forms)
            forms, units = _with_strips(forms, units, shuffled.width)
        planes, *tables = upload_words(
            device, shuffled.planes, stacked(target, source, number, cut, plane), forms, cuts
        )
        kernel = device.kernel(FILE, f"place_planes_{shuffled.width}", shuffled.width)
        kernel(*_shape(forms, units, number), (*tables, planes, *last))


def _cut(shuffled: Planes, present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The table of cuts into blocks; and for every chunk the number of its cut, its first plane, and whether its bits
    are shuffled."""
    cuts, which = shuffled.cuts()
    cut, first, bits = np.zeros((3, len(present)), np.int64)
    cut[present], first[present], bits[present] = which, shuffled.first, shuffled.bits > 0
    return cuts, cut, first, bits


def _with_strips(forms: np.ndarray, units: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The forms, then those of chunks whose bits are shuffled, where `width` lanes take a strip of a row at once."""
    made, last = forms.copy(), (np.arange(len(forms)), forms["axes"].astype(np.int64) - 1)
    pieces = forms["extent"][last].astype(np.int64)
    strips = -(-pieces // (STRIP * width // _PIECE))
    made["extent"][last] = strips
    made["multiplier"][last], made["shift"][last] = zip(*map(_divisor, strips.tolist()), strict=True)
    return np.concatenate([forms, made]), np.concatenate([units, units // pieces * strips * width])


def _bits(addresses: np.ndarray) -> int:
    return int(np.bitwise_or.reduce(addresses, initial=0))


def _forms(
    regions: Sequence[Region], strides: Strides, out: Any, sources: int, targets: int, long: int
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The distinct forms of the regions, the units of work of each form, and the number of each region's form.

    `sources` and `targets`: the bits that any address has. Rows of `long` bytes or more are moved by pieces.
    """
    numbers: dict[tuple[Any, ...], int] = {}
    keys = [(region.each, _steps(region)) for region in regions]
    which = [numbers.setdefault(key, len(numbers)) for key in keys]
    made = np.zeros(len(numbers), _FORM)
    units = np.zeros(len(numbers), np.int64)
    for (each, steps), number in numbers.items():
        made[number], units[number] = _form(_axes(each, steps, strides, out), out.itemsize, sources, targets, long)
    return made, units, which


def _steps(region: Region) -> Strides:
    return tuple(i.step for i in region.inside)


def _axes(extents: Sequence[int], steps: Strides, strides: Strides, out: Any) -> list[_Axis]:
    """The axes in the order of the result, without axes of one element; axes contiguous on both sides are merged."""
    several = zip(extents, steps, strides, out.strides, strict=True)
    axes = [_Axis(extent, step * stride, target) for extent, step, stride, target in several if extent != 1]
    axes.sort(key=lambda axis: -abs(axis.target))
    made: list[_Axis] = []
    for axis in axes:
        outer = made[-1] if made else None
        if outer and (outer.source, outer.target) == (axis.source * axis.extent, axis.target * axis.extent):
            made[-1] = _Axis(outer.extent * axis.extent, axis.source, axis.target)
        else:
            made.append(axis)
    return made or [_Axis(1, out.itemsize, out.itemsize)]


def _form(axes: list[_Axis], item: int, sources: int, targets: int, long: int) -> tuple[Any, int]:
    """One row of the table of forms, and its units of work: pieces, elements, or threads of its tiles."""
    last, mode, run = axes[-1], _ELEMENTS, 0
    for axis in axes[:-1]:
        sources, targets = sources | axis.source, targets | axis.target
    if last.source == last.target == item:
        run = last.extent * item
        if run >= long:
            whole = (run | targets) % _PIECE == 0
            mode, axes = _ROWS, [*axes[:-1], _Axis(run // _PIECE if whole else (run + 30) // _PIECE, 0, 0)]
        elif (width := min(_lowest_bit(run | sources | targets), _PIECE)) > item:
            item, axes = width, [*axes[:-1], _Axis(run // width, width, width)]
    elif (found := _tiled(axes)) is not None:
        mode, axes = _TILES, found
    units = prod(axis.extent for axis in axes)
    if mode == _TILES:
        tiles = prod(-(-axis.extent // _TILE_SIDE) for axis in axes[-2:]) * prod(axis.extent for axis in axes[:-2])
        units = tiles * THREADS * _IN_FLIGHT
    return _row(axes, mode, item, run), units


def _tiled(axes: list[_Axis]) -> list[_Axis] | None:
    """The axes with the innermost one of the chunk last but one; None where tiles would not help."""
    last, down = axes[-1], min(axes, key=lambda axis: abs(axis.source))
    worth = abs(down.source) < min(_TILE_SIDE, abs(last.source)) and abs(last.target) < _TILE_SIDE
    if down is last or not worth or min(down.extent, last.extent) < _MIN_TILE_EXTENT:
        return None
    return [*(axis for axis in axes if axis is not down and axis is not last), down, last]


def _row(axes: list[_Axis], mode: int, width: int, run: int) -> tuple[Any, ...]:
    extents = [axis.extent for axis in axes]
    divisors = map(_divisor, extents)
    columns = [axis.source for axis in axes], [axis.target for axis in axes], extents, *zip(*divisors, strict=True)
    rows = [np.array([*column, *[0] * (MAX_AXES - len(axes))], np.int64) for column in columns]
    return *rows, len(axes), mode, width, run


def _divisor(extent: int) -> tuple[int, int]:
    """Multiplier and shift of `divisor`; (0, 0) for an extent of 1, by which nothing is divided."""
    return divisor(extent) if extent > 1 else (0, 0)


def _lowest_bit(number: int) -> int:
    return number & -number


def _shape(forms: np.ndarray, units: np.ndarray, number: np.ndarray) -> tuple[tuple[int, int], tuple[int]]:
    """Grid and block: enough blocks for the whole GPU; where there are more, each does more work."""
    most, total = int(units[number].max()), int(units[number].sum())
    small = 1 << max(5, (-(-most // _IN_FLIGHT) - 1).bit_length())
    threads = THREADS if (forms["mode"] == _TILES).any() else min(THREADS, small)
    each = int(np.clip(total // _MIN_BLOCKS, threads * _IN_FLIGHT, threads * _IN_FLIGHT * 4))
    return (len(number), min(-(-most // each), 65535)), (threads,)
