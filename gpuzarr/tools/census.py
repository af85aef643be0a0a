"""A census of an array: which chunks exist, how many bytes they take, how well they are compressed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from gpuzarr.indexing.layout import Layout
from gpuzarr.metadata import RegularAxis

MAX_AXIS_CHUNKS = 1 << 20  # of an axis along which chunks are counted
SIZE_BITS = 12  # of a size that are kept for the median: it is exact to 1 in 2048


@dataclass(frozen=True)
class AxisCensus:
    """Chunks along one axis: of each index of the chunk grid, how many are present, and their bytes.

    Attributes
    ----------
    present, stored_bytes
        For each index.
    chunks
        How many chunks the grid has at each index.
    decoded_bytes
        The bytes of a whole chunk, decoded, times `present`; None for elements of variable length.
    """

    present: list[int]
    stored_bytes: list[int]
    chunks: int
    decoded_bytes: list[int] | None

    def ratios(self) -> list[float | None]:
        """How many times as many bytes chunks of each index have when they are decoded; None where there are none."""
        decoded = self.decoded_bytes or [0] * len(self.stored_bytes)
        return [d / s if d and s else None for d, s in zip(decoded, self.stored_bytes, strict=True)]


@dataclass(frozen=True)
class ArrayCensus:
    """The chunks of one array that a store holds. Chunks of shards are counted by the indexes of the shards.

    Attributes
    ----------
    path
        The path of the array.
    chunks, present
        The chunks of the grid, and those that exist. The others read as the fill value.
    objects
        The objects of the store that hold them: chunks, or shards.
    object_bytes
        The bytes of these objects.
    stored_bytes
        The bytes of the chunks; what else is in shards is their indexes, and what nothing refers to any more.
    decoded_bytes
        The bytes of the chunks that exist, decoded; None for elements of variable length.
    min_bytes, median_bytes, max_bytes
        Sizes of stored chunks; the median is exact to 1 in 2048. None where there are no chunks.
    checked
        The chunks that were decoded.
    axes
        The same along each axis, where that was asked for, and an axis has at most a million chunks; else None.
    """

    path: str
    chunks: int
    present: int
    objects: int
    object_bytes: int
    stored_bytes: int
    decoded_bytes: int | None
    min_bytes: int | None
    median_bytes: int | None
    max_bytes: int | None
    checked: int = 0
    axes: list[AxisCensus | None] | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as many bytes the chunks have when they are decoded; None if that is not known."""
        return self.decoded_bytes / self.stored_bytes if self.decoded_bytes and self.stored_bytes else None


@dataclass
class Counting:
    """Counts the chunks of an array, some at a time."""

    path: str
    layout: Layout
    by_axis: bool = False
    checked: int = 0
    present: int = 0
    objects: int = 0
    object_bytes: int = 0
    stored: int = 0
    least: int | None = None
    largest: int | None = None
    sizes: dict[int, int] = field(default_factory=dict)
    along: list[tuple[np.ndarray, np.ndarray] | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        counts = [axis.count for axis in self.layout.axes]
        if self.by_axis:
            self.along = [
                (np.zeros(n, np.int64), np.zeros(n, np.int64)) if n <= MAX_AXIS_CHUNKS else None for n in counts
            ]

    def add_objects(self, sizes: np.ndarray) -> None:
        """Count objects of the store, by their bytes."""
        self.objects += len(sizes)
        self.object_bytes += int(sizes.sum())

    def add(self, coords: np.ndarray, sizes: np.ndarray) -> None:
        """Count chunks at `coords`, int64 (n, ndim), of so many stored bytes each."""
        if not len(sizes):
            return
        self.present += len(sizes)
        self.stored += int(sizes.sum())
        ends = int(sizes.min()), int(sizes.max())
        self.least = ends[0] if self.least is None else min(self.least, ends[0])
        self.largest = ends[1] if self.largest is None else max(self.largest, ends[1])
        for size, count in zip(*np.unique(_rounded(sizes), return_counts=True), strict=True):
            self.sizes[int(size)] = self.sizes.get(int(size), 0) + int(count)
        for axis, found in enumerate(self.along):
            if found is not None:
                np.add.at(found[0], coords[:, axis], 1)
                np.add.at(found[1], coords[:, axis], sizes)

    def result(self) -> ArrayCensus:
        """What was counted."""
        nbytes = self._chunk_bytes()
        counts = [axis.count for axis in self.layout.axes]
        return ArrayCensus(
            path=self.path,
            chunks=prod(counts),
            present=self.present,
            objects=self.objects,
            object_bytes=self.object_bytes,
            stored_bytes=self.stored,
            decoded_bytes=None if nbytes is None else nbytes * self.present,
            min_bytes=self.least,
            median_bytes=self._median(),
            max_bytes=self.largest,
            checked=self.checked,
            axes=[self._axis(axis, counts, nbytes) for axis in range(len(counts))] if self.by_axis else None,
        )

    def _chunk_bytes(self) -> int | None:
        """Decoded bytes of each chunk; None where they differ, or are not known."""
        spec = self.layout.spec
        is_regular = all(isinstance(axis, RegularAxis) for axis in self.layout.axes)
        return spec.nbytes if is_regular else None

    def _axis(self, axis: int, counts: list[int], nbytes: int | None) -> AxisCensus | None:
        found: Any = self.along[axis]
        if found is None:
            return None
        present, stored = (values.tolist() for values in found)
        decoded = None if nbytes is None else [n * nbytes for n in present]
        return AxisCensus(present, stored, prod(counts) // max(counts[axis], 1), decoded)

    def _median(self) -> int | None:
        """The lower median."""
        left = (self.present + 1) // 2
        for size in sorted(self.sizes):
            left -= self.sizes[size]
            if left <= 0:
                return size
        return None


def _rounded(sizes: np.ndarray) -> np.ndarray:
    """Sizes of which only the highest bits are kept, so that there are few different ones."""
    spare = np.maximum(np.ceil(np.log2(np.maximum(sizes, 1) + 1)).astype(np.int64) - SIZE_BITS, 0)
    return sizes >> spare << spare
