"""Make new arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np

from gpuzarr import config as settings
from gpuzarr.checks import NDIM_MAX, at, flag, one_of, shown
from gpuzarr.codecs import Codec
from gpuzarr.codecs.contract import HasFewReaders
from gpuzarr.creation import DEFAULT, Wanted, format_above, metadata, new_array, sides
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, FewReadersWarning, MetadataError, ValueKindError, ZarrRuntimeWarning, warn
from gpuzarr.metadata import files
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.inputs import as_value
from gpuzarr.nodes.keywords import translated
from gpuzarr.nodes.regions import parts
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.finding.resolve import wanted_format
from gpuzarr.write.target import Writable

MAX_COPIED_BYTES = 128 << 20  # at once, from one array to another; but always a whole chunk or shard


@dataclass(frozen=True)
class Given:
    """Values for an array of this shape and dtype, to which they are broadcast and cast."""

    values: Any
    shape: Any
    dtype: Any


@dataclass(frozen=True)
class Copied:
    """Values for an array of this shape and dtype that are copied shard by shard, as they need not fit into memory."""

    values: Any
    shape: Any
    dtype: Any


@dataclass(frozen=True)
class Members:
    """The place of the members of a group that is being made; its path may be another than that of the group."""

    store: Store
    path: str


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
    zarr_format: Literal[2, 3] | None = None,
    attributes: dict[str, Any] | None = None,
    chunk_key_encoding: Any = None,
    dimension_names: Iterable[str | None] | None = None,
    overwrite: bool = False,
    config: dict[str, Any] | None = None,
    write_data: bool = True,
    device: str | Device = "auto",
    storage_options: dict[str, Any] | None = None,
    **older: Any,
) -> Array:
    """Make an array, and the groups above it. The parameters mean what they mean in zarr-python 3.

    An array that already exists is kept, with its data, if its metadata says the same and it has these attributes,
    maybe among others: many processes may make the same array.

    Parameters
    ----------
    store
        As for `open`.
    name
        The path of the array in the store; default: the root.
    shape, dtype
        The length of each axis (an int for a single axis), and what NumPy takes as a dtype, also dtypes of torch,
        ml_dtypes and zarr-python, `str`, `bytes`, and names of Zarr v3 such as "bfloat16". Needed without `data`.
    data
        Values that fill the array; their shape and dtype are those of the array. A new array that cannot be filled is
        deleted again.
    chunks
        The shape of a chunk. An int counts for each axis; -1 is the whole length of an axis, False the whole array.
        "auto" (default) suits GPUs, which decode thousands of chunks at once: 256 KiB to 1 MiB. An axis whose chunks
        differ (Zarr v3) has a list of their sizes, which add up to its length: `[[3, 7], 5]`, `[[[2, 5], 1], 5]` with
        a run of 5 chunks of size 2.
    shards
        The shape of a shard, a file of many chunks (Zarr v3): a multiple of `chunks`. None (default): each chunk is a
        file. "auto": up to 256 MiB. -1, False and lists of sizes: as for `chunks`. A dict of "shape" and
        "index_location" ("start" or "end") is taken too.
    filters, serializer, compressors
        The codecs of a chunk, in this order. A codec is an object of `gpuzarr.codecs`, zarr-python or numcodecs, a
        name, or a dict such as `{"name": "zstd", "configuration": {"level": 3}}`; `filters` and `compressors` may be
        lists, or None for no codec. "auto" (default): no filters, little-endian bytes, zstd at level 0.
    fill_value
        The value of elements never written. Default: 0, False, "" or NaT, as the dtype has it.
    order
        The order of elements in a chunk of Zarr v2, "C" or "F". In Zarr v3 the filter `transpose` does this.
    zarr_format
        2 or 3; default: that of the group above, else of `gpuzarr.config`, which is 3.
    attributes
        The attributes of the array.
    chunk_key_encoding
        How keys of chunks are made, as in zarr-python: "default", "v2", or a dict with a "separator".
    dimension_names
        A name (or None) for each axis, in Zarr v3.
    overwrite
        True: replace whatever exists there, with all below it. It is deleted when the new array is complete, so a call
        that fails leaves it as it was, and `data` may be read from it.
    config
        As for `open`.
    write_data
        False: take shape and dtype from `data`, but do not write its values.
    device
        As for `open`.
    storage_options
        Options for what a URL names, as for `open`.
    **older
        Older keywords of zarr-python: `compressor`, `codecs` (all of them, in Zarr v3), `chunk_shape`,
        `dimension_separator`, `write_empty_chunks` and `object_codec`; others are accepted if they change nothing.

    Returns
    -------
    Array

    Raises
    ------
    ArgumentError
        A keyword is unknown, an argument is of another type than above, `name` is no path in the store, or both `data`
        and a shape are given.
    ExistsError
        Another node exists at this path, or a node above it is an array.
    ValueKindError
        The data are no array, or have elements that the array cannot hold.
    MetadataError
        There cannot be such an array; the message names the parameter.
    StoreError
        The store could not be written, or `store` is not a store.
    DeviceError
        The device does not exist, or a package that it needs is missing.

    Examples
    --------
    >>> a = gpuzarr.create_array(
    ...     "store.zarr", name="pred", shape=(64, 64), dtype="uint8", chunks=(16, 16), shards=(32, 32), fill_value=9
    ... )
    >>> a[:16] = 1
    >>> a[14:18, 0]
    array([1, 1, 9, 9], dtype=uint8)
    >>> b = gpuzarr.create_array({}, data=[[1, 2], [3, 4]], compressors=gpuzarr.codecs.GzipCodec(level=9))
    >>> b.compressors
    (GzipCodec(level=9),)
    """
    codecs = None
    if older:
        layout = {"chunks": chunks, "chunk_key_encoding": chunk_key_encoding, "config": config, "codecs": None}
        chain = {"filters": filters, "serializer": serializer, "compressors": compressors}
        found = translated(older, layout | chain, wanted_format(store, zarr_format))
        chunks, chunk_key_encoding, config, codecs, filters, serializer, compressors = found.values()
    if data is not None:
        data = with_dtype(data)
        if shape is not None or dtype is not None:
            raise ArgumentError("give either data, or shape and dtype")
        shape, dtype = data.shape, data.dtype
    if shape is None or dtype is None:
        raise ArgumentError("a new array needs a shape and a dtype, or data")
    place, path = placed(store, name, storage_options)
    version = settings.new_format(wanted_format(store, zarr_format) or format_above(place, path))
    lengths = sides("shape", shape)
    if any(n < 0 for n in lengths):
        raise MetadataError(f"shape {shown(lengths)} has a negative length")
    one_of(order, "order", None, "C", "F")
    if order is not None and version != 2:
        text = "The `order` keyword argument has no effect for Zarr format 3 arrays"
        warn(f"{text}: use filters={{'name': 'transpose', ...}}", ZarrRuntimeWarning)
    names = _names(dimension_names)
    wanted = Wanted(
        *(lengths, dtype, chunks, shards, filters, compressors, serializer, fill_value),
        *(order, attributes, chunk_key_encoding, names, codecs),
    )
    made = metadata(wanted, version)
    overwrite, write_data = flag(overwrite, "overwrite"), flag(write_data, "write_data")
    array = Array(place, path, made, device, Writable.of(config))
    with at("codecs of the new array"):
        array.layout.check()
    _warn_of_few_readers(made.codecs)
    values = _values(data, array) if data is not None and write_data else None
    array.metadata = new_array(place, path, made, overwrite, None if values is None else partial(_fill, array, values))
    return array


def _warn_of_few_readers(chain: Iterable[Codec]) -> None:
    for codec in chain:
        if isinstance(codec, HasFewReaders) and (who := codec.few_readers):
            warn(f"codec {(*codec.names, *codec.ids)[0]!r}: {who}", FewReadersWarning)
        _warn_of_few_readers(getattr(codec, "codecs", ()))


def placed(store: Any, name: Any, storage_options: Any = None) -> tuple[Store, str]:
    """The store, and the path in it, that `store` and `name` mean."""
    path = files.clean("" if name is None else name)
    if isinstance(store, Members):
        return store.store, files.key(store.path, path)
    return store_of(store, storage_options, "a"), path


def _values(data: Any, array: Array) -> Any:
    """Data as an array of the device: what cannot be written is found before anything is deleted or made."""
    if isinstance(data, Copied):
        return data
    values = data.values if isinstance(data, Given) else data
    with array.device.on(None):
        return as_value(values, array.dtype, array.shape, array.device, array.metadata.data_type)


def _fill(array: Array, values: Any, path: str) -> None:
    """Write the values of an array at a path, which may be another than its own."""
    there = array if path == array.path else Array(array.store, path, array.metadata, array.device, array.writable)
    if isinstance(values, Copied):
        most = MAX_COPIED_BYTES // max(there.dtype.itemsize, 1)
        for region in there.shard_slices(0, 1):
            for part in parts(there.layout, region, most):
                there[part] = values.values[part]
    else:
        there[...] = values
    array.last_write = there.last_write


def with_dtype(data: Any) -> Any:
    """Data with a shape and a dtype; a list, or an object with DLPack alone, becomes an array of NumPy."""
    dtype = getattr(data, "dtype", None)
    if isinstance(data, Given | Copied) or isinstance(dtype, np.dtype) or type(dtype).__module__ == "torch":
        return data
    try:
        return np.from_dlpack(data) if hasattr(data, "__dlpack__") and dtype is None else np.asarray(data)
    except (TypeError, ValueError, OverflowError, RuntimeError, BufferError) as error:
        raise ValueKindError(f"data of type {type(data).__name__} is no array: {error}") from error


def given(data: Any, shape: Any, dtype: Any) -> Any:
    """Data for a new array of this dtype; None: that of the data. ArgumentError for another shape than theirs."""
    values = with_dtype(data)
    if shape is not None and sides("shape", shape) != tuple(values.shape):
        raise ArgumentError(f"shape {shown(shape)} is not that of the data, {tuple(values.shape)}")
    return values if dtype is None else Given(values, values.shape, dtype)


def _names(given: Any) -> tuple[Any, ...] | None:
    """Names of dimensions, which are checked with the rest of the metadata."""
    if given is None:
        return None
    try:
        if isinstance(given, str | bytes):
            raise TypeError("a single text")
        return tuple(islice(given, NDIM_MAX + 1))
    except TypeError as error:
        raise MetadataError(f"dimension_names must be a name, or None, for each axis, not {shown(given)}") from error
