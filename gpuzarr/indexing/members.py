"""Convert what stands between brackets to ints, slices, ranges and arrays, whatever library it is of.

An integer is what has no axes and is of an integer dtype, or has `__index__`; a list is what NumPy makes an array of:
a range, a memoryview, a tuple inside the selection, an Index of pandas.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from numbers import Integral
from types import EllipsisType
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import SelectionError

Member = int | slice | range | np.ndarray  # index of one axis; an array has an axis, and is of ints or bools
_TAKEN = "Zarr arrays take ints, slices, '...', and arrays or lists of ints or bools"


def members_of(selection: Any) -> tuple[Member | EllipsisType, ...]:
    """The members of a selection. SelectionError for what is none."""
    return tuple(map(_member, selection if isinstance(selection, tuple) else (selection,)))


def flat_mesh(members: tuple[Member | EllipsisType, ...]) -> tuple[Member | EllipsisType, ...] | None:
    """The arrays of `np.ix_`, which broadcast to an outer product, with one axis each; None for anything else."""
    found: list[Member | EllipsisType] = []
    for i, member in enumerate(members):
        if not isinstance(member, np.ndarray) or len(members) < 2 or member.dtype.kind == "b":
            return None
        if member.shape != (1,) * i + (member.size,) + (1,) * (len(members) - i - 1):
            return None
        found.append(member.reshape(-1))
    return tuple(found) or None


def on_host(member: slice) -> slice:
    """A slice with copies of those bounds that lie on a GPU: arrays of CuPy have no `__index__`."""
    bounds = member.start, member.stop, member.step
    return slice(*(_index(bound) if _is_on_gpu(bound) else bound for bound in bounds))


def brief(value: Any) -> str:
    """A value for messages: its type, and a short text."""
    return f"{type(value).__name__} {shown(value)}"


def _member(item: Any) -> Member | EllipsisType:
    if type(item) is int or isinstance(item, (slice, EllipsisType)):  # `slice | EllipsisType` would take longer
        return item
    if isinstance(item, Integral) and not isinstance(item, (bool, np.timedelta64)):
        return int(item)
    if isinstance(item, range):
        return item
    array = _array(item)
    if array.ndim:
        return array
    if array.dtype.kind == "b":
        raise SelectionError(f"cannot select by {brief(item)}: {_TAKEN}")
    return int(array)


def _array(item: Any) -> np.ndarray:
    """An array of ints or bools. SelectionError if there is none."""
    if isinstance(item, np.ma.MaskedArray) and np.ma.is_masked(item):
        raise SelectionError("a masked array selects nothing where it is masked: select by mask.filled(...)")
    problem: Exception | None = None
    for way in (_asarray, _fetched, np.from_dlpack, _listed, _indexed):
        try:
            array = way(item)
        except MemoryError:
            raise
        except Exception as error:  # NumPy raises many kinds, and calls what objects define
            problem = problem or error
            continue
        if array.size == 0 and not hasattr(item, "dtype") and array.dtype.kind in "iubf":  # NumPy has floats for []
            return array.astype(np.intp if array.dtype.kind == "f" else array.dtype)
        if array.dtype.kind in "iub":
            return array
        if array.dtype != object or isinstance(item, np.ndarray):
            break
    if isinstance(item, np.generic) or not (hasattr(item, "dtype") or isinstance(item, Sequence)) or _is_text(item):
        raise SelectionError(f"cannot select by {brief(item)}: {_TAKEN}")
    if problem is not None:
        raise SelectionError(f"cannot select by {brief(item)}: {problem}") from problem
    raise SelectionError(f"cannot select by an array or list of {array.dtype}: it must be of ints or bools")


def _asarray(item: Any) -> np.ndarray:
    return np.asarray(item.get() if _is_on_gpu(item) else item)


def _fetched(item: Any) -> np.ndarray:
    """Copy what lies on a GPU."""
    copy: Callable[[], Any] = item.get if hasattr(item, "get") else item.cpu
    return np.asarray(copy())


def _listed(item: Any) -> np.ndarray:
    """A list of integers of any library."""
    if not isinstance(item, list | tuple):
        raise TypeError("no list")
    return np.array([_index(one) for one in item], np.int64)


def _indexed(item: Any) -> np.ndarray:
    return np.array(_index(item), np.int64)


def _index(item: Any) -> int:
    """An integer by `__index__`, which bools of torch have, too."""
    if isinstance(item, bool) or "bool" in str(getattr(item, "dtype", "")):
        raise TypeError("bools are no integers")
    return operator.index(item.get() if _is_on_gpu(item) else item)


def _is_on_gpu(item: Any) -> bool:
    """Whether it is an array of CuPy, which is copied by `get` alone."""
    return hasattr(item, "get") and hasattr(item, "__cuda_array_interface__")


def _is_text(item: Any) -> bool:
    return isinstance(item, str | bytes)
