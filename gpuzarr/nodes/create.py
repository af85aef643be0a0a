"""New arrays."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from gpuzarr.checks import at
from gpuzarr.creation import DEFAULT, Wanted, metadata, new_array, sides
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError
from gpuzarr.nodes.array import Array
from gpuzarr.stores.resolve import store as store_of
from gpuzarr.write.strategy import Writable


def create_array(
    store: Any,
    *,
    name: str | None = None,
    shape: int | Iterable[int] | None = None,
    dtype: Any = None,
    data: Any = None,
    chunks: Any = "auto",
    shards: Any = None,
    filters: Any = "auto",
    compressors: Any = "auto",
    serializer: Any = "auto",
    fill_value: Any = DEFAULT,
    order: Literal["C", "F"] | None = None,
    zarr_format: Literal[2, 3] | None = 3,
    attributes: dict[str, Any] | None = None,
    chunk_key_encoding: Any = None,
    dimension_names: Iterable[str | None] | None = None,
    overwrite: bool = False,
    config: dict[str, Any] | None = None,
    write_data: bool = True,
    device: str | Device = "auto",
    storage_options: dict[str, Any] | None = None,
) -> Array:
    """A new array at `name` of `store`. The parameters mean what they mean in zarr-python 3.

    `data`: an array with which it is filled; else `shape` and `dtype` say what it is.
    `chunks`, `shards`: shapes, an int for every axis (-1: all of it), or "auto", which suits readers on a GPU: chunks
    of 256 KiB to 1 MiB, of which a GPU decodes thousands at once, in shards of up to 256 MiB, so that files are few
    and one file fills a batch. Without `shards` every chunk is a file. `shards` may also be a dict of "shape" and
    "index_location" ("start" or "end").
    `compressors`: "auto" is zstd of level 0; None for none; one or a list of codecs: names, dicts, objects of
    zarr-python, numcodecs or gpuzarr. `filters` and `serializer` stand before them.
    `order`: of the elements in a chunk of Zarr v2. (v3 has `transpose` for that: there it means nothing.)
    `config`: {"write_empty_chunks": True} stores also chunks of nothing but the fill value; "safe": as in `open`.
    An array that is there already is fine if its metadata says the same (two workers may both create it): it keeps its
    data, and attributes that it has beside these. ExistsError if it is another one, unless `overwrite`.
    """
    if data is not None:
        data = _with_dtype(data)
        if shape is not None or dtype is not None:
            raise ValueError("give either data, or shape and dtype")
        shape, dtype = data.shape, data.dtype
    if shape is None or dtype is None:
        raise ValueError("a new array needs a shape and a dtype, or data")
    lengths = sides("shape", shape)
    if any(n < 0 for n in lengths):
        raise MetadataError(f"shape {lengths} has a negative length")
    if order == "F" and zarr_format != 2:
        warnings.warn("order means nothing in Zarr v3: filters={'name': 'transpose', ...} does", stacklevel=2)
    names = None if dimension_names is None else tuple(dimension_names)
    wanted = Wanted(
        *(lengths, dtype, chunks, shards, filters, compressors, serializer, fill_value),
        *(order, attributes, chunk_key_encoding, names),
    )
    found, path, made = store_of(store, storage_options), clean(name or ""), metadata(wanted, zarr_format or 3)
    array = Array(found, path, made, device, Writable.of(config))
    with at("codecs of the new array"):
        array.layout.check()
    array.metadata = new_array(found, path, made, overwrite)
    if data is not None and write_data:
        array[...] = data
    return array


def _with_dtype(data: Any) -> Any:
    """Data that says its shape and dtype; what does not (a list, what has DLPack alone) as an array of NumPy."""
    dtype = getattr(data, "dtype", None)
    if isinstance(dtype, np.dtype) or type(dtype).__module__ == "torch":
        return data
    return np.from_dlpack(data) if hasattr(data, "__dlpack__") and dtype is None else np.asarray(data)


def clean(path: str) -> str:
    """A path without slashes at its ends. ValueError where it would lead out of the store."""
    parts = [part for part in os.fspath(path).split("/") if part]
    if any(set(part) == {"."} for part in parts):
        raise ValueError(f"{path!r} is no path of a node")
    return "/".join(parts)
