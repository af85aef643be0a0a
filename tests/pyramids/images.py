"""Images to write, and what their levels must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuzarr
from gpuzarr.devices.cpu import CPU
from gpuzarr.pyramids.downsample import downsample
from gpuzarr.pyramids.ownership import missing, shard_slices
from gpuzarr.pyramids.writer import ImageWriter, open_writer
from tests.hardware import host_array

Shape = Sequence[int]


@dataclass
class Plain:
    """Levels of an image without the metadata of OME."""

    levels: tuple[gpuzarr.Array, ...]
    factors: tuple[tuple[int, ...], ...]
    method: str = "mean"
    background: Any = None

    def writer(self, **options: Any) -> ImageWriter:
        return open_writer(self, **options)

    def missing(self, rank: int = 0, world_size: int = 1) -> list[tuple[slice, ...]]:
        return missing(self, rank, world_size)

    def shard_slices(self, rank: int, world_size: int) -> list[tuple[slice, ...]]:
        return shard_slices(self, rank, world_size)

    def check(self, expected: Any = None) -> None:
        """Each level is the one below it, reduced; the finest is as expected."""
        values = host_array(self.levels[0][...])
        if expected is not None:
            np.testing.assert_array_equal(values, expected)
        for level, window in zip(self.levels[1:], self.factors, strict=True):
            values = downsample(values, window, self.method, CPU, self.background)
            np.testing.assert_array_equal(host_array(level[...]), values)


def image(
    store: Any,
    shape: Shape,
    factors: Sequence[Shape],
    chunks: Shape,
    shards: Any = None,
    dtype: str = "uint16",
    method: str = "mean",
    device: Any = "cpu",
    **config: Any,
) -> Plain:
    """Make an image, or open the one that is there."""
    group, levels = gpuzarr.open_group(store, mode="a", device=device), []
    for i in range(len(factors) + 1):
        levels.append(
            group.require_array(
                str(i), shape=tuple(shape), dtype=dtype, chunks=tuple(chunks), shards=shards, fill_value=0, **config
            )
        )
        if i < len(factors):
            shape = [-(-n // f) for n, f in zip(shape, factors[i], strict=True)]
    return Plain(tuple(levels), tuple(map(tuple, factors)), method)


def noise(shape: Shape, seed: int = 0, dtype: str = "uint16") -> Any:
    return np.random.default_rng(seed).integers(0, 1000, tuple(shape)).astype(dtype)
