"""A group as a data store of xarray: each array is a variable, as xarray's Zarr Encoding Specification has it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from types import FunctionType
from typing import Any

from xarray import coding
from xarray.backends import zarr as of_xarray
from xarray.backends.zarr import DIMENSION_KEY, FillValueCoder, ZarrStore
from xarray.core import indexing
from xarray.core.variable import Variable

from gpuzarr.api.opening import open_group
from gpuzarr.api.saving import consolidate_metadata
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import MetadataError, NotFoundError
from gpuzarr.integrations.xarray.codecs import codecs_as_encoding
from gpuzarr.integrations.xarray.filling import filled
from gpuzarr.integrations.xarray.lazy import StoredValues, on
from gpuzarr.metadata.files import plain
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.stores.handles import complete


class GpuZarrStore(ZarrStore):
    """`xarray.backends.ZarrStore` over a group of gpuzarr, so that what it writes is what xarray writes.

    The group is on the CPU, as xarray reads coordinates with it; `device` is where values to write are encoded.
    """

    __slots__ = ("consolidates", "device")
    device: Device
    consolidates: bool

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.device, self.consolidates = CPU, False

    @classmethod
    def open_group(
        cls,
        store: Any,
        mode: Any = "r",
        group: str | None = None,
        consolidated: bool | None = False,
        consolidate_on_close: bool = False,
        storage_options: dict[str, Any] | None = None,
        *,
        zarr_format: Any = None,
        use_zarr_fill_value_as_mask: bool | None = None,
        device: str | Device = "auto",
        **options: Any,
    ) -> GpuZarrStore:
        """Open a group, or make one as `mode` says; `options` are others of `ZarrStore`."""
        found = device_of(device)  # before anything is replaced, for its error
        given = {"device": "cpu", "storage_options": storage_options, "zarr_format": zarr_format}
        node = opened(store, group, consolidated, mode="a" if mode == "a-" else mode, **given)
        masks = is_mask(use_zarr_fill_value_as_mask, node)
        made = cls(node, mode, use_zarr_fill_value_as_mask=masks, **options)
        made.device, made.consolidates = found, consolidate_on_close
        return made

    @classmethod
    def open_store(cls, store: Any, mode: Any = "r", group: Any = None, **options: Any) -> dict[Any, GpuZarrStore]:
        """Open a group and those below it, by their paths."""
        return dict(cls.open_group(store, mode, group, **options).subtree("/" if group is None else group))

    def subtree(self, path: str) -> Iterator[tuple[str, GpuZarrStore]]:
        """This group, which is at `path`, and those below it, by their paths."""
        yield path, self
        for name, node in self.members.items():
            if isinstance(node, Group):
                yield from self._below(node).subtree(posixpath.join(path, name))

    def get_child_store(self, group: str) -> GpuZarrStore:
        """The group at a path below this one, which is made if there is none."""
        return self._below(self.zarr_group.require_group(group))

    def _below(self, group: Group) -> GpuZarrStore:
        made = type(self)(
            group,
            self._mode,
            False,
            self._append_dim,
            self._write_region,
            self._safe_chunks,
            self._write_empty,
            self._close_store_on_close,
            self._use_zarr_fill_value_as_mask,
            self._align_chunks,
            self._cache_members,
        )
        made.device, made.consolidates = self.device, self.consolidates
        return made

    def close(self) -> None:
        """Complete a store that others see only as a whole, such as an archive."""
        if self._mode != "r":
            complete(self.zarr_group.store)

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

    def encode_variable(self, variable: Variable, name: Any = None) -> Variable:
        """A variable as it is stored, as `ZarrStore.encode_variable` has it, with its values where they are."""
        encoded: Variable = super().encode_variable(filled(variable, name), name=name)
        return encoded

    def store(self, variables: Any, attributes: Any, *others: Any, **options: Any) -> None:
        """Write variables and attributes, as `ZarrStore.store` does, and consolidate metadata if that was asked for."""
        _STORE(self, variables, attributes, *others, **options)
        if self.consolidates:
            consolidate_metadata(self.zarr_group.store, zarr_format=self.zarr_group.zarr_format)

    def _open_existing_array(self, *, name: str) -> Array:
        array = self.zarr_group[name]
        if self._write_empty is not None:
            array = array.with_config({"write_empty_chunks": self._write_empty})
        return self._on_device(array)

    def _create_new_array(
        self, *, name: str, dtype: Any, encoding: dict[str, Any], attrs: dict[str, Any], **options: Any
    ) -> Array:
        """Make an array with its attributes: xarray writes the document again to put them in."""
        of_encoding = encoding.pop("write_empty_chunks", None)
        config = [empty for empty in (self._write_empty, of_encoding) if empty is not None]
        if len(set(config)) > 1:
            raise ValueError(
                f"write_empty_chunks is {self._write_empty}, and in the encoding of {name!r} {of_encoding}"
            )
        encoding.pop("fill_value", None)  # it is among the options
        try:
            attributes = plain(attrs)
        except TypeError as error:
            raise TypeError(f"Invalid attribute in Dataset.attrs. {error}") from error
        made = self.zarr_group.create(
            name,
            dtype=str if coding.strings.check_vlen_dtype(dtype) is str else dtype,
            attributes=attributes,
            config={"write_empty_chunks": config[0]} if config else None,
            **encoding,
            **options,
        )
        return self._on_device(made)

    def _on_device(self, array: Array) -> Array:
        """An array as it is written: index coordinates on the CPU, others on the device."""
        device = CPU if array.dimension_names == (array.basename,) else self.device
        return on(array, device)


# `ZarrStore.store` without its import of zarr-python, which it needs only to consolidate metadata
_STORE = FunctionType(
    ZarrStore.store.__code__,
    {**vars(of_xarray), "attempt_import": lambda name: None},
    argdefs=ZarrStore.store.__defaults__,
)


def opened(place: Any, group: str | None, consolidated: bool | None, **given: Any) -> Group:
    """The group at a path of a store. `given`: others of `open_group`."""
    path = (group or "").strip("/")
    if path and consolidated is not False and given.get("mode", "r") in ("r", "r+"):
        with suppress(NotFoundError, MetadataError):  # metadata are consolidated at the root, if anywhere
            if isinstance(found := open_group(place, "", consolidated=consolidated, **given)[path], Group):
                return found
    return open_group(place, path, consolidated=consolidated, **given)


def is_mask(asked: bool | None, group: Group) -> bool:
    """Whether fill values mark missing values: as was asked for; by default in Zarr v2 only, as xarray has it."""
    return group.zarr_format == 2 if asked is None else asked


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
    """The dtype that xarray is told: for strings as objects, one that says so; None: that of the array."""
    is_text = array.dtype.kind == "O" and array.metadata.data_type.name == "string"
    return coding.strings.create_vlen_dtype(str) if is_text else None


def _encoding(array: Array, dimensions: tuple[Any, ...]) -> dict[str, Any]:
    """How the array is stored, by the names of xarray's encodings. dask blocks are to be whole shards, if any."""
    chunks = _sizes(array.chunks)
    preferred = chunks if array.shards is None else _sizes(array.shards)
    return {
        "chunks": chunks,
        "preferred_chunks": dict(zip(dimensions, preferred, strict=True)),
        **codecs_as_encoding(array),
    }


def _sizes(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes of chunks as xarray has them: a tuple for an axis whose chunks differ in more than a shorter last one."""
    return tuple(each[0] if isinstance(each, tuple) and _is_regular(each) else each for each in sizes)


def _is_regular(sizes: tuple[int, ...]) -> bool:
    return bool(sizes) and len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]
