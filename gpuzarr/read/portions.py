"""The chunks of a batch, and where they go: portions, each of one array and its result, or results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.dtypes.cast import Cast
from gpuzarr.errors import ChunkError, CodecError, RangeError
from gpuzarr.indexing.blocks import together
from gpuzarr.indexing.boxes import ReadPart, Targets
from gpuzarr.indexing.grid import coords_of
from gpuzarr.read.fetch import blamed
from gpuzarr.read.source import Source

if TYPE_CHECKING:
    from gpuzarr.read.memory import BatchBudget


@dataclass(frozen=True)
class Portion:
    """Chunks of one array, all of one shape, and the result in which they are placed; cast, if they are to be."""

    source: Source
    out: Any
    parts: tuple[ReadPart, ...]
    cast: Cast | None = None

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the innermost chunks, int64 (n, ndim)."""
        return coords_of(self.parts)

    @property
    def results(self) -> Sequence[Any]:
        """The results, as `gpu.place` wants them."""
        return self.out.results if isinstance(self.out, Targets) else (self.out,)

    def in_place(self, spec: ChunkSpec) -> EncodedBatch | None:
        """The memory in the result that is each chunk's, if it lies there in one piece."""
        memory = None if self.cast is not None or isinstance(self.out, Targets) else bytes_of(self.out, spec)
        if memory is None or spec.nbytes is None or (starts := destinations(self.parts, self.out)) is None:
            return None
        return EncodedBatch(memory, starts, np.full(len(starts), spec.nbytes))


@dataclass(frozen=True)
class Batch:
    """Chunks that are read, decoded and placed together; all of one shape, of equal codecs, and cast alike."""

    portions: tuple[Portion, ...]
    budget: BatchBudget

    def __len__(self) -> int:
        return sum(map(len, self.portions))

    @property
    def cast(self) -> Cast | None:
        return self.portions[0].cast

    @property
    def fill_value(self) -> Any:
        """What missing chunks are in the results."""
        fill_value = self.budget.chain.spec.fill_value
        return fill_value if self.cast is None else self.cast.one(fill_value)

    @property
    def placements(self) -> list[tuple[Sequence[ReadPart], Sequence[Any]]]:
        """The parts of each portion, and its results."""
        return [(together(portion.parts), portion.results) for portion in self.portions]

    @property
    def results(self) -> list[Any]:
        """The results of all portions."""
        return [out for portion in self.portions for out in portion.results]

    @cached_property
    def in_place(self) -> EncodedBatch | None:
        """The memory in the result that is each chunk's, if there is one result, and they lie there in one piece."""
        return self.portions[0].in_place(self.budget.chain.spec) if len(self.portions) == 1 else None

    def split(self, most: int) -> Iterator[Batch]:
        """The same chunks in batches of at most `most`."""
        return (replace(self, portions=some) for some in batched(self.portions, most))

    def blamed(self, error: CodecError | RangeError, present: np.ndarray) -> ChunkError:
        """Name the chunk whose fault an error is: number `error.index` of those that are present."""
        number = int(np.flatnonzero(present)[error.index or 0])
        for one in self.portions:
            if number < len(one) or one is self.portions[-1]:
                break
            number -= len(one)
        error.index = number
        return blamed(error, one.source, one.coords)


def batched(portions: Iterable[Portion], most: int) -> Iterator[tuple[Portion, ...]]:
    """Portions of at most `most` chunks together, in order; parts with more are split."""
    batch: list[Portion] = []
    chunks = 0
    for portion in portions:
        some: list[ReadPart] = []
        for part in portion.parts:
            for piece in (part,) if len(part) <= most else part.split(most):
                count = len(piece)
                if chunks and chunks + count > most:
                    yield (*batch, *_of(portion, some))
                    batch, some, chunks = [], [], 0
                some.append(piece)
                chunks += count
        batch.extend(_of(portion, some))
    if batch:
        yield tuple(batch)


def _of(portion: Portion, parts: Sequence[ReadPart]) -> tuple[Portion, ...]:
    return (replace(portion, parts=tuple(parts)),) if parts else ()


def bytes_of(out: Any, spec: ChunkSpec) -> Any:
    """The bytes of `out`, if chunks may be decoded straight to where they belong; else None."""
    fits = out.flags.c_contiguous and out.dtype == spec.dtype and spec.nbytes is not None
    return out.reshape(-1).view(np.uint8) if fits else None


def destinations(parts: Sequence[ReadPart], out: Any) -> np.ndarray | None:
    """Where in the bytes of `out` each chunk of the parts begins; None if one does not lie there in one piece."""
    starts: list[np.ndarray] = []
    for part in parts:
        if (begins := part.destination(out)) is None:
            return None
        starts.append(begins)
    return starts[0] if len(starts) == 1 else np.concatenate(starts)
