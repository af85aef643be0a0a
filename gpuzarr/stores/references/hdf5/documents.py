"""The groups and datasets of a file of HDF5 as documents of Zarr v2."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gpuzarr.stores.keys import start_of
from gpuzarr.stores.references.hdf5.chunks import Stored, grid_of, stored
from gpuzarr.stores.references.hdf5.types import Document, Refused, attributes_of, fill_of
from gpuzarr.stores.references.hdf5.walk import Forbidden, OpenFile, is_group, walk

NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
REFUSED = "HDF5: "  # the beginning of the name of a codec that nobody knows: opening the array says why


@dataclass(frozen=True)
class Placed:
    """A dataset: the number of its file among those that are open, and its path there; how it is stored."""

    file: int
    path: str
    grid: tuple[int, ...]
    how: Stored


@dataclass
class Documents:
    """Documents by their keys, those that are not listed, the datasets by their paths; and why others are refused.

    What cannot be read is not listed, as one such member would hide all others of a group; opening it says why.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    arrays: dict[str, Placed] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    _sizes: dict[tuple[int, int], str] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Any, other: OpenFile) -> Documents:
        """Look at all groups and datasets of a file, but at none of their chunks."""
        found = cls()
        for path, thing in walk(file, other):
            found._add(start_of(path), thing)
        return found

    def _add(self, start: str, thing: Any) -> None:
        if isinstance(thing, Forbidden):
            self._set(start, ".zarray", self._refuse(start, (), thing.reason))
            return
        attributes = attributes_of(thing)
        if is_group(thing):
            self._set(start, ".zgroup", {"zarr_format": 2})
        else:
            self._set(start, ".zarray", self._array(start, thing))
            attributes["_ARRAY_DIMENSIONS"] = self._dimensions(thing)
            if bytes(thing.attrs.get("NAME", b"")[:60]).startswith(NO_VARIABLE):
                self._hide(start)
        self._set(start, ".zattrs", attributes)

    def _set(self, start: str, name: str, document: Document) -> None:
        self.files[start + name] = json.dumps(document).encode()

    def _hide(self, start: str) -> None:
        self.unlisted |= {f"{start}.zarray", f"{start}.zattrs"}

    def _refuse(self, start: str, shape: Any, reason: str) -> Document:
        self._hide(start)
        self.refused[start.removesuffix("/")] = reason
        return _document(shape, shape, "|u1", None, [{"id": f"{REFUSED}{reason}"}])

    def _array(self, start: str, dataset: Any) -> Document:
        import h5py

        try:
            how = stored(dataset)
        except Refused as reason:
            return self._refuse(start, dataset.shape or (), str(reason))
        grid = grid_of(dataset.shape, how.chunks)
        self.arrays[start.removesuffix("/")] = Placed(h5py.h5o.get_info(dataset.id).fileno, dataset.name, grid, how)
        return _document(dataset.shape, how.chunks, how.dtype, fill_of(dataset), how.filters)

    def _dimensions(self, dataset: Any) -> list[str]:
        """The names of the axes: of dimension scales, else made up, the same name for the same size."""
        import h5py

        if len(dataset.shape or ()) == 1 and h5py.h5ds.is_scale(dataset.id):
            return [dataset.name.rpartition("/")[2]]
        names: list[str] = []
        seen: dict[int, int] = {}
        for axis, size in enumerate(dataset.shape or ()):
            if (name := _scale(dataset, axis)) is None:
                number = seen[size] = seen.get(size, -1) + 1
                name = self._sizes.setdefault((size, number), f"phony_dim_{len(self._sizes)}")
            names.append(name)
        return names


def _scale(dataset: Any, axis: int) -> str | None:
    """The name of the dimension scale of an axis."""
    try:
        scales = dataset.dims[axis]
        name = scales[0].name if len(scales) else None
    except (OSError, RuntimeError, KeyError, ValueError):  # a scale that is not there any more
        return None
    return None if name is None else str(name.rpartition("/")[2])


def _document(shape: Any, chunks: Any, dtype: Any, fill: Any, filters: list[Document]) -> Document:
    return {
        "zarr_format": 2,
        "shape": list(shape),
        "chunks": [max(1, each) for each in chunks],
        "dtype": dtype,
        "fill_value": fill,
        "filters": filters or None,
        "compressor": None,
        "order": "C",
    }
