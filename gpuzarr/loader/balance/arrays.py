"""The balance arrays of a `gpuzarr.Patch`, and where their elements lie in the first array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.balance.ground import Balance
from gpuzarr.loader.space.alignment import Scale
from gpuzarr.loader.space.columns import Arrays, Column
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.many import same_arrays

Axes = tuple[int | None, ...]  # of a balance array, along each axis of samples; None: it has none


def balances(arrays: Arrays, columns: Sequence[Column], given: Any) -> list[Balance]:
    """The balance array of each store. ArgumentError for anything that is none."""
    found = list(given) if isinstance(given, list | tuple) else [given]
    for array in found:
        if not isinstance(array, Array):
            expected = "a gpuzarr.Array (as gpuzarr.array makes of one of NumPy), or a list of them"
            raise ArgumentError(f"Patch(balance=...) takes {expected}, not {shown(array)}")
    if len(found) != (stores := len(next(iter(arrays.values())))):
        raise ArgumentError(f"Patch(balance=...) has {len(found)} arrays, but there are {stores} stores")
    return [_balance(arrays, columns, array, store) for store, array in enumerate(found)]


def _balance(arrays: Arrays, columns: Sequence[Column], array: Array, store: int) -> Balance:
    """Its elements are those of an array of the loader, which it is, or is as large as; or they are those of the first
    array, or each as large as several of them. Where dimensions have names, these tell its axes."""
    same = same_arrays([array, *(each[store] for each in arrays.values())])
    names = [name for name, each in arrays.items() if same[id(each[store])] is array]
    if not names and (axes := _named(array, arrays, columns, store)) is not None:
        candidates = [axes]
    else:
        names += [name for name, each in arrays.items() if _is_as_large(array, each[store], name, columns)]
        candidates = list(_by_place(array, arrays, columns, store))
    if names:
        before = arrays[names[0]][store].ndim - array.ndim
        axes = tuple(column.axes[names[0]] - before for column in columns)
        return Balance(array, axes, tuple(column.scales[names[0]] for column in columns))
    name = next(iter(arrays))
    shape = arrays[name][store].shape
    for each in candidates:
        scales = [_scale(array, axis, shape[column.axes[name]]) for axis, column in zip(each, columns, strict=True)]
        if None not in scales:
            return Balance(array, each, tuple(scale or Scale() for scale in scales))
    raise ArgumentError(
        f"Patch(balance=...) of shape {array.shape} is none of the loader's arrays, and along the axes of a patch "
        f"neither as large as one of them, nor as {name!r} of shape {shape}, divided by whole numbers: add it to the "
        "arrays, with its spacing"
    )


def _is_as_large(balance: Array, array: Array, name: str, columns: Sequence[Column]) -> bool:
    """Whether it is as large along the axes of samples, which are at the same place counted from the last."""
    places = [column.axes[name] - array.ndim for column in columns]
    return all(-place <= balance.ndim and balance.shape[place] == array.shape[place] for place in places)


def _named(array: Array, arrays: Arrays, columns: Sequence[Column], store: int) -> Axes | None:
    """The axes that have the names of dimensions of the first array; that of rows may be missing."""
    name, first = next(iter(arrays.items()))
    theirs, ours = array.dimension_names or (), first[store].dimension_names
    names = [None if ours is None else ours[column.axes[name]] for column in columns]
    if None in names or any(each not in theirs and c.is_patch for each, c in zip(names, columns, strict=True)):
        return None
    return tuple(theirs.index(each) if each in theirs else None for each in names)


def _by_place(array: Array, arrays: Arrays, columns: Sequence[Column], store: int) -> Iterator[Axes]:
    """What axes may be: all of samples; those of patches, without that of rows; or those at the same place of the first
    array, counted from the last."""
    name, first = next(iter(arrays.items()))
    if array.ndim == len(columns):
        yield tuple(range(array.ndim))
    if array.ndim == sum(column.is_patch for column in columns):
        left = iter(range(array.ndim))
        yield tuple(next(left) if column.is_patch else None for column in columns)
    places = [column.axes[name] - first[store].ndim + array.ndim for column in columns]
    if min(places) >= 0:
        yield tuple(places)


def _scale(array: Array, axis: int | None, length: int) -> Scale | None:
    """The elements of an axis that is as long as another one, or this length divided by a whole number, rounded up or
    down; None if it is neither."""
    if axis is None:
        return Scale()
    coarser = array.shape[axis]
    factor = round(length / coarser) if coarser else 0
    return Scale(Fraction(factor)) if factor and coarser in (length // factor, -(-length // factor)) else None
