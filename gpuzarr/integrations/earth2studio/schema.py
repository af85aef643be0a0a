"""The coordinates and arrays of a store, which are made where they are missing and must agree where they exist."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ExistsError, NotFoundError
from gpuzarr.integrations.earth2studio import coords as systems
from gpuzarr.integrations.earth2studio.chunking import Chunking
from gpuzarr.integrations.earth2studio.coords import Coords, System
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group

WAIT_SECONDS, POLL_SECONDS = 10.0, 0.01  # for a coordinate that another process is storing


class Schema:
    """Opens and makes the arrays of a group; those of coordinates by `on_host`, the same group for the CPU.

    `parallel`: all values of coordinates of which others give a part. `arrays`: arrays that are open, by their names.
    ExistsError if the store has other values of those in `parallel`.
    """

    def __init__(self, root: Group, on_host: Group, parallel: Coords, chunking: Chunking, codecs: Any) -> None:
        self._root, self._on_host = root, on_host
        self._parallel, self._chunking, self._codecs = parallel, chunking, codecs
        self.arrays: dict[str, Array] = {}
        self._coords: Coords = {}
        for name, values in parallel.items():
            self._check(name, values)

    # coordinates

    def stored(self, system: System, *, complete: bool = False) -> Coords:
        """All coordinates of the dimensions of a system, which are stored if they are not there.

        `complete`: a system has all of them, but for those in `parallel`. ArgumentError for values that are not in
        `parallel` or in the store, ExistsError if the store has others; then nothing was stored.
        """
        whole = {name: self._parallel.get(name, values) for name, values in system.lines.items()}
        for name, values in system.lines.items():
            if name in self._parallel:
                systems.positions(name, whole[name], values)
            elif complete:
                self._check(name, values)
            elif (stored := self._known(name, values)) is not None:
                systems.positions(name, stored, values)
        for name, (values, _) in system.grids.items():
            self._check(name, values)
        for name, (values, dimensions) in system.grids.items():
            self._coordinate(name, values, dimensions)
        return {name: self._coordinate(name, values, [name]) for name, values in whole.items()}

    def known(self, system: System) -> Coords:
        """All coordinates of the dimensions of a system. NotFoundError for one that is not in the store."""
        for name in (*system.lines, *system.grids):
            if self._known(name) is None:
                raise NotFoundError(f"{self._root!r} has no coordinate {name!r}")
        for name, (values, _) in system.grids.items():
            self._check(name, values)
        return {name: self._coords[name] for name in system.lines}

    def positions(self, system: System) -> list[np.ndarray]:
        """Where the values of a system lie in the store, for each dimension. ArgumentError for others than there."""
        return [systems.positions(name, self._coords[name], values) for name, values in system.lines.items()]

    def _coordinate(self, name: str, values: np.ndarray, dimensions: list[str]) -> np.ndarray:
        if (stored := self._known(name, values)) is None:
            self._on_host.create_array(
                name,
                data=values,
                chunks=tuple(max(length, 1) for length in values.shape),
                compressors=self._codecs,
                dimension_names=dimensions,
                config={"write_empty_chunks": True},  # so that others see when it is complete
            )
            stored = self._coords[name] = values
        return stored

    def _known(self, name: str, expected: np.ndarray | None = None) -> np.ndarray | None:
        """The coordinate of this name in the store, which is read once."""
        if name not in self._coords and isinstance(found := self._on_host.get(name), Array):
            self._coords[name] = _read(found, expected)
        return self._coords.get(name)

    def _check(self, name: str, values: np.ndarray) -> None:
        stored = self._known(name, values)
        if stored is not None and not systems.same(stored, values):
            raise ExistsError(f"{self._root!r} has other values of the coordinate {name!r}: {shown(stored)}")

    # arrays

    def array(self, name: str, coords: Coords, dtype: Any = None) -> Array:
        """The array of this name, made with a dtype if there is none. ExistsError if it has other dimensions."""
        if dtype is not None and name not in self:
            return self.create(name, coords, dtype, {})
        self.check_dimensions(name, coords)
        array, shape = self.arrays[name], tuple(map(len, coords.values()))
        if array.shape != shape:
            raise ExistsError(f"{array!r} has shape {array.shape}, but its coordinates have {shape}")
        return array

    def check_dimensions(self, name: str, coords: Coords) -> None:
        """ExistsError if the array of this name has other dimensions. NotFoundError if there is none."""
        if name not in self.arrays:
            self.arrays[name] = self._root.get_array(name)
        found = self.arrays[name].dimension_names
        if found != tuple(coords):
            raise ExistsError(f"{self.arrays[name]!r} has the dimensions {found}, not {tuple(coords)}")

    def __contains__(self, name: str) -> bool:
        return name in self.arrays or name in self._root

    def create(self, name: str, coords: Coords, dtype: Any, options: dict[str, Any]) -> Array:
        """Make an array with these dimensions; `options` are others of `create_array`."""
        layout = {"chunks": self._chunking.chunk_shape(coords), "shards": self._chunking.shard_shape(coords)}
        self.arrays[name] = made = self._root.create_array(
            name,
            shape=tuple(map(len, coords.values())),
            dtype=dtype,
            dimension_names=list(coords),
            **{**layout, "compressors": self._codecs, **options},
        )
        return made


def _read(coordinate: Array, expected: np.ndarray | None) -> np.ndarray:
    """The values of a coordinate. Where they are not those expected, and not stored, another process may be at it."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        is_stored = coordinate.nchunks_initialized == coordinate.nchunks
        values: np.ndarray = coordinate[...]
        if is_stored or expected is None or systems.same(values, expected) or time.monotonic() > end:
            return values
        time.sleep(POLL_SECONDS)
