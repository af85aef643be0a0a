"""sharding_indexed: many inner chunks, each encoded by itself, and an index of their places.

Source: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html

A chain of this codec alone is a layout: `gpuzarr.indexing.layout` uses `inner`, `index_bytes` and `entries`, and never
decodes a whole shard. `decode` and `encode` serve other chains: codecs around a shard, or a transpose before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Codec, parse
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.empty_chunk import is_empty
from gpuzarr.errors import CodecError, MetadataError

EMPTY = 2**64 - 1  # offset and size of a missing inner chunk
_ROOM = 2  # times the bytes of all inner chunks: some writers leave the old ones where they were


@dataclass(frozen=True)
class ShardingIndexed:
    names = ("sharding_indexed",)
    ids = ()
    kind = "array->bytes"

    chunk_shape: tuple[int, ...]
    codecs: tuple[Codec, ...]
    index_codecs: tuple[Codec, ...]
    index_location: Literal["start", "end"] = "end"

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> ShardingIndexed:
        known = {"chunk_shape", "codecs", "index_codecs", "index_location"}
        if unknown := set(configuration) - known:
            raise MetadataError(f"sharding_indexed has unknown members {sorted(unknown)}")
        shape = configuration.get("chunk_shape")
        if not isinstance(shape, list) or not all(type(n) is int and 0 < n < 2**63 for n in shape):
            raise MetadataError(f"chunk_shape of sharding_indexed must be a list of positive integers, not {shape!r}")
        location = configuration.get("index_location", "end")
        if location not in ("start", "end"):
            raise MetadataError(f"index_location of sharding_indexed must be 'start' or 'end', not {location!r}")
        for name in ("codecs", "index_codecs"):
            if name not in configuration:
                raise MetadataError(f"sharding_indexed needs {name!r}")
        inner, index = (parse(configuration[name]) for name in ("codecs", "index_codecs"))
        return cls(tuple(shape), inner, index, location)

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        if len(spec.shape) != len(self.chunk_shape):
            raise MetadataError(f"inner chunk_shape {self.chunk_shape} has not the {len(spec.shape)} axes of the shard")
        if any(n % c for n, c in zip(spec.shape, self.chunk_shape, strict=True)):
            raise MetadataError(f"inner chunk_shape {self.chunk_shape} does not divide the shard's shape {spec.shape}")
        index, inner = self.index_bytes(spec), self.inner(spec).stored
        at_most = None if inner.bound is None else index + _ROOM * prod(self.counts(spec)) * inner.bound
        return BytesSpec(None, at_most, inner.allowed)

    def counts(self, spec: ChunkSpec) -> tuple[int, ...]:
        """Inner chunks of a shard along each axis."""
        return tuple(n // c for n, c in zip(spec.shape, self.chunk_shape, strict=True))

    def inner(self, spec: ChunkSpec) -> Chain:
        """The chain of the inner chunks."""
        return Chain.build(self.codecs, replace(spec, shape=self.chunk_shape))

    def _index(self, spec: ChunkSpec) -> Chain:
        return _index_chain(self.index_codecs, self.counts(spec))

    def index_bytes(self, spec: ChunkSpec) -> int:
        """Bytes of the encoded index. MetadataError where its codecs make that vary, or too large."""
        chain = self._index(spec)
        nbytes = chain.stored.nbytes
        if nbytes is None:
            name = chain.steps[-1].name
            raise MetadataError(
                f"index_codecs of sharding_indexed must produce a fixed-size encoding; {name!r} does not"
            )
        if nbytes > 1 << 31:
            raise MetadataError(f"the index of a shard would take {nbytes} bytes")
        return int(nbytes)

    def entries(self, encoded_batch: EncodedBatch, spec: ChunkSpec) -> np.ndarray:
        """Decode the indexes of many shards: int64 (n, inner chunks, 2), offset and size, -1 for missing chunks.

        CodecError for an index that is damaged or names impossible places.
        """
        batch = self._index(spec).decode(encoded_batch, CPU)
        table = np.ascontiguousarray(batch, np.uint64).reshape(len(encoded_batch), prod(self.counts(spec)), 2)
        empty = (table == np.uint64(EMPTY)).all(axis=2)
        table = np.where(empty[..., None], np.uint64(0), table)
        bad = (table >= np.uint64(1 << 62)).any(axis=2)
        if bad.any():
            shard, chunk = (int(i) for i in np.argwhere(bad)[0])
            raise CodecError(f"the shard index puts inner chunk {chunk} at {table[shard, chunk].tolist()}", shard)
        entries = table.astype(np.int64)
        entries[empty] = -1
        return entries

    def why_host(self, spec: ChunkSpec) -> str | None:
        return self.inner(spec).host_steps[1]

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return "shards inside of other codecs are put together on the host"

    def decode(self, shards: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        """Decode whole shards to a batch (n, *spec.shape)."""
        counts, inner, index_bytes = self.counts(spec), self.inner(spec), self.index_bytes(spec)
        if shards.host is None and device.gpu:
            shards = EncodedBatch(shards.data, shards.starts, shards.sizes, device.download(shards.data))
        if (shards.sizes < index_bytes).any():
            raise CodecError("the shard is too short to hold its index", int(np.argmax(shards.sizes < index_bytes)))
        at = shards.starts + (shards.sizes - index_bytes if self.index_location == "end" else 0)
        host = shards.data if shards.host is None else shards.host
        entries = self.entries(EncodedBatch(host, at, np.full(len(shards), index_bytes)), spec)
        outside = entries.sum(axis=2) > shards.sizes[:, None]
        if outside.any():
            raise CodecError("the shard index names bytes beyond the shard", int(np.argwhere(outside)[0, 0]))
        shard, chunk = np.nonzero(entries[..., 0] >= 0)
        found = entries[shard, chunk]
        out = device.xp.full((len(shards) * prod(counts), *self.chunk_shape), spec.fill_value, spec.dtype)
        if len(shard):
            encoded_batch = EncodedBatch(shards.data, shards.starts[shard] + found[:, 0], found[:, 1], shards.host)
            decoded = self._decode_inner(inner, encoded_batch, device, shard)
            out[device.xp.asarray(shard * prod(counts) + chunk)] = decoded
        outer, inside, both = self._axes(counts)
        apart = out.reshape((len(shards), *[counts[i] for i in outer], *[self.chunk_shape[i] for i in inside]))
        return apart.transpose(both).reshape((len(shards), *spec.shape))

    def _axes(self, counts: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
        """The axes with several inner chunks, those with several elements in each, and the order of both in a shard.

        Axes of length 1 are left out: NumPy has 64 axes, and a shard may have as many. The order is that of the axes of
        an array (n, counts of the first, elements of the second) which make them a shard, pair by pair.
        """
        outer = [i for i, n in enumerate(counts) if n > 1]
        inside = [i for i, n in enumerate(self.chunk_shape) if n > 1]
        keys = [(i, 0) for i in outer] + [(i, 1) for i in inside]
        return outer, inside, [0, *(1 + place for place in sorted(range(len(keys)), key=keys.__getitem__))]

    @staticmethod
    def _decode_inner(inner: Chain, encoded_batch: EncodedBatch, device: Device, shard: np.ndarray) -> Any:
        with _naming_shard(shard):
            batch = inner.run(encoded_batch, device)
            if complete := device.checked():
                complete()  # at once: the numbers of inner chunks mean nothing outside
            return batch

    def index(self, table: np.ndarray, spec: ChunkSpec) -> np.ndarray:
        """Encode the index of a shard. `table`: uint64 (inner chunks, 2), offset and size, EMPTY for missing chunks."""
        encoded_batch = self._index(spec).encode(table.reshape(1, *self.counts(spec), 2), CPU)
        encoded: np.ndarray = encoded_batch[0]
        return encoded

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        """Encode a batch (n, *spec.shape) to whole shards: inner chunks in C order, no empty ones, and the index."""
        counts, n = self.counts(spec), len(chunks)
        outer, inside, both = self._axes(counts)
        lengths = [n, *[counts[i] for i in outer], *[self.chunk_shape[i] for i in inside]]
        inner_chunks = chunks.reshape([lengths[axis] for axis in both])
        inner_chunks = inner_chunks.transpose(np.argsort(both).tolist())
        inner_chunks = inner_chunks.reshape((n * prod(counts), *self.chunk_shape))
        stored = np.flatnonzero(~is_empty(inner_chunks, spec.fill_value))
        shard = stored // prod(counts)
        with _naming_shard(shard):
            inner = self.inner(spec).encode(inner_chunks[device.xp.asarray(stored)], device)
        pieces = [self._shard(inner.take(shard == i), stored[shard == i] % prod(counts), spec) for i in range(n)]
        out = CPU.encoded_batch(np.array([sum(map(len, piece)) for piece in pieces], np.int64))
        for i, piece in enumerate(pieces):
            out[i][...] = np.concatenate(piece)
        return out

    def _shard(self, inner: EncodedBatch, numbers: np.ndarray, spec: ChunkSpec) -> list[np.ndarray]:
        """The pieces of a shard, in order: its index, and the encoded inner chunks."""
        at_start = self.index_location == "start"
        table = np.full((prod(self.counts(spec)), 2), EMPTY, np.uint64)
        table[numbers, 0] = np.cumsum(inner.sizes) - inner.sizes + (self.index_bytes(spec) if at_start else 0)
        table[numbers, 1] = inner.sizes
        body = [inner.on_host(i) for i in range(len(inner))]
        index = self.index(table, spec)
        return [index, *body] if at_start else [*body, index]


@contextmanager
def _naming_shard(shard: np.ndarray) -> Iterator[None]:
    """Turn the index of inner chunk i in a CodecError into that of its shard, shard[i]."""
    try:
        yield
    except CodecError as error:
        error.index = None if error.index is None else int(shard[error.index])
        raise


@lru_cache(256)
def _index_chain(steps: tuple[Codec, ...], counts: tuple[int, ...]) -> Chain:
    return Chain.build(steps, ChunkSpec((*counts, 2), np.dtype(np.uint64), np.uint64(EMPTY)))


CODEC = ShardingIndexed
