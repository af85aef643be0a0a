"""A group as a data store of xarray: each array is a variable, as xarray's Zarr Encoding Specification has it."""

from __future__ import annotations

from typing import Any

from xarray import coding
from xarray.backends.zarr import DIMENSION_KEY, FillValueCoder, ZarrStore, _compact_chunk_sizes
from xarray.core import indexing
from xarray.core.variable import Variable

from gpuzarr.errors import MetadataError
from gpuzarr.integrations.xarray.codecs import codecs_as_encoding
from gpuzarr.integrations.xarray.lazy import StoredValues
from gpuzarr.nodes.array import Array


class GpuZarrStore(ZarrStore):
    """`xarray.backends.ZarrStore` over a group of gpuzarr, so that what it writes is what xarray writes."""

    __slots__ = ()

    def array_keys(self) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(name for name, _ in self.arrays())

    def arrays(self) -> tuple[tuple[str, Array], ...]:
        """The names and arrays."""
        return tuple((name, node) for name, node in self.members.items() if isinstance(node, Array))

    def open_store_variable(self, name: str) -> Variable:
        """The array `name` as an undecoded variable, with lazy values."""
        array = self.members[name]
        dimensions, attributes = self._dimensions(array), _attributes(array)
        values = StoredValues(array, seen=_seen_dtype(array))
        encoding = _encoding(array, dimensions)
        if values.dtype.kind == "T":
            encoding["dtype"] = values.dtype
        self._note_fill_value(array, attributes, encoding)
        return Variable(dimensions, indexing.LazilyIndexedArray(values), attributes, encoding, fastpath=True)

    def get_dimensions(self) -> dict[Any, int]:
        """The length of each dimension. ValueError if arrays do not agree."""
        found: dict[Any, int] = {}
        for _, array in self.arrays():
            for name, length in zip(self._dimensions(array), array.shape, strict=True):
                if found.setdefault(name, length) != length:
                    raise ValueError(
                        f"found conflicting lengths for dimension {name} ({length} != {found[name]}) in {array!r}"
                    )
        return found

    def _dimensions(self, array: Array) -> tuple[Any, ...]:
        names = array.dimension_names
        if names is None and array.ndim:
            what = "`dimension_names` metadata" if array.zarr_format == 3 else f"attribute `{DIMENSION_KEY}`"
            raise MissingDimensionsError(
                f"{array!r} is missing the {what}, which is required for xarray to determine variable dimensions."
            )
        return names or ()

    def _note_fill_value(self, array: Array, attributes: dict[str, Any], encoding: dict[str, Any]) -> None:
        """Put the fill value where xarray looks for it: it marks missing values, or is how the array is stored."""
        if self._use_zarr_fill_value_as_mask:
            if array.fill_value is not None:
                attributes["_FillValue"] = array.fill_value
            return
        if self.zarr_group.metadata.zarr_format == 3:
            encoding["fill_value"] = array.fill_value
        if "_FillValue" in attributes:
            attributes["_FillValue"] = FillValueCoder.decode(attributes["_FillValue"], array.dtype)


class MissingDimensionsError(MetadataError, KeyError):
    """An array does not say the names of its dimensions."""

    __str__ = MetadataError.__str__


def _attributes(array: Array) -> dict[str, Any]:
    """The attributes that are the user's."""
    attributes = array.metadata.attributes
    if array.zarr_format == 3:
        return dict(attributes)
    hidden = {name for name in attributes if name == DIMENSION_KEY or name.lower().startswith("_nc")}
    return {name: value for name, value in attributes.items() if name not in hidden}


def _seen_dtype(array: Array) -> Any:
    """The dtype that xarray is told, with a note in it where objects are texts; None for that of the array."""
    is_text = array.dtype.kind == "O" and array.metadata.data_type.name == "string"
    return coding.strings.create_vlen_dtype(str) if is_text else None


def _encoding(array: Array, dimensions: tuple[Any, ...]) -> dict[str, Any]:
    """How the array is stored, by the names of xarray's encodings. Blocks of dask are to be whole shards, if any."""
    chunks = _sizes(array.chunks)
    preferred = chunks if array.shards is None else _sizes(array.shards)
    return {
        "chunks": chunks,
        "preferred_chunks": dict(zip(dimensions, preferred, strict=True)),
        **codecs_as_encoding(array),
    }


def _sizes(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes of chunks as xarray has them: a tuple for an axis whose chunks differ."""
    return _compact_chunk_sizes(tuple(each if isinstance(each, tuple) else (each,) for each in sizes))
