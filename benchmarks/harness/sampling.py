"""What a training loop asks of a loader: crops of a volume, rows of a table, in batches, in random order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import layouts
from benchmarks.harness.layouts import Layout, fitted, measured

PLANES = 256  # of the table, as it is made


@dataclass(frozen=True)
class Sizes:
    """How large everything is. A chunk of the volume is `edge` cubed, one of the table `chunk_rows` whole rows.

    `large`, `small`: crops of an epoch, and of a batch. `memory`: MiB that a loader may keep, where one can say it, of
    large crops, small ones and rows in windows.
    """

    side: int = 512
    edge: int = 64
    rows: int = 131_072
    columns: int = 512
    chunk_rows: int = 512
    batch_rows: int = 1024
    large: tuple[int, int] = (512, 2)  # of two chunks' edge
    small: tuple[int, int] = (2048, 8)  # of a chunk's edge
    memory: tuple[int, int, int] = (224, 160, 64)


TINY = Sizes(32, 8, 512, 16, 16, 32, (16, 2), (32, 4), (64, 64, 64))


@dataclass(frozen=True)
class Question:
    """Samples of an edge (0: rows), so many in an epoch, and in a batch.

    `block`: elements of a block along each axis. `blocks`: how many are shuffled together; None: all. `memory`: bytes.
    """

    name: str
    edge: int
    samples: int
    batch: int
    block: int
    blocks: int | None
    memory: int
    normalized: bool = False

    @property
    def data(self) -> str:
        return "volume" if self.edge else "table"


def questions(sizes: Sizes) -> list[Question]:
    """In windows first, then from anywhere."""
    edge, (many, batch), (few, pair) = sizes.edge, sizes.small, sizes.large
    most = [mib << 20 for mib in sizes.memory]
    windowed = [
        Question(f"crops of {2 * edge} cubed", 2 * edge, few, pair, 2 * edge, 4, most[0]),
        Question(f"crops of {edge} cubed", edge, many, batch, 2 * edge, 8, most[1]),
        Question(f"crops of {edge} cubed, normalised", edge, many, batch, 2 * edge, 8, most[1], True),
        Question("rows", 0, sizes.rows, sizes.batch_rows, sizes.chunk_rows, 16, most[2]),
    ]
    anywhere = [replace(each, name=f"{each.name}, anywhere", blocks=None) for each in windowed if not each.normalized]
    return [*windowed, *anywhere]


def values(data: str, sizes: Sizes) -> np.ndarray:
    """A microscope's volume of u2, or a table of f4 whose rows begin with their number."""
    if data == "volume":
        return measured("u2", (sizes.side,) * 3)
    depth = min(PLANES, sizes.rows)
    table = measured("f4", (sizes.rows // depth, depth, sizes.columns)).reshape(sizes.rows, sizes.columns)
    table[:, 0] = np.arange(sizes.rows)
    return table


def kept(data: str, sizes: Sizes) -> tuple[Layout, Layout]:
    """How they are stored."""
    if data == "volume":
        chunks, shards = (sizes.edge,) * 3, (4 * sizes.edge,) * 3
    else:
        chunks, shards = (sizes.chunk_rows, sizes.columns), (8 * sizes.chunk_rows, sizes.columns)
    zstd, lz4 = layouts.zarr_codec("ZstdCodec"), layouts.numcodec("blosc", cname="lz4")
    return Layout("v3 zstd shards", 3, chunks, zstd, shards=shards), Layout("v2 blosc-lz4", 2, chunks, lz4)


def write(path: Path, layout: Layout, of: np.ndarray) -> None:
    """The array, in a group."""
    import zarr

    zarr.open_group(str(path.parent), mode="w", zarr_format=layout.zarr_format)
    layouts.write(path, layout, of)


@dataclass(frozen=True)
class Job:
    """An epoch of a question, as a process is told of it.

    `order`: a file with the origins of samples, int64 (samples, axes); `truth`: one with the array. `chunks`: decoded
    at once. `scale`, `offset`: what each element is multiplied with, and what is then added, as f4.
    """

    path: str
    truth: str
    order: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    edge: int
    samples: int
    batch: int
    block: int
    blocks: int | None
    memory: int
    device: str = "cpu"
    scale: float | None = None
    offset: float = 0.0

    @classmethod
    def of(cls, path: Path, of: np.ndarray, layout: Layout, question: Question, device: str) -> Job:
        """Where samples are not in windows there is memory enough for the array."""
        memory = question.memory if question.blocks else question.memory + 3 * of.nbytes
        normal = (1 / float(of.std()), -float(of.mean()) / float(of.std())) if question.normalized else (None, 0.0)
        truth, order = path.with_suffix(".truth.npy"), path.with_suffix(".order.npy")
        told = (question.edge, question.samples, question.batch, question.block, question.blocks)
        where = str(path), str(truth), str(order)
        return cls(*where, of.shape, fitted(layout.chunks, of.shape), *told, memory, device, *normal)

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        told = json.loads(text)
        return cls(**told | {"shape": tuple(told["shape"]), "chunks": tuple(told["chunks"])})

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (self.edge,) * len(self.shape) if self.edge else self.shape[1:]

    def decoded(self, chunks: int) -> float:
        """Elements of so many chunks, for an element of an epoch's samples."""
        whole = self.samples // self.batch * self.batch
        return chunks * prod(self.chunks) / (whole * prod(self.sample_shape))

    def batches(self) -> list[np.ndarray]:
        """The origins of each whole batch."""
        origins = np.load(self.order)
        return [origins[i : i + self.batch] for i in range(0, len(origins) - self.batch + 1, self.batch)]

    def slices(self, origin: Sequence[int]) -> tuple[slice, ...]:
        """The elements of a crop."""
        return tuple(slice(first, first + self.edge) for first in origin)

    def normal(self, batch: np.ndarray) -> np.ndarray:
        """What becomes of the elements of a batch, by NumPy."""
        if self.scale is None:
            return batch
        made = np.multiply(batch, np.float32(self.scale), dtype="f4")
        made += np.float32(self.offset)
        return made

    def truly(self, origins: np.ndarray) -> np.ndarray:
        """The batch of samples with these origins, from the file that has the array."""
        array = np.load(self.truth, mmap_mode="r")
        found = [array[self.slices(origin) if self.edge else origin[0]] for origin in origins.tolist()]
        return self.normal(np.stack(found))


def amplification(job: Job, batches: Sequence[np.ndarray]) -> float:
    """Bytes decoded for a byte delivered by who keeps nothing: chunks of each crop, or of each batch of rows."""
    chunks = np.array(job.chunks)
    if job.edge:
        origins = np.concatenate(batches)
        touched = np.prod((origins + job.edge - 1) // chunks - origins // chunks + 1, axis=1).sum()
    else:
        touched = sum(len(np.unique(rows // job.chunks[0])) for rows in batches)
    return job.decoded(int(touched))


def as_told(job: Job) -> dict[str, Any]:
    """What of a job belongs into a result."""
    return {
        "samples": job.samples,
        "batch": job.batch,
        "sample_shape": list(job.sample_shape),
        "chunks": list(job.chunks),
    }
