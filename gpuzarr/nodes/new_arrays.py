"""Make new arrays with the defaults of zarr-python's older functions, and with modes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gpuzarr.checks import flag, one_of
from gpuzarr.creation import sides
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import Given, create_array, placed, with_dtype
from gpuzarr.nodes.keywords import CREATED, known
from gpuzarr.nodes.opener import MODES, Mode, Opener

Shape = int | Iterable[int]
Make = Callable[..., Array]  # `create_array` or `from_array`


def create(
    shape: Shape,
    *,
    store: Any = None,
    path: str | None = None,
    dtype: Any = None,
    chunks: Any = None,
    filters: Any = None,
    overwrite: bool = False,
    mode: Mode | None = None,
    data: Any = None,
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
    dtype, filters, chunks
        As for `create_array`; None means "float64" and "auto", and so does `chunks=True`.
    overwrite
        True: replace whatever exists there.
    mode
        "w" is another word for `overwrite`. "w-" is an error if any node exists; "a" and "r+" (default) keep one that
        is the same.
    data
        Values that fill the array: they are broadcast to its shape and cast to its dtype.
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
    >>> gpuzarr.create((2, 3), dtype="int16", fill_value=-1)[...]
    array([[-1, -1, -1],
           [-1, -1, -1]], dtype=int16)
    """
    known("create", options, CREATED)
    options |= {
        "shape": sides("shape", shape),
        "dtype": "float64" if dtype is None else dtype,
        "chunks": "auto" if chunks is None or chunks is True else chunks,
        "filters": "auto" if filters is None else filters,
    }
    if data is not None:
        options["data"] = Given(with_dtype(data), options.pop("shape"), options.pop("dtype"))
    return made(create_array, store, path, flag(overwrite, "overwrite"), mode, options)


def made(make: Make, store: Any, path: str | None, overwrite: bool, mode: Any, options: dict[str, Any]) -> Array:
    """Make an array as a mode says. ArgumentError for a mode that makes nothing."""
    if one_of(mode, "mode", None, *MODES) == "r":
        raise ArgumentError("mode 'r' makes no array; one that exists is opened by open_array()")
    if mode == "w-":
        place, at = placed(store, path, options.get("storage_options"))
        Opener(place, CPU).check_free(at)
    return make(store, name=path, overwrite=overwrite or mode == "w", **options)
