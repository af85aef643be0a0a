"""Storage layout of an array: the grid of its innermost chunks, their codecs, and the shards that hold them.

Where `sharding_indexed` is the only codec of its chain, its inner chunks are the chunks of the array, and shards only
say where they are (`gpuzarr.indexing.locate`); so one batch can hold inner chunks of many shards. In any other chain
it is decoded like every codec.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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

UNSIGNED = ("shape", "attributes", "dimension_names", "consolidated_metadata")  # members of documents
_MIN_SHARDS_PER_BATCH = 64  # on a GPU; larger shards get batches of their own


@dataclass(frozen=True)
class Level:
    """One level of nested shards."""

    codec: ShardingIndexed
    spec: ChunkSpec  # of the shard

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Inner chunks of a shard along each axis."""
        return self.codec.counts(self.spec)

    @cached_property
    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """`counts`, and the strides that number inner chunks in C order. int64 (ndim,) each."""
        strides = [prod(self.counts[axis + 1 :]) for axis in range(len(self.counts))]
        return np.array(self.counts, np.int64), np.array(strides, np.int64)

    @cached_property
    def index_bytes(self) -> int:
        """Bytes of the encoded shard index."""
        return self.codec.index_bytes(self.spec)


@dataclass(frozen=True)
class Layout:
    """Storage layout of one array. `axes` is the grid of its innermost chunks.

    `document`: the metadata document of the array; None where the chunks are not those of the array.
    """

    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]  # outermost first
    keys: Callable[[np.ndarray | Sequence[tuple[int, ...]]], list[str]]  # of the objects at coordinates (n, ndim)
    codecs: tuple[Any, ...]
    spec: ChunkSpec  # of an innermost chunk; its shape holds only where the grid is regular
    document: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def signature(self) -> str | None:
        """Text that is the same only where the same bytes at the same keys are the same chunks; None: never the same.

        It is what the document says, but for what changes while chunks stay what they are.
        """
        if self.document is None:
            return None
        said = {name: value for name, value in self.document.items() if name not in UNSIGNED}
        return json.dumps(said, sort_keys=True, default=repr)

    @cached_property
    def per_object(self) -> tuple[int, ...]:
        """Innermost chunks of an object of the store, along each axis."""
        counts = [level.counts for level in self.levels]
        return tuple(prod(c) for c in zip(*counts, strict=True)) if counts else (1,) * len(self.axes)

    def shard_chunks(self, device: Device) -> tuple[int, ...]:
        """Chunks of a shard along each axis, where a batch should be of one shard; 0 where it may be of many.

        A batch of a GPU is large and takes many small shards; planning it then costs no more than without shards.
        """
        shard = prod(self.per_object) * (self.spec.nbytes or 0)
        mixed = not self.levels or (device.gpu and shard * _MIN_SHARDS_PER_BATCH < device.batch_bytes)
        return (0,) * len(self.axes) if mixed else self.per_object

    def grid(self, depth: int) -> tuple[int, ...]:
        """Number of chunks of one depth (0: objects, the last: innermost chunks) along each axis."""
        inner = [1] * len(self.axes)
        for level in self.levels[depth:]:
            inner = [i * n for i, n in zip(inner, level.counts, strict=True)]
        return tuple(-(-axis.count // n) for axis, n in zip(self.axes, inner, strict=True))

    @cached_property
    def grids(self) -> tuple[tuple[int, ...], ...]:
        """`grid` of each depth, the outermost first."""
        return tuple(map(self.grid, range(len(self.levels) + 1)))

    @cached_property
    def chunk_count(self) -> int:
        """The number of innermost chunks."""
        return prod(axis.count for axis in self.axes)

    @cached_property
    def _chains(self) -> dict[tuple[int, ...], Chain]:
        return {}

    @cached_property
    def is_regular(self) -> bool:
        """Return True if all chunks have the same shape."""
        return all(isinstance(axis, RegularAxis) for axis in self.axes)

    def chain(self, chunk_shape: tuple[int, ...]) -> Chain:
        """Codec chain for innermost chunks of this shape."""
        found = self._chains.get(chunk_shape)
        if found is None:
            found = self._chains[chunk_shape] = Chain.build(self.codecs, replace(self.spec, shape=chunk_shape))
        return found

    @cached_property
    def _codecs(self) -> str:
        return repr(self.codecs)

    def kind(self, chunk_shape: tuple[int, ...]) -> tuple[Any, ...]:
        """What is equal for arrays whose chunks of this shape have equal chains."""
        fill_value = np.asarray(self.spec.fill_value)
        filled = fill_value.tobytes() if fill_value.dtype != object else repr(self.spec.fill_value)
        return self._codecs, chunk_shape, self.spec.dtype.str, repr(self.spec.dtype), filled

    @cached_property
    def first_chunk_shape(self) -> tuple[int, ...]:
        """The shape that the first chunk decodes to; that of all of them where the grid is regular."""
        return tuple([*a.decoded_sizes[:1], 1][0] if isinstance(a, RectilinearAxis) else a.size for a in self.axes)

    def check(self) -> None:
        """Raise MetadataError if the codecs cannot follow each other, or do not fit the first chunk."""
        self.chain(self.first_chunk_shape)

    @cached_property
    def outer(self) -> Layout:
        """Layout of the same array whose chunks are the objects: sharding is a codec."""
        if not self.levels:
            return self
        level = self.levels[0]
        axes = tuple(RegularAxis(a.length, n) for a, n in zip(self.axes, level.spec.shape, strict=True))
        return Layout(axes, (), self.keys, (level.codec,), level.spec)

    def chunk_error(self, error: CodecError | RangeError, coords: np.ndarray, store: Any, path: str) -> ChunkError:
        """ChunkError that names the array at `path` and chunk `coords[error.index]` (the first, without an index)."""
        chunk = tuple(coords[0 if error.index is None else error.index].tolist())
        codec = getattr(error, "codec", "") or "none"
        return ChunkError(str(error), store=repr(store), array=path, chunk=chunk, key=self.key(chunk), codec=codec)

    def key(self, coords: Sequence[int]) -> str:
        """Key of the object that holds the innermost chunk at `coords`."""
        return self.keys(np.asarray([coords], np.int64).reshape(1, -1) // np.asarray(self.per_object, np.int64))[0]


def layout(metadata: ArrayMetadata, path: str) -> Layout:
    """Layout of the array at `path` of its store."""
    prefix = f"{path}/" if path else ""

    def keys(coords: np.ndarray | Sequence[tuple[int, ...]]) -> list[str]:
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
    return Layout(axes, tuple(levels), keys, codecs, spec, metadata.document)
