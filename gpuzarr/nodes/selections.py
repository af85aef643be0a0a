"""The methods of zarr-python's arrays that name the meaning of a selection; each is a method of `gpuzarr.Array`.

Their `prototype`, a kind of buffer in zarr-python, changes nothing: the device of the array says where values are.
"""

from __future__ import annotations

from typing import Any, Protocol

from gpuzarr.nodes.indexers import Indexer, Names


class HasIndexers(Protocol):
    """The members of an array that these methods use."""

    @property
    def basic(self) -> Indexer: ...

    @property
    def oindex(self) -> Indexer: ...

    @property
    def vindex(self) -> Indexer: ...

    @property
    def blocks(self) -> Indexer: ...


def _memory(out: Any) -> Any:
    """The array of a buffer of zarr-python; anything else as it is."""
    return out.as_ndarray_like() if hasattr(out, "as_ndarray_like") else out


def get_basic_selection(
    self: HasIndexers, selection: Any = ..., *, out: Any = None, fields: Names = None, prototype: Any = None
) -> Any:
    """Read a selection, as `a[selection]`.

    `out` is an array of the device to be filled and returned; `fields` is a field of a structured array, or several.

    Examples
    --------
    >>> gpuzarr.array(np.arange(12).reshape(3, 4)).get_basic_selection((1, slice(1, 3)))
    array([5, 6])
    """
    return self.basic.get(selection, out=_memory(out), fields=fields)


def set_basic_selection(
    self: HasIndexers, selection: Any, value: Any, *, fields: Names = None, prototype: Any = None
) -> None:
    """Write a selection, as `a[selection] = value`.

    Examples
    --------
    >>> a = gpuzarr.zeros(4, dtype="int64")
    >>> a.set_basic_selection(slice(2), [5, 6])
    >>> a[...]
    array([5, 6, 0, 0])
    """
    self.basic.set(selection, value, fields=fields)


def get_orthogonal_selection(
    self: HasIndexers, selection: Any = ..., *, out: Any = None, fields: Names = None, prototype: Any = None
) -> Any:
    """Read a selection with separate indices for each axis, as `a.oindex[selection]`.

    `out` is an array of the device to be filled and returned; `fields` is a field of a structured array, or several.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12).reshape(3, 4))
    >>> a.get_orthogonal_selection(([0, 2], [1, 3]))
    array([[ 1,  3],
           [ 9, 11]])
    """
    return self.oindex.get(selection, out=_memory(out), fields=fields)


def set_orthogonal_selection(
    self: HasIndexers, selection: Any, value: Any, *, fields: Names = None, prototype: Any = None
) -> None:
    """Write a selection with separate indices for each axis, as `a.oindex[selection] = value`.

    Examples
    --------
    >>> a = gpuzarr.zeros((3, 4), dtype="int64")
    >>> a.set_orthogonal_selection(([0, 2], [1, 3]), 5)
    >>> a[...]
    array([[0, 5, 0, 5],
           [0, 0, 0, 0],
           [0, 5, 0, 5]])
    """
    self.oindex.set(selection, value, fields=fields)


def get_coordinate_selection(
    self: HasIndexers, selection: Any = ..., *, out: Any = None, fields: Names = None, prototype: Any = None
) -> Any:
    """Read single elements by their coordinates, as `a.vindex[selection]`.

    `out` is an array of the device to be filled and returned; `fields` is a field of a structured array, or several.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12).reshape(3, 4))
    >>> a.get_coordinate_selection(([0, 2], [1, 3]))
    array([ 1, 11])
    """
    return self.vindex.get(selection, out=_memory(out), fields=fields)


def set_coordinate_selection(
    self: HasIndexers, selection: Any, value: Any, *, fields: Names = None, prototype: Any = None
) -> None:
    """Write single elements by their coordinates, as `a.vindex[selection] = value`.

    Examples
    --------
    >>> a = gpuzarr.zeros((2, 3), dtype="int64")
    >>> a.set_coordinate_selection(([0, 1], [0, 2]), [7, 8])
    >>> a[...]
    array([[7, 0, 0],
           [0, 0, 8]])
    """
    self.vindex.set(selection, value, fields=fields)


def get_mask_selection(
    self: HasIndexers, mask: Any = ..., *, out: Any = None, fields: Names = None, prototype: Any = None
) -> Any:
    """Read the elements at which a mask of the array's shape is True, as `a.vindex[mask]`.

    `out` is an array of the device to be filled and returned; `fields` is a field of a structured array, or several.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(6).reshape(2, 3))
    >>> a.get_mask_selection(np.array([[True, False, False], [False, False, True]]))
    array([0, 5])
    """
    return self.vindex.get(mask, out=_memory(out), fields=fields)


def set_mask_selection(
    self: HasIndexers, mask: Any, value: Any, *, fields: Names = None, prototype: Any = None
) -> None:
    """Write the elements at which a mask of the array's shape is True, as `a.vindex[mask] = value`.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(6).reshape(2, 3))
    >>> a.set_mask_selection(a[...] > 3, 0)
    >>> a[...]
    array([[0, 1, 2],
           [3, 0, 0]])
    """
    self.vindex.set(mask, value, fields=fields)


def get_block_selection(
    self: HasIndexers, selection: Any = ..., *, out: Any = None, fields: Names = None, prototype: Any = None
) -> Any:
    """Read whole chunks by their place in the chunk grid, as `a.blocks[selection]`.

    `out` is an array of the device to be filled and returned; `fields` is a field of a structured array, or several.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12).reshape(3, 4), chunks=(2, 2))
    >>> a.get_block_selection((0, 1))
    array([[2, 3],
           [6, 7]])
    """
    return self.blocks.get(selection, out=_memory(out), fields=fields)


def set_block_selection(
    self: HasIndexers, selection: Any, value: Any, *, fields: Names = None, prototype: Any = None
) -> None:
    """Write whole chunks by their place in the chunk grid, as `a.blocks[selection] = value`.

    Examples
    --------
    >>> a = gpuzarr.zeros((3, 4), chunks=(2, 2), dtype="int64")
    >>> a.set_block_selection((0, 1), 9)
    >>> a[...]
    array([[0, 0, 9, 9],
           [0, 0, 9, 9],
           [0, 0, 0, 0]])
    """
    self.blocks.set(selection, value, fields=fields)
