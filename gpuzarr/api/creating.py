"""The functions of zarr-python that make arrays and groups, by `create_array` and `open_group`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from gpuzarr.api.opening import open_group
from gpuzarr.checks import flag
from gpuzarr.checks import zarr_format as checked_format
from gpuzarr.creation import DEFAULT
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import create_array, with_dtype
from gpuzarr.nodes.group import Group

Shape = int | Iterable[int]
Format = Literal[2, 3] | None
KEPT_FOR_NONE = ("attributes", "chunk_key_encoding", "dimension_names")  # None means what no parameter means


def create(
    shape: Shape,
    *,
    store: Any = None,
    path: str | None = None,
    dtype: Any = "float64",
    chunks: Any = None,
    **options: Any,
) -> Array:
    """Make an array that has nothing but its fill value.

    Parameters
    ----------
    shape
        The length of each axis; an int for a single axis.
    store
        As for `open`; default: the memory of this process.
    path
        The path of the array in the store; default: the root.
    dtype, chunks, **options
        As for `create_array`; `chunks` None or True means "auto".

    Returns
    -------
    Array

    Raises
    ------
    ExistsError, MetadataError, StoreError, DeviceError
        As for `create_array`.

    Examples
    --------
    >>> gpuzarr.create((2, 3), dtype="int16", fill_value=-1)[...]
    array([[-1, -1, -1],
           [-1, -1, -1]], dtype=int16)
    """
    store, chunks = {} if store is None else store, "auto" if chunks is None or chunks is True else chunks
    return create_array(store, name=path, shape=shape, dtype=dtype, chunks=chunks, **options)


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
    return full(shape, 0, **options)


def ones(shape: Shape, **options: Any) -> Array:
    """Make an array of ones; the parameters are those of `create`.

    Examples
    --------
    >>> gpuzarr.ones(3, dtype="uint8")[...]
    array([1, 1, 1], dtype=uint8)
    """
    return full(shape, 1, **options)


def empty(shape: Shape, **options: Any) -> Array:
    """Make an array of the dtype's default fill value (0, False, "", NaT); the parameters are those of `create`.

    Examples
    --------
    >>> gpuzarr.empty(2, dtype="bool")[...]
    array([False, False])
    """
    return full(shape, DEFAULT, **options)


def array(data: Any, *, store: Any = None, path: str | None = None, **options: Any) -> Array:
    """Make an array of these values.

    Parameters
    ----------
    data
        An array of NumPy or CuPy, anything with DLPack, or a list.
    store, path
        As for `create`.
    **options
        As for `create_array`.

    Returns
    -------
    Array

    Raises
    ------
    ExistsError, MetadataError, StoreError, DeviceError
        As for `create_array`.

    Examples
    --------
    >>> a = gpuzarr.array([[1, 2], [3, 4]], store="a.zarr")
    >>> gpuzarr.open("a.zarr")[1]
    array([3, 4])
    """
    return create_array({} if store is None else store, name=path, data=data, **options)


def group(store: Any = None, *, path: str | None = None, overwrite: bool = False, **options: Any) -> Group:
    """Open a group for writing, or make it.

    Parameters
    ----------
    store, path
        As for `create`.
    overwrite
        True: delete whatever exists there first.
    **options
        As for `open_group`.

    Returns
    -------
    Group

    Raises
    ------
    NotFoundError
        There is an array at this path.
    MetadataError, StoreError, DeviceError
        As for `open`.

    Examples
    --------
    >>> g = gpuzarr.group()
    >>> g["a"] = [1, 2, 3]
    >>> g["a"].shape
    (3,)
    """
    mode = "w" if flag(overwrite, "overwrite") else "a"
    return open_group({} if store is None else store, path, mode=mode, **options)


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
        2 or 3; default: that of `data`, else 3.
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
    >>> new.chunks, new.compressors[0]["name"], new[...]
    ((3,), 'gzip', array([0, 1, 2, 3, 4, 5]))
    """
    data = data if hasattr(data, "shape") and hasattr(data, "dtype") else with_dtype(data)
    given = {key: value for key, value in options.items() if not (isinstance(value, str) and value == "keep")}
    given = {key: value for key, value in given.items() if value is not None or key not in KEPT_FOR_NONE}
    found = getattr(getattr(data, "metadata", None), "zarr_format", None)
    version: Any = checked_format(zarr_format) or found or 3
    kept = _layout(data, given, version) | (_codecs(data) if found == version else {})
    made = create_array(store, name=name, shape=data.shape, zarr_format=version, **kept | given)
    for region in made.shard_slices(0, 1) if flag(write_data, "write_data") else []:
        made[region] = data[region]
    return made


def _layout(data: Any, given: dict[str, Any], zarr_format: int) -> dict[str, Any]:
    """The properties of an array that are kept, as parameters of `create_array`; but its codecs."""
    kept: dict[str, Any] = {"dtype": _dtype(data)}
    if "chunks" not in given and getattr(data, "chunks", None) is not None:
        kept |= {"chunks": data.chunks, "shards": getattr(data, "shards", None) if zarr_format == 3 else None}
    if (fill_value := getattr(data, "fill_value", None)) is not None:
        kept["fill_value"] = fill_value
    metadata = getattr(data, "metadata", None)
    if hasattr(metadata, "zarr_format"):
        kept["attributes"] = dict(data.attrs)
    names = getattr(metadata, "dimension_names", None)
    return kept if names is None or zarr_format == 2 else kept | {"dimension_names": names}


def _dtype(data: Any) -> Any:
    """The dtype of an array, as it says most: of Zarr, if it has one, with byte order and length."""
    metadata = getattr(data, "metadata", None)
    if not isinstance(data, Array):
        of_zarr = getattr(metadata, "data_type", getattr(metadata, "dtype", None))
        return of_zarr if hasattr(of_zarr, "to_native_dtype") else data.dtype
    dtype, known = data.metadata.document.get("data_type", data.metadata.document.get("dtype")), data.metadata.data_type
    if dtype == "|O" and known.name != "object":  # a filter says what the objects are
        return known.name
    return data.dtype if dtype == "|O" or isinstance(dtype, list) else dtype


def _codecs(data: Any) -> dict[str, Any]:
    """The codecs of an array, and its keys of chunks, as parameters of `create_array`."""
    kept: dict[str, Any] = {"filters": data.filters, "compressors": data.compressors}
    document = data.metadata.document if isinstance(data, Array) else data.metadata.to_dict()
    if data.metadata.zarr_format == 2:
        separator = document.get("dimension_separator") or "."
        return kept | {"order": data.order, "chunk_key_encoding": {"name": "v2", "separator": separator}}
    return kept | {"serializer": data.serializer, "chunk_key_encoding": document["chunk_key_encoding"]}
