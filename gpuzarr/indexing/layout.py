"""How an array is stored: the grid of its smallest chunks, their codecs, and the shards they lie in.

Where `sharding_indexed` is alone in its chain, its inner chunks are the chunks of the array and the
shards only say where they lie (`gpuzarr.indexing.locate` finds them); so the inner chunks of all shards join one
batch. Any other chain with a shard in it treats it as a codec.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ChunkError, CodecError, RangeError
from gpuzarr.metadata import ArrayMetadata, Axis, RectilinearAxis, RegularAxis

_SHARDS = 64  # to a batch of a GPU; of larger ones each has batches of its own


@dataclass(frozen=True)
class Level:
    """One level of shards."""

    codec: ShardingIndexed
    spec: ChunkSpec  # of the shard

    @cached_property
    def counts(self) -> tuple[int, ...]:
        return self.codec.counts(self.spec)

    @cached_property
    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """`counts`, and by how much the number of an inner chunk (in C order) grows along each axis."""
        strides = [prod(self.counts[axis + 1 :]) for axis in range(len(self.counts))]
        return np.array(self.counts, np.int64), np.array(strides, np.int64)

    @cached_property
    def index_bytes(self) -> int:
        return self.codec.index_bytes(self.spec)


@dataclass(frozen=True)
class Layout:
    """How one array is stored. `axes` is the grid of its innermost chunks."""

    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]  # outermost first
    keys: Callable[[np.ndarray], list[str]]  # of outermost chunks at (n, ndim) coordinates
    codecs: tuple[Any, ...]
    spec: ChunkSpec  # of an innermost chunk; its shape counts only where the grid is regular

    @cached_property
    def per_object(self) -> tuple[int, ...]:
        """Innermost chunks per object of the store, per axis."""
        counts = [level.counts for level in self.levels]
        return tuple(prod(c) for c in zip(*counts, strict=True)) if counts else (1,) * len(self.axes)

    def together(self, device: Device) -> tuple[int, ...]:
        """Chunks, per axis, that a batch should not mix with others: those of a shard; 0 where it may mix them all.

        A GPU's batch holds many small shards, and costs no more planning than without shards.
        """
        shard = prod(self.per_object) * (self.spec.nbytes or 0)
        mixed = not self.levels or (device.gpu and shard * _SHARDS < device.batch_bytes)
        return (0,) * len(self.axes) if mixed else self.per_object

    def grid(self, depth: int) -> tuple[int, ...]:
        """How many units of one depth (0: objects) the array has, per axis."""
        inner = [1] * len(self.axes)
        for level in self.levels[depth:]:
            inner = [i * n for i, n in zip(inner, level.counts, strict=True)]
        return tuple(-(-axis.count // n) for axis, n in zip(self.axes, inner, strict=True))

    @cached_property
    def grids(self) -> tuple[tuple[int, ...], ...]:
        """`grid` of each depth."""
        return tuple(map(self.grid, range(len(self.levels) + 1)))

    @cached_property
    def _chains(self) -> dict[tuple[int, ...], Chain]:
        return {}

    @cached_property
    def is_regular(self) -> bool:
        """Whether all chunks have the same shape."""
        return all(isinstance(axis, RegularAxis) for axis in self.axes)

    def chain(self, chunk_shape: tuple[int, ...]) -> Chain:
        """The codecs for innermost chunks of that shape."""
        found = self._chains.get(chunk_shape)
        if found is None:
            found = self._chains[chunk_shape] = Chain.build(self.codecs, replace(self.spec, shape=chunk_shape))
        return found

    def check(self) -> None:
        """MetadataError where the codecs do not follow each other, or do not fit the (first) chunk."""
        self.chain(tuple([*a.edges[1:2], 1][0] if isinstance(a, RectilinearAxis) else a.size for a in self.axes))

    @cached_property
    def outer(self) -> Layout:
        """The same array with its outermost chunks as units: their shards are a codec."""
        if not self.levels:
            return self
        level = self.levels[0]
        axes = tuple(RegularAxis(a.length, n) for a, n in zip(self.axes, level.spec.shape, strict=True))
        return Layout(axes, (), self.keys, (level.codec,), level.spec)

    def chunk_error(self, error: CodecError | RangeError, coords: np.ndarray, store: Any, path: str) -> ChunkError:
        """What to raise for an error of the array at `path`, with an index into `coords`: it is that chunk's fault."""
        chunk = tuple(coords[0 if error.index is None else error.index].tolist())
        codec = getattr(error, "codec", "") or "none"
        return ChunkError(str(error), store=repr(store), array=path, chunk=chunk, key=self.key(chunk), codec=codec)

    def key(self, coords: Sequence[int]) -> str:
        """The object in which one innermost chunk lies."""
        return self.keys(np.asarray([coords], np.int64).reshape(1, -1) // np.asarray(self.per_object, np.int64))[0]


def layout(metadata: ArrayMetadata, path: str) -> Layout:
    """The layout of an array at `path` of its store."""
    prefix = f"{path}/" if path else ""

    def keys(coords: np.ndarray) -> list[str]:
        names = metadata.chunk_keys.encode(coords)
        return [prefix + name for name in names] if prefix else names

    spec = ChunkSpec(metadata.chunk_shape, metadata.data_type.dtype, metadata.fill_value)
    axes, codecs = metadata.axes, metadata.codecs
    levels: list[Level] = []
    while metadata.regular and len(codecs) == 1 and isinstance(codecs[0], ShardingIndexed):
        levels.append(Level(codecs[0], spec))
        codecs[0].encoded(spec)
        axes = tuple(RegularAxis(a.length, n) for a, n in zip(axes, codecs[0].chunk_shape, strict=True))
        spec, codecs = replace(spec, shape=codecs[0].chunk_shape), codecs[0].codecs
    return Layout(axes, tuple(levels), keys, codecs, spec)
