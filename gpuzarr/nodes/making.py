"""The methods of `gpuzarr.Group` that make members. What makes nodes is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ExistsError
from gpuzarr.nodes.array import Array
from gpuzarr.stores.contract import Store

if TYPE_CHECKING:
    from gpuzarr.nodes.group import Group


class Makes(Protocol):
    """What these methods use of a group."""

    store: Store
    device: str | Device

    @property
    def zarr_format(self) -> int: ...

    def __getitem__(self, path: Any) -> Any: ...

    def get(self, path: Any, default: Any = None) -> Any: ...

    def below(self, path: Any) -> str: ...

    def check_writable(self) -> None: ...


def create_group(self: Makes, name: str, *, attributes: dict[str, Any] | None = None, overwrite: bool = False) -> Group:
    """Make a group, and the groups above it; one that has these attributes, maybe among others, is kept.

    Parameters
    ----------
    name
        The path below this group.
    attributes
        The attributes of the new group.
    overwrite
        True: replace whatever exists there, with all below it.

    Raises
    ------
    ReadOnlyError
        This group was opened for reading only.
    ExistsError
        There is an array, or a group with other attributes.

    Examples
    --------
    >>> gpuzarr.create_group({}).create_group("a/b", attributes={"title": "a test"}).name
    '/a/b'
    """
    from gpuzarr.creation import new_group

    self.check_writable()
    new_group(self.store, self.below(name), self.zarr_format, attributes, overwrite)
    made = self[name]
    if isinstance(made, Array):
        raise ExistsError(f"{made!r} is an array; a group was asked for")
    return made


def create_array(self: Makes, name: str, **options: Any) -> Array:
    """Make an array, and the groups above it; `options` are those of `gpuzarr.create_array`.

    Raises ReadOnlyError if this group was opened for reading only, and the errors of `gpuzarr.create_array`.

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> g.create_array("a", shape=(4, 4), dtype="float32", chunks=(2, 2)).nchunks
    4
    """
    from gpuzarr.nodes.create import create_array

    self.check_writable()
    options = {"zarr_format": self.zarr_format, "device": self.device} | options
    return create_array(self.store, name=self.below(name), **options)


def full(self: Makes, name: str, *, shape: Any, fill_value: Any, dtype: Any = "float64", **options: Any) -> Array:
    """Make an array whose elements all have the fill value; `options` are those of `gpuzarr.create_array`.

    Examples
    --------
    >>> gpuzarr.create_group({}).full("a", shape=2, fill_value=7)[...]
    array([7., 7.])
    """
    return create_array(self, name, shape=shape, fill_value=fill_value, dtype=dtype, **options)


def zeros(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Make an array of zeros; `options` are those of `gpuzarr.create_array`."""
    return full(self, name, shape=shape, fill_value=0, **options)


def ones(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Make an array of ones; `options` are those of `gpuzarr.create_array`."""
    return full(self, name, shape=shape, fill_value=1, **options)


def empty(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Make an array of the dtype's default fill value; `options` are those of `gpuzarr.create_array`."""
    from gpuzarr.creation import DEFAULT

    return full(self, name, shape=shape, fill_value=DEFAULT, **options)


def require_group(self: Makes, name: str) -> Group:
    """Open the group of this name, or make it. Raises ExistsError if there is an array.

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> g.require_group("a").path, g.require_group("a").path
    ('a', 'a')
    """
    found = self.get(name)
    if isinstance(found, Array):
        raise ExistsError(f"{found!r} is an array; a group was asked for")
    return create_group(self, name) if found is None else found


def require_array(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Open the array of this name, or make it; `options` are those of `gpuzarr.create_array`.

    Raises ExistsError if there is a group, or an array of another shape, or one that cannot hold `dtype`.

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> g.require_array("a", shape=3, dtype="int16")[0] = 5
    >>> g.require_array("a", shape=3, dtype="int16")[0]
    np.int16(5)
    """
    found = self.get(name)
    if found is None:
        return create_array(self, name, shape=shape, **options)
    from gpuzarr.creation import dtype_of, sides

    wanted = sides("shape", shape)
    dtype = None if options.get("dtype") is None else dtype_of(options["dtype"])
    if not isinstance(found, Array) or found.shape != wanted:
        raise ExistsError(f"{found!r} is not an array of shape {shown(wanted)}, which was asked for")
    if dtype is not None and not np.can_cast(dtype, found.dtype):
        raise ExistsError(f"{found!r} cannot hold {dtype}")
    return found
