"""What is read from afar: stores of small and of large chunks, what is asked of them, and over which links.

The arrays are cubes of f4 in chunks of 64 KiB, and of 4 MiB; and in shards of 4 MiB with inner chunks of 64 KiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.layouts import Layout, fitted, numcodec, zarr_codec

Shape = tuple[int, ...]
Key = tuple[slice, ...]
SMALL, LARGE = (16, 32, 32), (64, 128, 128)  # 64 KiB and 4 MiB of f4
FEW, MANY = (128, 256, 256), (256, 512, 512)  # 512 of the small (or 8 shards), and 64 of the large
MIXED_SEED = 5
ABSENT = 2**64 - 1  # offset and size of an inner chunk that is not there
CHECKSUM_BYTES, ENTRY_BYTES = 4, 16  # of the index of a shard


@dataclass(frozen=True)
class Link:
    """What lies between the store and its reader. `bandwidth`: bytes a second."""

    latency_ms: float
    bandwidth: float = 200e6

    @property
    def name(self) -> str:
        return f"{self.latency_ms:g} ms"


LINKS = (Link(0), Link(10), Link(20))


@dataclass(frozen=True)
class Kept:
    """An array of this shape, stored in one layout. `many`: regions that are read at once."""

    layout: Layout
    shape: Shape
    many: int

    def smaller(self, part: int) -> Kept:
        """The same with so much less of each axis, for a test that it runs."""
        return Kept(self.layout, tuple(max(1, n // part) for n in self.shape), max(2, self.many // part))

    @property
    def chunks(self) -> Shape:
        return fitted(self.layout.chunks, self.shape)


def _kept() -> list[Kept]:
    zstd, none, lz4 = zarr_codec("ZstdCodec"), (lambda: None), numcodec("blosc", cname="lz4")
    chains = {"v3 raw": (3, none), "v3 zstd": (3, zstd), "v2 blosc-lz4": (2, lz4)}
    found = []
    for name, (zarr_format, compressor) in chains.items():
        small = Layout(f"{name}, 512 chunks of 64 KiB", zarr_format, SMALL, compressor)
        large = Layout(f"{name}, 64 chunks of 4 MiB", zarr_format, LARGE, compressor)
        found += [Kept(small, FEW, 64), Kept(large, MANY, 16)]
        if zarr_format == 3:
            found.append(Kept(Layout(f"{name}, 8 shards of 64 x 64 KiB", 3, SMALL, compressor, shards=LARGE), FEW, 64))
    return found


KEPT = _kept()


@dataclass(frozen=True)
class Question:
    """Regions of an array that are wanted together; `times` times in a round."""

    name: str
    keys: Sequence[Key]
    times: int = 1


def questions(kept: Kept) -> list[Question]:
    """All of it, one chunk, an eighth that is on no chunk's edge, and many small regions anywhere."""
    random, shape = np.random.default_rng(MIXED_SEED), kept.shape
    whole = tuple(slice(0, n) for n in shape)
    chunk = tuple(
        slice(n, 2 * n) if 2 * n <= length else slice(0, n) for n, length in zip(kept.chunks, shape, strict=True)
    )
    eighth = tuple(slice(n // 8 + 1, n // 8 + 1 + n // 2) for n in shape)
    sizes = fitted(SMALL, shape)
    starts = [
        [int(random.integers(0, n - size + 1)) for n, size in zip(shape, sizes, strict=True)] for _ in range(kept.many)
    ]
    many = [tuple(slice(start, start + size) for start, size in zip(corner, sizes, strict=True)) for corner in starts]
    return [
        Question("whole", [whole]),
        Question("one chunk", [chunk], 10),  # or most of it would be what the one before has left to do
        Question("a region", [eighth]),
        Question(f"{kept.many} regions", many),
    ]


def wanted_bytes(path: Path, kept: Kept, keys: Sequence[Key]) -> int:
    """Stored bytes of the chunks that the regions touch, each counted once, without metadata and indexes."""
    chunks = {at for key in keys for at in _touched(key, kept.chunks)}
    if kept.layout.shards is None:
        return sum(_file(path, kept, at).stat().st_size for at in chunks)
    inside = tuple(outer // inner for outer, inner in zip(_shards(kept), kept.chunks, strict=True))
    by_shard: dict[Shape, list[int]] = {}
    for at in chunks:
        shard, inner = zip(*[divmod(number, n) for number, n in zip(at, inside, strict=True)], strict=True)
        by_shard.setdefault(shard, []).append(int(np.ravel_multi_index(inner, inside)))
    return sum(_inner_bytes(_file(path, kept, shard), inside, inner) for shard, inner in by_shard.items())


def _touched(key: Key, chunks: Shape) -> Any:
    """Numbers of the chunks that a region touches."""
    return product(*[range(part.start // n, -(-part.stop // n)) for part, n in zip(key, chunks, strict=True)])


def _shards(kept: Kept) -> Shape:
    assert kept.layout.shards is not None
    return fitted(kept.layout.shards, kept.shape)


def _file(path: Path, kept: Kept, at: Shape) -> Path:
    """Where a chunk (or a shard) lies, as zarr-python names it."""
    return path / "c" / "/".join(map(str, at)) if kept.layout.zarr_format == 3 else path / ".".join(map(str, at))


def _inner_bytes(file: Path, inside: Shape, wanted: Sequence[int]) -> int:
    """Bytes of some inner chunks of a shard, by the index at its end."""
    count = int(np.prod(inside))
    data = file.read_bytes()[-ENTRY_BYTES * count - CHECKSUM_BYTES : -CHECKSUM_BYTES]
    sizes = np.frombuffer(data, "<u8").reshape(count, 2)[:, 1][wanted]
    return int(sizes[sizes != ABSENT].sum())
