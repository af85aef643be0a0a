"""The methods of `gpuzarr.Group` that make members. What makes nodes is imported when it is first used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gpuzarr.devices.contract import Device
from gpuzarr.errors import ExistsError, ZarrDeprecationWarning, warn
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.keywords import own
from gpuzarr.stores.contract import Store

if TYPE_CHECKING:
    from gpuzarr.nodes.group import Group

_IN_GROUP, _BY_NAME = "the array is a member of the group", "`name` is the path below the group"


class Makes(Protocol):
    """The members of a group that these methods use."""

    store: Store
    path: str
    device: str | Device
    opener: Any

    @property
    def zarr_format(self) -> int: ...

    def __getitem__(self, path: Any) -> Any: ...

    def get(self, path: Any, default: Any = None) -> Any: ...

    def below(self, path: Any) -> str: ...

    def member(self, name: Any) -> str: ...

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
    new_group(self.store, self.member(name), self.zarr_format, attributes, overwrite)
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

    own("create_array", options, store=_IN_GROUP, path=_BY_NAME)
    self.check_writable()
    options = {"zarr_format": self.zarr_format, "device": self.device} | options
    return create_array(self.store, name=self.member(name), **options)


def _create(self: Makes, function: str, name: str, options: dict[str, Any]) -> Array:
    """Make an array by the defaults of `gpuzarr.create`."""
    from gpuzarr.nodes.new_arrays import create

    own(function, options, store=_IN_GROUP, path=_BY_NAME)
    self.check_writable()
    made: dict[str, Any] = {
        "store": self.store,
        "path": self.member(name),
        "zarr_format": self.zarr_format,
        "device": self.device,
    }
    return create(**made | options)


def full(self: Makes, name: str, *, shape: Any, fill_value: Any, **options: Any) -> Array:
    """Make an array whose elements all have the fill value; `options` are those of `gpuzarr.create`.

    Examples
    --------
    >>> gpuzarr.create_group({}).full("a", shape=2, fill_value=7)[...]
    array([7., 7.])
    """
    return _create(self, "full", name, options | {"shape": shape, "fill_value": fill_value})


def zeros(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Make an array of zeros; `options` are those of `gpuzarr.create`."""
    own("zeros", options, fill_value="it is 0; full() takes one")
    return _create(self, "zeros", name, options | {"shape": shape, "fill_value": 0})


def ones(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Make an array of ones; `options` are those of `gpuzarr.create`."""
    own("ones", options, fill_value="it is 1; full() takes one")
    return _create(self, "ones", name, options | {"shape": shape, "fill_value": 1})


def empty(self: Makes, name: str, *, shape: Any, **options: Any) -> Array:
    """Make an array of the dtype's default fill value; `options` are those of `gpuzarr.create`."""
    return _create(self, "empty", name, options | {"shape": shape})


def full_like(self: Makes, name: str, *, data: Any, **options: Any) -> Array:
    """Make an array like another one, with `fill_value` as all values.

    Parameters
    ----------
    name
        The path below this group.
    data, **options
        As `a` and the options of `gpuzarr.empty_like`. The version of Zarr is that of the group.

    Examples
    --------
    >>> gpuzarr.create_group({}).full_like("a", data=np.zeros(3, "int16"), fill_value=7)[...]
    array([7, 7, 7], dtype=int16)
    """
    from gpuzarr.nodes.like import properties

    own("full_like", options, store=_IN_GROUP, path=_BY_NAME)
    return _create(self, "full_like", name, properties(data, self.zarr_format, options))


def empty_like(self: Makes, name: str, *, data: Any, **options: Any) -> Array:
    """Make an array like another one, with its fill value as all values; the parameters are those of `full_like`."""
    return full_like(self, name, data=data, **options)


def zeros_like(self: Makes, name: str, *, data: Any, **options: Any) -> Array:
    """Make an array of zeros like another one; the parameters are those of `full_like`."""
    own("zeros_like", options, fill_value="it is 0; full_like() takes one")
    return full_like(self, name, data=data, fill_value=0, **options)


def ones_like(self: Makes, name: str, *, data: Any, **options: Any) -> Array:
    """Make an array of ones like another one; the parameters are those of `full_like`."""
    own("ones_like", options, fill_value="it is 1; full_like() takes one")
    return full_like(self, name, data=data, fill_value=1, **options)


def create_dataset(
    self: Makes, name: str, *, shape: Any = None, dtype: Any = None, data: Any = None, **options: Any
) -> Array:
    """Make an array, as `create_array`, which is what to call instead; `data` may come with its shape and a dtype."""
    warn("create_dataset() is deprecated: use create_array()", ZarrDeprecationWarning)
    if data is not None:
        from gpuzarr.nodes.create import given

        return create_array(self, name, data=given(data, shape, dtype), **options)
    return create_array(self, name, shape=shape, dtype=dtype, **options)


def create_hierarchy(
    self: Makes, nodes: Mapping[str, Any], *, overwrite: bool = False
) -> Iterator[tuple[str, Array | Group]]:
    """Make many groups and arrays below this group, as `gpuzarr.create_hierarchy` does; paths are below this group.

    Examples
    --------
    >>> g = gpuzarr.group()
    >>> made = dict(g.create_hierarchy({"a/b": gpuzarr.zeros(3).metadata}))
    >>> list(made), g["a/b"].shape
    (['a', 'a/b'], (3,))
    """
    from gpuzarr.nodes.hierarchy import created

    self.check_writable()
    return iter(created(self.opener, nodes, overwrite, self.path, self.zarr_format))
