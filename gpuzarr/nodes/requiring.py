"""The methods of `gpuzarr.Group` that open members of a kind, or make them if there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.checks import flag, shown
from gpuzarr.errors import ExistsError, OtherNodeError, ZarrDeprecationWarning, warn
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.making import Makes, create_array, create_group

if TYPE_CHECKING:
    from gpuzarr.nodes.group import Group


def get_array(self: Makes, path: str) -> Array:
    """Open an array below the group. NotFoundError if there is nothing, ExistsError if there is a group.

    Examples
    --------
    >>> g = gpuzarr.group()
    >>> g["a"] = [1, 2]
    >>> g.get_array("a").shape
    (2,)
    """
    node = self[path]
    if not isinstance(node, Array):
        raise ExistsError(f"{node!r} is a group; an array was asked for")
    return node


def get_group(self: Makes, path: str) -> Group:
    """Open a group below the group. NotFoundError if there is nothing, ExistsError if there is an array.

    Examples
    --------
    >>> g = gpuzarr.group()
    >>> g.require_group("a").path == g.get_group("a").path
    True
    """
    node: Group = self[path]
    if isinstance(node, Array):
        raise ExistsError(f"{node!r} is an array; a group was asked for")
    return node


def require_group(self: Makes, name: str, overwrite: bool = False, **options: Any) -> Group:
    """Open the group of this name, or make it.

    Parameters
    ----------
    name
        The path below this group.
    overwrite
        True: make a group, which replaces what exists there.
    **options
        As for `create_group`, for a new group.

    Raises
    ------
    OtherNodeError
        There is an array.

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> g.require_group("a").path, g.require_group("a").path
    ('a', 'a')
    """
    found: Any = None if flag(overwrite, "overwrite") else self.get(name)
    if isinstance(found, Array):
        raise OtherNodeError(f"{found!r} is an array; a group was asked for")
    return create_group(self, name, overwrite=overwrite, **options) if found is None else found


def require_groups(self: Makes, *names: str) -> tuple[Group, ...]:
    """Open the groups of these names, or make them. Raises OtherNodeError if there is an array.

    Examples
    --------
    >>> [group.path for group in gpuzarr.group().require_groups("a", "b/c")]
    ['a', 'b/c']
    """
    return tuple(require_group(self, name) for name in names)


def require_array(
    self: Makes, name: str, *, shape: Any, dtype: Any = None, exact: bool = False, config: Any = None, **options: Any
) -> Array:
    """Open the array of this name, or make it.

    Parameters
    ----------
    name
        The path below this group.
    shape
        As for `gpuzarr.create_array`.
    dtype
        As for `gpuzarr.create_array`. Values of the array that exists must be values of it, as `numpy.can_cast` says.
        Default: any; a new array is of "float64".
    exact
        True: the array must have this very dtype.
    config, **options
        As for `gpuzarr.create_array`; an array that exists is written as `config` says.

    Raises
    ------
    OtherNodeError
        There is a group, or an array of another shape or dtype.

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> g.require_array("a", shape=3, dtype="int16")[0] = 5
    >>> g.require_array("a", shape=3, dtype="int16", exact=True)[0]
    np.int16(5)
    """
    found = self.get(name)
    if found is None:
        return create_array(
            self, name, shape=shape, dtype="float64" if dtype is None else dtype, config=config, **options
        )
    _check(found, shape, dtype, flag(exact, "exact"))
    return found if config is None else found.with_config(config)


def _check(found: Any, shape: Any, dtype: Any, exact: bool) -> None:
    """Raise OtherNodeError if a node is not an array of this shape and dtype."""
    from gpuzarr.creation import dtype_of, sides

    wanted = sides("shape", shape)
    if not isinstance(found, Array) or found.shape != wanted:
        raise OtherNodeError(f"{found!r} is not an array of shape {shown(wanted)}, which was asked for")
    kind = found.dtype if dtype is None else dtype_of(dtype)
    if found.dtype != kind if exact else not np.can_cast(found.dtype, kind):
        raise OtherNodeError(f"{found!r} is not of dtype {kind}, which was asked for")


def require_dataset(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Open an array, or make it, as `require_array`, which is what to call instead."""
    warn("require_dataset() is deprecated: use require_array()", ZarrDeprecationWarning)
    return require_array(self, name, shape=shape, **options)
