"""The module `cupy` of the stand-in: functions of NumPy, as far as CuPy 14.2 has them, with what these take."""

from __future__ import annotations

from functools import wraps
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.cupy_stand_in.array import host_memory, made, ndarray, run

# Functions that CuPy does not have: public names of NumPy 2 that are none of CuPy's.
LACKING = {
    "asmatrix",
    "block",
    "bmat",
    "busday_count",
    "busday_offset",
    "datetime_as_string",
    "datetime_data",
    "einsum_path",
    "frompyfunc",
    "fromregex",
    "geomspace",
    "histogram_bin_edges",
    "insert",
    "is_busday",
    "isnat",
    "matvec",
    "nanpercentile",
    "nanquantile",
    "nested_iters",
    "polyder",
    "polydiv",
    "polyint",
    "spacing",
    "unstack",
    "vecdot",
    "vecmat",
}

# Arguments of NumPy's functions that CuPy's do not take.
_REDUCED = ("initial", "where")
_SPREAD = ("where", "mean", "correction")
UNTAKEN = {
    **dict.fromkeys(("max", "amax", "min", "amin", "nanmax", "nanmin", "sum", "nansum", "prod", "nanprod"), _REDUCED),
    **dict.fromkeys(("all", "any", "mean", "nanmean"), ("where",)),
    **dict.fromkeys(("std", "var", "nanstd", "nanvar"), _SPREAD),
    **dict.fromkeys(("full", "zeros", "ones", "arange", "empty", "eye", "asarray", "asanyarray"), ("device", "like")),
    **dict.fromkeys(("full_like", "zeros_like", "ones_like", "empty_like", "linspace"), ("device",)),
    "argsort": ("order", "stable"),
    "broadcast_arrays": ("subok",),
    "broadcast_to": ("subok",),
    "clip": ("min", "max"),
    "count_nonzero": ("keepdims",),
    "isin": ("kind",),
    "percentile": ("weights",),
    "quantile": ("weights",),
    "reshape": ("shape",),
    "sort": ("order", "stable"),
    "stack": ("arrays",),
    "take": ("mode",),
    "take_along_axis": ("arr",),
    "unique": ("sorted",),
}

ARE_ARRAYS = {"array_equal", "allclose"}  # of one bool, where NumPy's functions return a bool: _logic/comparison.py


def _of_numpy(name: str, function: Any) -> Any:
    @wraps(function)
    def own(*args: Any, **options: Any) -> Any:
        if unknown := options.keys() & set(UNTAKEN.get(name, ())):
            raise TypeError(f"{name}() got an unexpected keyword argument {min(unknown)!r}")
        result = run(function, args, options)
        return made(result) if name in ARE_ARRAYS else result

    return own


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    """Of anything, also of arrays of NumPy: one of the few ways to the GPU. _creation/from_data.py"""
    if isinstance(a, ndarray):
        return a if dtype is None or np.dtype(dtype) == a.dtype else a.astype(dtype)
    return array(a, dtype)


def array(obj: Any, dtype: Any = None, copy: Any = True, order: Any = "K", subok: bool = False, ndmin: int = 0) -> Any:
    if isinstance(obj, list | tuple):
        obj = [each.memory if isinstance(each, ndarray) else each for each in obj]
    host = np.array(obj.memory if isinstance(obj, ndarray) else obj, dtype, ndmin=ndmin)
    return made(host.astype(host.dtype.newbyteorder("="), copy=False))


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a)


def astype(x: Any, dtype: Any, copy: bool = True) -> ndarray:
    """Of arrays of CuPy only: not even of numbers of NumPy. _creation/basic.py"""
    if not isinstance(x, ndarray):
        raise TypeError(f"Input should be a CuPy array. It is a {type(x)} instead.")
    return x.astype(dtype, copy=copy)


def take(a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    return a.take(indices, axis, out)


def concatenate(tup: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> ndarray:
    """Of arrays of CuPy only. _core/_routines_manipulation.pyx, concatenate_method"""
    if not all(isinstance(each, ndarray) for each in tup):
        raise TypeError("Only cupy arrays can be concatenated")
    return run(np.concatenate, (list(tup),), {"axis": axis, "out": out, "dtype": dtype, "casting": casting})


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> Any:
    like = a.memory if isinstance(a, ndarray) else a
    made_of = np.empty_like(like, dtype, order=order, shape=shape)
    made_of[...] = host_memory(fill_value)
    return made(made_of)


OWN = {each.__name__: each for each in (asarray, array, asnumpy, astype, take, concatenate, full_like)}
OWN |= {"asanyarray": asarray, "ascontiguousarray": asarray, "concat": concatenate}


def _lookup(name: str) -> Any:
    if name in OWN:
        return OWN[name]
    if name in LACKING or not hasattr(np, name):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    value = getattr(np, name)
    if isinstance(value, type):
        if issubclass(value, np.generic) and np.dtype(value).kind not in "biufc":
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        return value
    return _of_numpy(name, value) if callable(value) else value


def found(function: Any) -> Any:
    """The function that CuPy has for one of NumPy; None if there is none. _core/core.pyx, __array_function__"""
    where, name = function.__module__.split(".")[1:], function.__name__
    try:
        place: Any = MODULE
        for part in where:
            place = getattr(place, part)
        return getattr(place, name)
    except AttributeError:
        return None


class _Module(ModuleType):
    ndarray = ndarray
    __version__ = "14.2.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _lookup(name)


MODULE = _Module("cupy", __doc__)
MODULE.lib = SimpleNamespace(
    stride_tricks=SimpleNamespace(
        sliding_window_view=_of_numpy("sliding_window_view", np.lib.stride_tricks.sliding_window_view),
        as_strided=_of_numpy("as_strided", np.lib.stride_tricks.as_strided),
    )
)
