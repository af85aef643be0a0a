"""How new arrays of forecasts are divided into chunks and shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import number, shown
from gpuzarr.errors import ArgumentError
from gpuzarr.integrations.earth2studio.coords import Coords

STEPS = ("ensemble", "time", "lead_time", "variable")  # chunks of 1, as in `earth2studio.io.ZarrBackend`


@dataclass(frozen=True)
class Chunking:
    """Sizes of chunks and shards by the names of dimensions; `alone`: dimensions with chunks of 1 otherwise."""

    alone: frozenset[str]
    chunks: dict[str, int]
    shards: dict[str, int]

    def chunk_shape(self, coords: Coords) -> tuple[int, ...]:
        """The chunks of an array: by default 1 along what is computed step by step, else the whole length."""
        return tuple(
            self.chunks.get(name, 1 if name in self.alone else max(len(values), 1)) for name, values in coords.items()
        )

    def shard_shape(self, coords: Coords) -> tuple[int, ...] | None:
        """The shards of an array, which are multiples of its chunks; None where none has more than one.

        A dimension without a size in `shards` has that of its chunks if it is computed step by step, else its whole
        length. ArgumentError for a size that is no multiple.
        """
        chunks = self.chunk_shape(coords)
        shape = []
        for (name, values), chunk in zip(coords.items(), chunks, strict=True):
            whole = chunk if name in self.alone else -(-max(len(values), 1) // chunk) * chunk
            if (size := self.shards.get(name, whole)) % chunk:
                raise ArgumentError(f"shard_coords[{name!r}] is {size}, which is no multiple of its chunks of {chunk}")
            shape.append(size)
        return tuple(shape) if self.shards.keys() & coords.keys() and tuple(shape) != chunks else None


def sizes(given: Any, what: str) -> dict[str, int]:
    """Check sizes by the names of dimensions. ArgumentError for what is none."""
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{what} must be a dict from names of dimensions to sizes, not {shown(given)}")
    return {name: number(size, f"{what}[{name!r}]", 1) for name, size in given.items()}
