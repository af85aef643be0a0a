"""Parse selections, as users write them between brackets. Pure arithmetic on shapes and indices.

There are two forms: `Outer` is an outer product of indices, one list per axis; `Points` is a list of single elements.
The meaning is that of zarr-python 3.4.2, which differs from NumPy in this:
- an index array beside ints and slices keeps its place: a[0, :, [1, 2]] has the axis of the list last;
- several 1-d masks, or masks with lists, one for each axis, are an outer product, as in `oindex`;
- several index arrays beside slices are refused: `oindex` or `vindex` says which meaning is meant;
- `vindex` with ints alone gives an axis of length 1, no scalar;
- True, False and None (newaxis) are refused.
Beyond zarr-python, with NumPy's meaning: whatever is an integer or a list of them (`indexing.members`), negative steps,
empty and nested lists, what `np.ix_` makes, an ellipsis beside an index array, and a 1-d mask alone for the first axis.
Every refusal is a SelectionError.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, cast

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import NoMemoryError, SelectionError
from gpuzarr.indexing.members import Member, brief, flat_mesh, members_of, on_host
from gpuzarr.metadata import Axis, RegularAxis

_WITHOUT_LISTS = frozenset((int, slice, EllipsisType))  # the most frequent members


@dataclass(frozen=True, eq=False)
class Outer:
    """Outer product of the indices of all axes.

    `axes`: for each axis of the array a range (any step but 0), or an int64 array of indices >= 0 in any order,
    repeats allowed. `squeeze`: axes that an int selected, of length 1, which the result does not have.
    """

    axes: tuple[range | np.ndarray, ...]
    squeeze: tuple[int, ...] = ()

    @property
    def full_shape(self) -> tuple[int, ...]:
        """Shape of the result before axes are squeezed."""
        return tuple(map(len, self.axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        squeeze = self.squeeze
        return tuple([len(indices) for axis, indices in enumerate(self.axes) if axis not in squeeze])


@dataclass(frozen=True, eq=False)
class Points:
    """Single elements.

    `indices`: for each axis (at least one) a flat int64 array of indices >= 0, all of one length. `shape`: shape of the
    result, whose elements in C order are these points.
    """

    indices: tuple[np.ndarray, ...]
    shape: tuple[int, ...]


def basic(selection: Any, shape: tuple[int, ...]) -> Outer | Points:
    """Selection of a[selection], for an array of `shape`."""
    members = members_of(selection)
    if _WITHOUT_LISTS.issuperset(map(type, members)):
        return _outer(members, shape)
    arrays = sum([isinstance(member, np.ndarray | range) for member in members])
    if arrays > 1 and (mesh := flat_mesh(members)) is not None:
        return _outer(mesh, shape)
    if arrays and _is_pointwise(members, shape):
        return _pointwise(members, selection, shape)
    if arrays > 1 and not arrays == len(members) == len(shape):
        raise SelectionError(
            f"{arrays} index arrays for an array of {len(shape)} axes: zarr takes one beside ints and slices, or one "
            "for each axis; use .oindex for the outer product, .vindex for single points"
        )
    return _outer(members, shape)


def orthogonal(selection: Any, shape: tuple[int, ...]) -> Outer:
    """Selection of a.oindex[selection]: an int, slice, 1-d index array or list, or 1-d mask for each axis."""
    members = members_of(selection)
    return _outer(flat_mesh(members) or members, shape)


def _outer(given: tuple[Member | EllipsisType, ...], shape: tuple[int, ...]) -> Outer:
    members = _fill(given, len(shape))
    axes = tuple([_indices(member, axis, shape[axis]) for axis, member in enumerate(members)])
    return Outer(axes, tuple([axis for axis, member in enumerate(members) if isinstance(member, int)]))


def pointwise(selection: Any, shape: tuple[int, ...]) -> Points:
    """Selection of a.vindex[selection]: an int or index array for each axis, broadcast, or a mask of `shape`."""
    return _pointwise(members_of(selection), selection, shape)


def _pointwise(members: tuple[Member | EllipsisType, ...], selection: Any, shape: tuple[int, ...]) -> Points:
    mask = _mask(members, shape)
    if mask is not None:
        indices = np.nonzero(mask)
        return Points(indices, indices[0].shape)
    if not shape or len(members) != len(shape) or not all(map(_is_coordinate, members)):
        raise SelectionError(
            f"vindex takes an int or index array for each of {len(shape)} axes, or a mask of shape {shape}; "
            f"not {brief(selection)}"
        )
    given = [np.asarray(_coordinates(member, axis, shape[axis]), np.int64) for axis, member in enumerate(members)]
    try:
        arrays = np.broadcast_arrays(*given)
    except ValueError as error:
        raise SelectionError(f"index arrays of shapes {[a.shape for a in given]} do not broadcast together") from error
    try:
        return Points(tuple(a.reshape(-1) for a in arrays), arrays[0].shape or (1,))
    except MemoryError as error:
        raise NoMemoryError(f"no memory for the indices of {arrays[0].size} points") from error


def blocks(selection: Any, axes: tuple[Axis, ...]) -> Outer:
    """Selection of a.blocks[selection]: whole chunks, by ints and slices of step 1 in chunk-grid coordinates.

    An int keeps its axis. A slice may end beyond the grid, but must start inside it.
    """
    members = _fill(members_of(selection), len(axes))
    return Outer(tuple(_block(member, axis, axes[axis]) for axis, member in enumerate(members)))


def fields(selection: Any) -> tuple[str | tuple[str, ...] | None, Any]:
    """Split a selection of a structured array into field names and the rest, which selects elements.

    The names are None if there are none, a str for one name (the result has that field's dtype), or a tuple for several
    names or a list of names (the result is structured).
    """
    if isinstance(selection, str):
        return selection, ()
    if _is_names(selection):
        return tuple(selection), ()
    if not isinstance(selection, tuple):
        return None, selection
    names = tuple([member for member in selection if isinstance(member, str)])
    if not names:
        return None, selection
    rest = tuple([member for member in selection if not isinstance(member, str)])
    return (names[0] if len(names) == 1 else names), rest


def _is_names(member: Any) -> bool:
    return isinstance(member, list) and bool(member) and all(isinstance(name, str) for name in member)


def _fill(members: tuple[Member | EllipsisType, ...], ndim: int) -> list[Member]:
    """One member for each axis: axes that the ellipsis or the end of the selection leaves out are selected whole."""
    if len(members) == ndim and EllipsisType not in map(type, members):
        return cast(list[Member], list(members))
    given: list[Member] = [member for member in members if not isinstance(member, EllipsisType)]
    if len(members) - len(given) > 1:
        raise SelectionError("an index can only have a single ellipsis ('...')")
    if len(given) > ndim:
        raise SelectionError(f"too many indices: the array has {ndim} axes, the selection has {len(given)}")
    place = next((i for i, member in enumerate(members) if isinstance(member, EllipsisType)), len(given))
    return given[:place] + [slice(None)] * (ndim - len(given)) + given[place:]


def _mask(members: tuple[Member | EllipsisType, ...], shape: tuple[int, ...]) -> np.ndarray | None:
    """The mask of the whole array, if that is the only member; else None."""
    only = members[0] if len(members) == 1 else None
    return only if isinstance(only, np.ndarray) and only.dtype.kind == "b" and only.shape == shape != () else None


def _is_coordinate(member: Member | EllipsisType) -> bool:
    return isinstance(member, int | range) or (isinstance(member, np.ndarray) and member.dtype.kind in "iu")


def _coordinates(member: Any, axis: int, length: int) -> np.ndarray | range:
    """Indices >= 0 of an int, a range or an index array."""
    return _within(member, axis, length) if isinstance(member, range) else _checked(np.asarray(member), axis, length)


def _is_pointwise(members: tuple[Member | EllipsisType, ...], shape: tuple[int, ...]) -> bool:
    """Return True if a[members] means a.vindex[members]."""
    if _mask(members, shape) is not None:
        return True
    arrays = [member for member in members if isinstance(member, np.ndarray | range)]
    if len(arrays) == 1 and isinstance(arrays[0], range):  # the same as an outer product, which makes no points
        return False
    return len(members) == len(shape) and all(map(_is_coordinate, members))


def _indices(member: Member, axis: int, length: int) -> range | np.ndarray:
    """Indices that a member selects on its axis."""
    if isinstance(member, slice):
        return range(*_bounds(member, axis, length))
    if isinstance(member, int):
        index = _in_range(member, axis, length, "index")
        return range(index, index + 1)
    if isinstance(member, range):
        return _within(member, axis, length)
    if member.ndim != 1:
        raise SelectionError(
            f"an array of shape {member.shape} for axis {axis}: it must have one dimension here (a mask that stands "
            "alone may have the shape of the whole array)"
        )
    if member.dtype.kind != "b":
        return _checked(member, axis, length)
    if len(member) != length:
        raise SelectionError(f"a mask of length {len(member)} for axis {axis} of length {length}")
    return np.nonzero(member)[0]


def _bounds(member: slice, axis: int, length: int) -> tuple[int, int, int]:
    try:
        try:
            return member.indices(length)
        except TypeError:
            return on_host(member).indices(length)
    except (TypeError, ValueError) as error:
        raise SelectionError(f"{shown(member)} for axis {axis}: {error}") from error


def _in_range(value: int, axis: int, length: int, what: str) -> int:
    """Convert a negative index to one counted from the start. SelectionError if it is out of range."""
    if not -length <= value < length:
        raise SelectionError(f"{what} {shown(value)} is out of range for axis {axis} of length {length}")
    return value + length if value < 0 else value


def _within(indices: range, axis: int, length: int) -> range | np.ndarray:
    """Convert negative indices to those counted from the start; a range if that is one. SelectionError out of range."""
    if not indices:
        return range(0)
    low, high = sorted((indices[0], indices[-1]))
    if _in_range(low, axis, length, "index") == low:
        _in_range(high, axis, length, "index")
        return range(indices[0], indices[-1] + (1 if indices.step > 0 else -1), indices.step)
    if high < 0:
        return range(indices[0] + length, indices[-1] + length + (1 if indices.step > 0 else -1), indices.step)
    return _checked(np.arange(indices.start, indices.stop, indices.step), axis, length)


def _checked(indices: np.ndarray, axis: int, length: int) -> np.ndarray:
    """Convert indices to int64, none negative, without changing the given array. SelectionError out of range."""
    if indices.size == 0:
        return indices.astype(np.int64)
    low = int(indices.min())
    for value in (low, int(indices.max())):
        _in_range(value, axis, length, "index")
    indices = indices.astype(np.int64, copy=False)
    return np.where(indices < 0, indices + length, indices) if low < 0 else indices


def _block(member: Member, axis: int, grid: Axis) -> range:
    """Elements of the chunks that a member selects along one axis."""
    if isinstance(member, int):
        first = _in_range(member, axis, grid.count, "block")
        return range(_edge(grid, first), _edge(grid, first + 1))
    first, last, step = _bounds(member, axis, grid.count) if isinstance(member, slice) else (0, 0, 0)
    if not isinstance(member, slice) or step != 1:
        raise SelectionError(f"blocks takes ints and slices of step 1, not {brief(member)} for axis {axis}")
    if member.start is not None and grid.count:
        _in_range(operator.index(member.start), axis, grid.count, "first block")
    return range(_edge(grid, first), _edge(grid, max(first, last)))


def _edge(grid: Axis, chunk: int) -> int:
    """First element of a chunk, or the length of the axis if it begins beyond."""
    return min(chunk * grid.size if isinstance(grid, RegularAxis) else grid.edges[chunk], grid.length)
