"""Functions that zarr-python has beside `create_array` and `open`, and how they are said with these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from gpuzarr.api.opening import open_group
from gpuzarr.creation import DEFAULT
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import create_array
from gpuzarr.nodes.group import Group

Shape = int | Iterable[int]
Format = Literal[2, 3] | None


def create(
    shape: Shape,
    *,
    store: Any = None,
    path: str | None = None,
    dtype: Any = "float64",
    chunks: Any = None,
    **options: Any,
) -> Array:
    """A new array, in memory where no store is given. `options` are those of `create_array`."""
    store, chunks = {} if store is None else store, "auto" if chunks is None or chunks is True else chunks
    return create_array(store, name=path, shape=shape, dtype=dtype, chunks=chunks, **options)


def full(shape: Shape, fill_value: Any, **options: Any) -> Array:
    """As `create`; nothing is stored of what is nothing but the fill value."""
    return create(shape, fill_value=fill_value, **options)


def zeros(shape: Shape, **options: Any) -> Array:
    return full(shape, 0, **options)


def ones(shape: Shape, **options: Any) -> Array:
    return full(shape, 1, **options)


def empty(shape: Shape, **options: Any) -> Array:
    return full(shape, DEFAULT, **options)


def array(data: Any, *, store: Any = None, path: str | None = None, **options: Any) -> Array:
    """A new array of these values, in memory where no store is given. `options` are those of `create_array`."""
    return create_array({} if store is None else store, name=path, data=data, **options)


def group(store: Any = None, *, path: str | None = None, overwrite: bool = False, **options: Any) -> Group:
    """The group that is there, or a new one; in memory where no store is given. `options` are those of `open_group`."""
    return open_group({} if store is None else store, path or "", mode="w" if overwrite else "a", **options)


def from_array(
    store: Any,
    *,
    data: Any,
    name: str | None = None,
    write_data: bool = True,
    zarr_format: Format = None,
    **options: Any,
) -> Array:
    """A new array with the values of another one, of this library, of zarr-python, h5py or NumPy.

    `options` are those of `create_array`; what is not given, or "keep", is as `data` has it: chunks, shards, codecs,
    fill value, names of dimensions (of an array in the other version of Zarr, not the codecs). It is copied a run of
    shards at a time, so that it need not fit into memory.
    """
    data = data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)
    given = {key: value for key, value in options.items() if not (isinstance(value, str) and value == "keep")}
    found = getattr(getattr(data, "metadata", None), "zarr_format", None)
    zarr_format = zarr_format or found or 3
    kept = _layout(data, given, zarr_format) | (_codecs(data) if found == zarr_format else {})
    made = create_array(store, name=name, shape=data.shape, zarr_format=zarr_format, **kept | given)
    for region in made.shard_slices(0, 1) if write_data else []:
        made[region] = data[region]
    return made


def _layout(data: Any, given: dict[str, Any], zarr_format: int) -> dict[str, Any]:
    document = data.metadata.document if isinstance(data, Array) else {}
    dtype = document.get("data_type", document.get("dtype"))  # which may say more than NumPy's, or be objects of v2
    kept: dict[str, Any] = {"dtype": dtype if dtype and dtype != "|O" and not isinstance(dtype, list) else data.dtype}
    if "chunks" not in given and getattr(data, "chunks", None) is not None:
        kept |= {"chunks": data.chunks, "shards": getattr(data, "shards", None) if zarr_format == 3 else None}
    if (fill_value := getattr(data, "fill_value", None)) is not None:
        kept["fill_value"] = fill_value
    names = getattr(getattr(data, "metadata", None), "dimension_names", None)
    return kept if names is None or zarr_format == 2 else kept | {"dimension_names": names}


def _codecs(data: Any) -> dict[str, Any]:
    kept = {"filters": data.filters, "compressors": data.compressors}
    return kept | ({"serializer": data.serializer} if data.metadata.zarr_format == 3 else {"order": data.order})
