"""Functions that make arrays with the shape, dtype, chunks and codecs of another one."""

from __future__ import annotations

from typing import Any, Literal

from gpuzarr import config
from gpuzarr.api.creating import full
from gpuzarr.api.opening import open_array
from gpuzarr.creation import format_above
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import placed
from gpuzarr.nodes.keywords import CREATED, known, own
from gpuzarr.nodes.like import properties
from gpuzarr.nodes.new_arrays import create
from gpuzarr.stores.finding.resolve import wanted_format

Format = Literal[2, 3] | None


def empty_like(a: Any, *, zarr_format: Format = None, **options: Any) -> Array:
    """Make an array like another one, with its fill value (a Zarr array's, else the dtype's) as all values.

    Parameters
    ----------
    a
        An array of this library or of zarr-python, or anything with a shape and a dtype. Its shape, dtype and chunks
        are those of the new array; of an array of Zarr also fill value and codecs (if the version of Zarr is the same).
    zarr_format
        2 or 3; default: that of the group above, else of `a`, else of `gpuzarr.config`.
    **options
        As for `create`; what is given here is not taken from `a`.

    Returns
    -------
    Array

    Examples
    --------
    >>> a = gpuzarr.full((2, 3), -1, dtype="int16", chunks=(1, 3))
    >>> gpuzarr.empty_like(a)[...]
    array([[-1, -1, -1],
           [-1, -1, -1]], dtype=int16)
    """
    return create(**_like("empty_like", a, zarr_format, options))


def full_like(a: Any, *, zarr_format: Format = None, **options: Any) -> Array:
    """Make an array like another one, with `fill_value` as all values; the parameters are those of `empty_like`.

    Examples
    --------
    >>> gpuzarr.full_like(np.zeros(3, "int16"), fill_value=7)[...]
    array([7, 7, 7], dtype=int16)
    """
    return create(**_like("full_like", a, zarr_format, options))


def zeros_like(a: Any, *, zarr_format: Format = None, **options: Any) -> Array:
    """Make an array of zeros like another one; the parameters are those of `empty_like`.

    Examples
    --------
    >>> gpuzarr.zeros_like(np.ones(3, "int16"))[...]
    array([0, 0, 0], dtype=int16)
    """
    own("zeros_like", options, fill_value="it is 0; full_like() takes one")
    return full(**_like("zeros_like", a, zarr_format, options) | {"fill_value": 0})


def ones_like(a: Any, *, zarr_format: Format = None, **options: Any) -> Array:
    """Make an array of ones like another one; the parameters are those of `empty_like`.

    Examples
    --------
    >>> gpuzarr.ones_like(np.zeros(3, "int16"))[...]
    array([1, 1, 1], dtype=int16)
    """
    own("ones_like", options, fill_value="it is 1; full_like() takes one")
    return full(**_like("ones_like", a, zarr_format, options) | {"fill_value": 1})


def _like(function: str, a: Any, zarr_format: Any, options: dict[str, Any]) -> dict[str, Any]:
    known(function, options, CREATED)
    return properties(
        a, wanted_format(options.get("store"), zarr_format) or _above(options, options.get("path")), options
    )


def _above(options: dict[str, Any], path: Any) -> int | None:
    """The version of Zarr of the group in which an array is made; None if there is none."""
    store = options.get("store")
    return None if store is None else format_above(*placed(store, path, options.get("storage_options")))


def open_like(a: Any, path: str, *, zarr_format: Format = None, mode: Any = None, **options: Any) -> Array:
    """Open an array for writing, or make it like another one.

    Parameters
    ----------
    a
        As for `empty_like`.
    path
        The path of the array in the store `options["store"]` (by default, the memory of this process).
    zarr_format
        Look only for this version of Zarr, and make the array in it. Default: look for both, make version 3.
    mode
        As for `open_array`; default: "a".
    **options
        As for `open_array`.

    Returns
    -------
    Array

    Examples
    --------
    >>> store = {}
    >>> a = gpuzarr.open_like(np.ones((2, 3), "int16"), "b", store=store)
    >>> a.shape, a.dtype, a.path
    ((2, 3), dtype('int16'), 'b')
    """
    version = config.new_format(wanted_format(options.get("store"), zarr_format) or _above(options, path))
    like = properties(a, version, options)
    del like["zarr_format"]
    like["store"] = {} if like.get("store") is None else like["store"]
    return open_array(path=path, zarr_format=zarr_format, mode="a" if mode is None else mode, **like)
