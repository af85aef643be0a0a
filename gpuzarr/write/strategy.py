"""What is written together: batches of chunks, and the target they go to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.checks import shown
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.pipeline import Complete
from gpuzarr.indexing.grid import Part, distinct
from gpuzarr.indexing.layout import Layout
from gpuzarr.stores.contract import Store
from gpuzarr.write.shards import Shard

BUNDLE = 64  # partly covered chunks whose locks are held at once
SHARDS = 8  # the same of shards
OF_READING = ("order", "sharding_coalesce_max_gap_bytes", "sharding_coalesce_max_bytes")  # in zarr-python's config
NOTHING = EncodedBatch(np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Target:
    """Where is written. `safe`: lock what is covered in part. `empty`: also store chunks of nothing but fill value."""

    store: Store
    path: str
    layout: Layout
    safe: bool = True
    write_empty_chunks: bool = False

    @property
    def written(self) -> Layout:
        """What writing takes for objects, inner chunks and codecs: shards within shards are a codec."""
        return self.layout if len(self.layout.levels) < 2 else self.layout.outer


@dataclass(frozen=True)
class Writable:
    """How an array is written. `write_empty_chunks`: also store chunks of nothing but the fill value.

    `safe`: chunks and shards that a selection covers in part are locked while they are read, changed and written, so
    that several processes may write parts of the same one.
    """

    write_empty_chunks: bool = False
    safe: bool = True

    @classmethod
    def of(cls, config: Any) -> Writable:
        """As a `config` says: a dict, or zarr-python's ArrayConfig. What that says of reading is nothing here."""
        given = dict(config.to_dict() if hasattr(config, "to_dict") else config or {})
        given = {name: value for name, value in given.items() if name not in OF_READING}
        if given.pop("read_missing_chunks", True) is not True:
            raise ValueError("config: a missing chunk is the fill value; read_missing_chunks=False is not supported")
        if unknown := sorted(given.keys() - {"write_empty_chunks", "safe"}):
            raise ValueError(f"config has 'write_empty_chunks' and 'safe', not {shown(unknown)}")
        return cls(**given)


@dataclass(frozen=True)
class Batch:
    """Chunks of one shape that are gathered, encoded and stored together. `shards`: of each part, if there are any."""

    parts: tuple[Part, ...]
    shards: tuple[Shard | None, ...]
    covered: bool

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the innermost chunks, int64 (n, ndim)."""
        return np.concatenate([part.coords for part in self.parts])

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.parts[0].chunk_shape

    def rows(self) -> Iterator[tuple[Part, Shard | None, slice]]:
        """Each part, its shard, and its chunks' place in the batch."""
        first = 0
        for part, shard in zip(self.parts, self.shards, strict=True):
            yield part, shard, slice(first, first + len(part))
            first += len(part)

    def pieces(self, most: int) -> Iterator[tuple[Batch, slice]]:
        """Batches of at most `most` chunks, all of one part each, and their place in this one."""
        first = 0
        for part, shard in zip(self.parts, self.shards, strict=True):
            for piece in part.split(most):
                yield Batch((piece,), (shard,), self.covered), slice(first, first + len(piece))
                first += len(piece)


@dataclass(frozen=True)
class Loaded:
    """A batch; where chunks are covered in part, with the old ones, encoded: `encoded` has those that are there."""

    batch: Batch
    encoded: EncodedBatch | None = None
    present: np.ndarray | None = None

    def pieces(self, n: int) -> list[Loaded]:
        """Whole: a write has its batches for all threads made before."""
        return [self]


@dataclass(frozen=True)
class Gathered:
    """The new chunks of a batch. On a GPU only launched: `empty()` waits, and tells which are nothing but fill value.

    `check()`, if any, waits, and raises CodecError for the first old chunk that could not be decoded.
    """

    loaded: Loaded
    decoded: Any
    is_empty: Callable[[], np.ndarray]
    check: Complete | None


def units(found: Iterable[Part], layout: Layout) -> dict[tuple[int, ...], list[Part]]:
    """The parts of each shard."""
    made: dict[tuple[int, ...], list[Part]] = {}
    per_object = np.asarray(layout.per_object, np.int64)
    for part in found:
        shards, which = distinct(part.coords // per_object, layout.grid(0))
        for i, shard in enumerate(shards.tolist()):
            made.setdefault(tuple(shard), []).extend([part] if len(shards) == 1 else part.present(which == i))
    return made


def bundles(partly: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts with few chunks together."""
    bundle: list[Part] = []
    for part in partly:
        for piece in part.split(BUNDLE):
            if bundle and sum(map(len, bundle)) + len(piece) > BUNDLE:
                yield bundle
                bundle = []
            bundle.append(piece)
    if bundle:
        yield bundle


def groups(partly: Sequence[Sequence[Part]]) -> Iterator[Sequence[Sequence[Part]]]:
    """The parts of a few shards together."""
    for first in range(0, len(partly), SHARDS):
        yield partly[first : first + SHARDS]


def batch_of(pairs: Sequence[tuple[Part, Shard | None]], covered: bool) -> Batch:
    return Batch(tuple(part for part, _ in pairs), tuple(shard for _, shard in pairs), covered)


def count(pairs: Sequence[tuple[Part, Shard | None]]) -> int:
    return sum(len(part) for part, _ in pairs)


def places(chain: Chain, device: Device) -> tuple[tuple[str, str], ...]:
    """Each codec's name and where it encodes, in that order."""
    return tuple((name, device.name if device.gpu and on_gpu else "host") for name, on_gpu in chain.where_encoded())
