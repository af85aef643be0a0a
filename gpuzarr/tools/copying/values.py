"""The values of a copy: read from the source, and cast by value. And whether the copy has the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EACCES, EIO, EPERM
from itertools import pairwise, product
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs.cast_value import CastValue
from gpuzarr.cpu.casting import cast
from gpuzarr.cpu.elements import native
from gpuzarr.errors import ChunkError, CodecError, GpuZarrError, StoreError, ValueKindError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.sizes import read_sizes
from gpuzarr.tools.copying.changes import Part

PIECE_ELEMENTS = 1 << 15  # that are cast at once, so that what is computed on the way stays in a core's cache
Region = tuple[slice, ...]
Damaged = Callable[[GpuZarrError], None]  # notes a chunk in the place of which there is the fill value
UNREADABLE = (EIO, EACCES, EPERM)  # errors of the operating system about an object, not about the whole machine


@dataclass(frozen=True)
class ValueCast:
    """Numbers cast by value, by the rules of the Zarr extension `cast_value`. Bools count as 0 and 1."""

    dtype: np.dtype
    rounding: str
    out_of_range: str

    @classmethod
    def between(cls, source: np.dtype, dtype: np.dtype, rounding: str, out_of_range: str) -> ValueCast:
        """The cast. MetadataError where there is none between these dtypes."""
        codec = CastValue(dtype.name, rounding, out_of_range)
        codec.encoded(ChunkSpec((1,), np.dtype(np.uint8) if source.kind == "b" else source, None))
        return cls(dtype, rounding, out_of_range)

    def of(self, values: np.ndarray) -> np.ndarray:
        """The values in the other dtype. ValueKindError for the first one that it does not hold."""
        numbers = np.ascontiguousarray(values.view(np.uint8) if values.dtype.kind == "b" else native(values))
        flat, made = numbers.reshape(-1), np.empty(values.size, self.dtype)
        try:
            for i in range(0, len(flat), PIECE_ELEMENTS):
                piece = slice(i, i + PIECE_ELEMENTS)
                made[piece] = cast(flat[None, piece], self.dtype, self.rounding, self.out_of_range)[0]
            return made.reshape(values.shape)
        except CodecError as error:
            problem = str(error).removeprefix("cast_value: ")
            raise ValueKindError(f"a value cannot be cast to {self.dtype}: {problem}") from error


@dataclass(frozen=True)
class Values:
    """The values of a copy, by its regions.

    `damaged`: where it is given, a chunk that cannot be decoded is the fill value, and is noted; with `skips`, also one
    that cannot be read.
    """

    array: Array
    part: Part
    cast: ValueCast | None
    memory_limit: int
    damaged: Damaged | None = None
    skips: bool = False

    def read(self, region: Region) -> Any:
        """Read a region of the copy from the source, and cast it. ValueKindError, naming the array, where it cannot."""
        values = self._read(self.part.of(region))
        if self.cast is None:
            return values
        try:
            return self.cast.of(np.asarray(values))
        except ValueKindError as error:
            where = ", ".join(f"{each.start}:{each.stop}" for each in region)
            raise ValueKindError(f"array {self.array.name!r}, in [{where}] of the copy: {error}") from error

    def _read(self, selection: tuple[slice | int, ...]) -> Any:
        try:
            return self.array.get(selection, memory_limit=self.memory_limit)
        except (ChunkError, StoreError) as error:
            if self.damaged is None or not self._passes(error):
                raise
        return self._read_in_parts(selection)

    def _passes(self, error: GpuZarrError) -> bool:
        """Whether the fill value takes the place of what cannot be read because of this."""
        is_of_object = self.skips and isinstance(error, StoreError) and error.errno in UNREADABLE
        return isinstance(error, ChunkError) or is_of_object

    def _read_in_parts(self, selection: tuple[slice | int, ...]) -> Any:
        """Read chunk by chunk, with the fill value in the place of those that are damaged."""
        assert self.damaged is not None
        whole = np.full(self.array.shape and _lengths(selection, self.array.shape), self._fill(), self.array.dtype)
        for source, target in _by_chunks(self.array, selection):
            try:
                whole[target] = np.asarray(self.array.get(source, memory_limit=self.memory_limit))
            except (ChunkError, StoreError) as error:
                if not self._passes(error):
                    raise
                self.damaged(error)
        dropped = tuple(0 if isinstance(each, int) else slice(None) for each in selection)
        return whole[dropped]

    def _fill(self) -> Any:
        return self.array.metadata.fill_value


def _lengths(selection: tuple[slice | int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(len, _ranges(selection, shape)))


def _ranges(selection: tuple[slice | int, ...], shape: tuple[int, ...]) -> list[range]:
    pairs = zip(selection, shape, strict=True)
    return [range(each, each + 1) if isinstance(each, int) else range(n)[each] for each, n in pairs]


def _by_chunks(array: Array, selection: tuple[slice | int, ...]) -> Iterator[tuple[Region, Region]]:
    """The parts of a selection that lie in one chunk each: as a selection of the array, and as a part of the result."""
    axes = zip(_ranges(selection, array.shape), read_sizes(array.metadata), strict=True)
    for pieces in product(*(list(_runs(indices, sizes)) for indices, sizes in axes)):
        yield tuple(piece for piece, _ in pieces), tuple(place for _, place in pieces)


def _runs(indices: range, sizes: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """The indices of an axis, cut where chunks end: as a slice of the axis, and as a slice of the result."""
    edges = np.cumsum((0, *sizes))
    chunks = np.searchsorted(edges, np.arange(indices.start, indices.stop, indices.step), side="right")
    bounds = [0, *(np.flatnonzero(np.diff(chunks)) + 1).tolist(), len(indices)]
    for start, stop in pairwise(bounds):
        run = indices[start:stop]
        if run:
            end = None if run.step < 0 and run.stop < 0 else run.stop
            yield slice(run.start, end, run.step), slice(start, stop)


def equal_bits(a: Any, b: Any) -> bool:
    """True if two arrays of the host have the same elements, bit by bit; those of variable size by their values."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.hasobject or a.dtype.kind == "T":
        return bool(all(_same(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)))
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def first_difference(a: Any, b: Any) -> str:
    """Where two arrays of one shape and dtype differ first, in how many elements, and what is there, as text."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype} of shape {a.shape}, not {b.dtype} of shape {b.shape}"
    places = np.flatnonzero(_differ(a.ravel(), b.ravel()))
    if not len(places):
        return "nothing, when it is compared again"
    first = tuple(map(int, np.unravel_index(places[0], a.shape)))
    return f"{len(places)} elements, first at {list(first)} of it: {a[first]!r}, not {b[first]!r}"


def _differ(a: np.ndarray, b: np.ndarray) -> Any:
    """For each element of two flat arrays whether its bits differ."""
    if a.dtype.hasobject or a.dtype.kind == "T":
        return np.array([not _same(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)], bool)
    bits = [np.ascontiguousarray(each).view(np.uint8).reshape(len(each), each.itemsize) for each in (a, b)]
    return (bits[0] != bits[1]).any(axis=1)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and equal_bits(a, b)
    return bool(a == b) or (a != a and b != b)
