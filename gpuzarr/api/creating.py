"""The functions of zarr-python that make arrays and groups, by `create_array` and `open_group`."""

from __future__ import annotations

from typing import Any, Literal

from gpuzarr import config
from gpuzarr.checks import flag
from gpuzarr.creation import contains, format_above
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import Copied, create_array, given, placed, with_dtype
from gpuzarr.nodes.keywords import CREATED, known, own
from gpuzarr.nodes.like import codecs_of, sizes_of, stored_dtype
from gpuzarr.nodes.new_arrays import Shape, create, made
from gpuzarr.nodes.opener import Mode
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding.resolve import is_of_zarr, wanted_format
from gpuzarr.stores.finding.resolve import store as store_of

Format = Literal[2, 3] | None
KEPT_FOR_NONE = ("attributes", "chunk_key_encoding", "dimension_names")  # None means what no parameter means


def full(shape: Shape, fill_value: Any, **options: Any) -> Array:
    """Make an array whose elements all have the fill value. No chunk is stored for that.

    Parameters
    ----------
    shape, **options
        As for `create`.
    fill_value
        The value of all elements, and of those never written later.

    Returns
    -------
    Array

    Examples
    --------
    >>> gpuzarr.full(3, 7.5)[...]
    array([7.5, 7.5, 7.5])
    """
    return create(shape, fill_value=fill_value, **options)


def zeros(shape: Shape, **options: Any) -> Array:
    """Make an array of zeros; the parameters are those of `create`.

    Examples
    --------
    >>> gpuzarr.zeros((2, 2))[...]
    array([[0., 0.],
           [0., 0.]])
    """
    own("zeros", options, fill_value="it is 0; full() takes one")
    return full(shape, 0, **options)


def ones(shape: Shape, **options: Any) -> Array:
    """Make an array of ones; the parameters are those of `create`.

    Examples
    --------
    >>> gpuzarr.ones(3, dtype="uint8")[...]
    array([1, 1, 1], dtype=uint8)
    """
    own("ones", options, fill_value="it is 1; full() takes one")
    return full(shape, 1, **options)


def empty(shape: Shape, **options: Any) -> Array:
    """Make an array of the dtype's default fill value (0, False, "", NaT); the parameters are those of `create`.

    Examples
    --------
    >>> gpuzarr.empty(2, dtype="bool")[...]
    array([False, False])
    """
    return create(shape, **options)


def array(
    data: Any,
    *,
    store: Any = None,
    path: str | None = None,
    dtype: Any = None,
    shape: Shape | None = None,
    overwrite: bool = False,
    mode: Mode | None = None,
    **options: Any,
) -> Array:
    """Make an array of these values. If they are an array of this library or zarr-python, it is stored as that one is.

    Parameters
    ----------
    data
        An array of NumPy or CuPy, anything with DLPack, or a list; an array of Zarr.
    store, path, overwrite, mode
        As for `create`.
    dtype
        As for `create_array`, to which the values are cast; default: that of the data.
    shape
        The shape of the data, if it is given.
    **options
        As for `create_array`.

    Returns
    -------
    Array

    Raises
    ------
    ArgumentError, ExistsError, MetadataError, StoreError, DeviceError
        As for `create_array`.

    Examples
    --------
    >>> a = gpuzarr.array([[1, 2], [3, 4]], store="a.zarr")
    >>> gpuzarr.open("a.zarr")[1]
    array([3, 4])
    >>> gpuzarr.array([1, 2], dtype="float32")[...]
    array([1., 2.], dtype=float32)
    """
    known("array", options, CREATED)
    values, overwrite = with_dtype(data), flag(overwrite, "overwrite")
    filling = given(values, shape, dtype)
    for name in ("chunks", "filters"):
        if (asked := options.get(name)) is None or asked is True:
            options.pop(name, None)
    if dtype is None and (isinstance(data, Array) or is_of_zarr(data)):
        return made(from_array, store, path, overwrite, mode, options | {"data": data})
    options = {"chunks": _chunks(values)} | options
    return made(create_array, store, path, overwrite, mode, options | {"data": filling})


def _chunks(values: Any) -> Any:
    """The shape of the chunks of data that are an array with chunks of one shape, as those of h5py."""
    chunks = getattr(values, "chunks", None)
    alike = isinstance(chunks, tuple) and len(chunks) == len(values.shape) and all(isinstance(n, int) for n in chunks)
    return chunks if alike else "auto"


def from_array(
    store: Any,
    *,
    data: Any,
    name: str | None = None,
    write_data: bool = True,
    zarr_format: Format = None,
    **options: Any,
) -> Array:
    """Make an array with the values of another one, stored as that one is.

    Values are copied shard by shard (or chunk by chunk), so the array need not fit into memory.

    Parameters
    ----------
    store, name
        As for `create_array`.
    data
        An array of this library, of zarr-python, h5py or NumPy, or anything else with a shape and a dtype that can be
        sliced; a list is made an array of NumPy first.
    write_data
        False: make the array, but do not copy the values.
    zarr_format
        2 or 3; default: that of the group above, else that of `data`, else of `gpuzarr.config`.
    **options
        As for `create_array`. A parameter that is not given, or is "keep", is taken from `data`: chunks, shards, fill
        value, names of dimensions, attributes; and codecs and keys of chunks, unless `data` is an array in the other
        version of Zarr.

    Returns
    -------
    Array

    Raises
    ------
    ExistsError, MetadataError, StoreError, DeviceError
        As for `create_array`.
    ChunkError
        A chunk of `data` is damaged.

    Examples
    --------
    >>> old = gpuzarr.array(np.arange(6), chunks=2, compressors="gzip")
    >>> new = gpuzarr.from_array({}, data=old, chunks=3)
    >>> new.chunks, new.compressors, new[...]
    ((3,), (GzipCodec(level=5),), array([0, 1, 2, 3, 4, 5]))
    """
    own("from_array", options, path="the path of the array is `name`", shape="it is that of `data`")
    data = data if hasattr(data, "shape") and hasattr(data, "dtype") else with_dtype(data)
    given = {key: value for key, value in options.items() if not (isinstance(value, str) and value == "keep")}
    given = {key: value for key, value in given.items() if value is not None or key not in KEPT_FOR_NONE}
    metadata = getattr(data, "metadata", None)
    found = None if getattr(metadata, "why_read_only", None) else getattr(metadata, "zarr_format", None)
    above = format_above(*placed(store, name, options.get("storage_options")))
    version: Any = config.new_format(wanted_format(store, zarr_format) or above or found)
    kept = _layout(data, given, version) | (_codecs(data) if found == version else {})
    dtype = (kept | given).pop("dtype")
    options = {key: value for key, value in (kept | given).items() if key != "dtype"}
    if not flag(write_data, "write_data") and options.get("overwrite"):
        _check_apart(*placed(store, name, options.get("storage_options")), data)
    options |= {"data": Copied(data, data.shape, dtype), "write_data": write_data}
    return create_array(store, name=name, zarr_format=version, **options)


def _check_apart(store: Store, path: str, data: Any) -> None:
    """ArgumentError if an array lies below the place of a new one, which would have none of its values.

    At the place itself, that is how an array is emptied, or gets other chunks.
    """
    of_zarr = is_of_zarr(data)
    if not (of_zarr or isinstance(data, Array)):
        return
    source = (store_of(data), "") if of_zarr else (data.store, data.path)
    place = store, path
    if contains(place, source) and not contains(source, place):
        raise ArgumentError(f"{data!r} would be lost: write_data=False copies no values; make the array elsewhere")


def _layout(data: Any, given: dict[str, Any], zarr_format: int) -> dict[str, Any]:
    """The properties of an array that are kept, as parameters of `create_array`; but its codecs."""
    kept: dict[str, Any] = {"dtype": stored_dtype(data)}
    if "chunks" not in given and (chunks := sizes_of(data, "chunks")) is not None:
        kept |= {"chunks": chunks, "shards": sizes_of(data, "shards") if zarr_format == 3 else None}
    if hasattr(data, "fill_value"):
        kept["fill_value"] = data.fill_value  # None for that of v2 that is not defined
    metadata = getattr(data, "metadata", None)
    if hasattr(metadata, "zarr_format"):
        kept["attributes"] = dict(data.attrs)
    names = getattr(metadata, "dimension_names", None)
    return kept if names is None or zarr_format == 2 else kept | {"dimension_names": names}


def _codecs(data: Any) -> dict[str, Any]:
    """The codecs of an array, and its keys of chunks, as parameters of `create_array`."""
    document = data.metadata.document if isinstance(data, Array) else data.metadata.to_dict()
    v2 = {"name": "v2", "separator": document.get("dimension_separator") or "."}
    keys = v2 if data.metadata.zarr_format == 2 else document["chunk_key_encoding"]
    return codecs_of(data) | {"chunk_key_encoding": keys}
