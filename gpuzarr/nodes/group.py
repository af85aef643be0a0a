"""A group of a store, as users hold it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.checks import number, shown
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, ExistsError, NotFoundError, ReadOnlyError
from gpuzarr.metadata import GroupMetadata, files
from gpuzarr.metadata.attributes import change_attributes
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.attributes import Attributes
from gpuzarr.nodes.info import About
from gpuzarr.stores.contract import Store

Names = Callable[[str], list[str]]  # see `Store.names`
Open = Callable[[str], "Array | Group"]  # opens the node at a path of the store; NotFoundError if there is none


class Group:
    """A Zarr group: a mapping from names to arrays and groups.

    Groups come from `gpuzarr.open`, `gpuzarr.create_group` and from other groups. `g["a/b"]` reaches further down.
    Listing the members (`keys`, `members`, `len`, ...) reads the metadata of each of them. A Group holds no open files:
    it can be pickled, and used by many threads at once.

    Attributes
    ----------
    store, path
        The store, and the path of the group in it.
    metadata
        The parsed metadata document.

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> g["t"] = np.arange(3)
    >>> a = g.create_array("sub/u", shape=(2, 2), dtype="float32")
    >>> list(g), "sub/u" in g, g["sub/u"].shape
    (['sub', 't'], True, (2, 2))
    >>> del g["t"]
    >>> len(g)
    1
    """

    def __init__(self, store: Store, path: str, metadata: GroupMetadata, opener: Open, device: str | Device) -> None:
        self.store, self.path, self.metadata = store, path, metadata
        self._open, self._device = opener, device

    def __reduce__(self) -> tuple[Any, ...]:
        return Group, (self.store, self.path, self.metadata, self._open, self._device)

    def __repr__(self) -> str:
        place = f"{self.store!r}" + (f" {self.path!r}" if self.path else "")
        return f"<gpuzarr.Group {place} zarr_format={self.metadata.zarr_format}>"

    # facts

    @property
    def name(self) -> str:
        """The path of the group with a leading slash."""
        return "/" + self.path

    @property
    def basename(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def zarr_format(self) -> int:
        """The version of Zarr, 2 or 3."""
        return self.metadata.zarr_format

    @property
    def read_only(self) -> bool:
        """True if the group was opened for reading only."""
        return getattr(self._open, "writable", None) is None

    @property
    def info(self) -> About:
        """Facts about the group: as text by `print`, as a dict by `asdict()`."""
        kind = {"Name": self.name, "Type": "Group", "Zarr format": self.zarr_format}
        return About(kind | {"Read-only": self.read_only, "Store": self.store})

    @property
    def attrs(self) -> Attributes:
        """The attributes, a mutable mapping; each change is stored at once."""
        save = partial(change_attributes, self.store, self.path, self.metadata)
        return Attributes(self.metadata.attributes, None if self.read_only else save)

    def update_attributes(self, new_attributes: dict[str, Any]) -> Group:
        """Add attributes, or change them, and return the group.

        Examples
        --------
        >>> gpuzarr.group().update_attributes({"title": "a test"}).attrs["title"]
        'a test'
        """
        self.attrs.update(new_attributes)
        return self

    # members

    def __getitem__(self, path: Any) -> Array | Group:
        return self._open(self._below(path))

    def get(self, path: Any, default: Any = None) -> Any:
        """Open the array or group at a path below this group; `default` if there is none.

        ArgumentError for what is no path, or leads out of the group.

        Examples
        --------
        >>> print(gpuzarr.group().get("no such name"))
        None
        """
        try:
            return self[path]
        except NotFoundError:
            return default

    def __contains__(self, path: object) -> bool:
        return self.get(path) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """The names of the members, sorted."""
        return [name for name, _ in self.members()]

    def values(self) -> list[Array | Group]:
        """The members, in the order of their names."""
        return [node for _, node in self.members()]

    def items(self) -> list[tuple[str, Array | Group]]:
        """The names and members, in the order of the names."""
        return self.members()

    def members(self, max_depth: int | None = 0) -> list[tuple[str, Array | Group]]:
        """The names and members, in the order of the names.

        `max_depth` groups further down are listed too (None: all), by their paths below this group. ArgumentError if it
        is no integer.

        Examples
        --------
        >>> g = gpuzarr.create_group({})
        >>> a = g.zeros("a/b/c", shape=3)
        >>> [path for path, node in g.members(max_depth=None)]
        ['a', 'a/b', 'a/b/c']
        """
        depth = None if max_depth is None else number(max_depth, "max_depth", 0)
        return list(_walk(self, depth))

    def nmembers(self, max_depth: int | None = 0) -> int:
        """The number of `members`."""
        return len(self.members(max_depth))

    def arrays(self) -> list[tuple[str, Array]]:
        """The names and members that are arrays."""
        return [(name, node) for name, node in self.members() if isinstance(node, Array)]

    def array_keys(self) -> list[str]:
        """The names of the arrays."""
        return [name for name, _ in self.arrays()]

    def array_values(self) -> list[Array]:
        """The members that are arrays."""
        return [array for _, array in self.arrays()]

    def groups(self) -> list[tuple[str, Group]]:
        """The names and members that are groups."""
        return [(name, node) for name, node in self.members() if isinstance(node, Group)]

    def group_keys(self) -> list[str]:
        """The names of the groups."""
        return [name for name, _ in self.groups()]

    def group_values(self) -> list[Group]:
        """The members that are groups."""
        return [group for _, group in self.groups()]

    def names(self) -> list[str]:
        """The names that may be those of members, sorted, without a look at their metadata.

        They come from consolidated metadata, or from a listing of the store, in which not every name is a node.
        """
        return self._names(self.store.names)

    def _names(self, listed: Names) -> list[str]:
        known = self.metadata.consolidated
        if known is not None:
            return known.names()
        return [name for name in listed(self.path) if name not in files.FILES]

    def tree(self) -> str:
        """Draw all nodes below the group, a line each.

        Examples
        --------
        >>> g = gpuzarr.create_group({})
        >>> a = g.zeros("a/b", shape=(2, 3))
        >>> print(g.tree())
        /
        └── a
            └── b (2, 3) float64
        """
        return "\n".join([self.name, *_lines(self)])

    # writing

    def create_group(self, name: str, *, attributes: dict[str, Any] | None = None, overwrite: bool = False) -> Group:
        """Make a group, and the groups above it; one that has these attributes, maybe among others, is kept.

        Parameters
        ----------
        name
            The path below this group.
        attributes
            The attributes of the new group.
        overwrite
            True: delete whatever exists there first, with all below it.

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

        self._check_writable()
        new_group(self.store, self._below(name), self.zarr_format, attributes, overwrite)
        made = self[name]
        if isinstance(made, Array):
            raise ExistsError(f"{made!r} is an array; a group was asked for")
        return made

    def create_array(self, name: str, **options: Any) -> Array:
        """Make an array, and the groups above it; `options` are those of `gpuzarr.create_array`.

        Raises ReadOnlyError if this group was opened for reading only, and the errors of `gpuzarr.create_array`.

        Examples
        --------
        >>> g = gpuzarr.create_group({})
        >>> g.create_array("a", shape=(4, 4), dtype="float32", chunks=(2, 2)).nchunks
        4
        """
        from gpuzarr.nodes.create import create_array

        self._check_writable()
        options = {"zarr_format": self.zarr_format, "device": self._device} | options
        return create_array(self.store, name=self._below(name), **options)

    def full(self, name: str, *, shape: Any, fill_value: Any, dtype: Any = "float64", **options: Any) -> Array:
        """Make an array whose elements all have the fill value; `options` are those of `gpuzarr.create_array`.

        Examples
        --------
        >>> gpuzarr.create_group({}).full("a", shape=2, fill_value=7)[...]
        array([7., 7.])
        """
        return self.create_array(name, shape=shape, fill_value=fill_value, dtype=dtype, **options)

    def zeros(self, name: str, *, shape: Any, **options: Any) -> Array:
        """Make an array of zeros; `options` are those of `gpuzarr.create_array`."""
        return self.full(name, shape=shape, fill_value=0, **options)

    def ones(self, name: str, *, shape: Any, **options: Any) -> Array:
        """Make an array of ones; `options` are those of `gpuzarr.create_array`."""
        return self.full(name, shape=shape, fill_value=1, **options)

    def empty(self, name: str, *, shape: Any, **options: Any) -> Array:
        """Make an array of the dtype's default fill value; `options` are those of `gpuzarr.create_array`."""
        from gpuzarr.creation import DEFAULT

        return self.full(name, shape=shape, fill_value=DEFAULT, **options)

    def require_group(self, name: str) -> Group:
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
        return self.create_group(name) if found is None else found

    def require_array(self, name: str, *, shape: Any, **options: Any) -> Array:
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
            return self.create_array(name, shape=shape, **options)
        from gpuzarr.creation import dtype_of, sides

        wanted = sides("shape", shape)
        dtype = None if options.get("dtype") is None else dtype_of(options["dtype"])
        if not isinstance(found, Array) or found.shape != wanted:
            raise ExistsError(f"{found!r} is not an array of shape {shown(wanted)}, which was asked for")
        if dtype is not None and not np.can_cast(dtype, found.dtype):
            raise ExistsError(f"{found!r} cannot hold {dtype}")
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        """Make an array of these values; whatever exists there is deleted first."""
        self.create_array(name, data=value, overwrite=True)

    def __delitem__(self, name: str) -> None:
        """Delete a member with all below it. NotFoundError if there is none, ArgumentError for a name of none."""
        from gpuzarr.creation import delete

        self._check_writable()
        if (path := self._below(name)) == self.path:
            raise ArgumentError(f"{shown(name)} names no member of {self!r}")
        delete(self.store, path)

    def _check_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError(f"{self!r} was opened for reading; {files.how_to_write(self.store, self.path)}")

    def _below(self, path: str) -> str:
        name = files.clean(path)
        return f"{self.path}/{name}" if self.path and name else self.path or name


def _walk(group: Group, depth: int | None) -> Iterator[tuple[str, Array | Group]]:
    """The members of a group, and those of groups up to `depth` further down, by their paths; parents first."""
    names = group.store.names if depth == 0 else _listing(group)
    waiting = [_nodes(group, "", names)]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        yield found
        path, node = found
        if isinstance(node, Group) and (depth is None or len(waiting) <= depth):
            waiting.append(_nodes(node, f"{path}/", names))


def _listing(group: Group) -> Names:
    """`Store.names` for a group and all below it, in time linear in their number."""
    listing = getattr(group.store, "listing", None)
    return group.store.names if listing is None or group.metadata.consolidated is not None else listing(group.path)


def _nodes(group: Group, prefix: str, names: Names) -> Iterator[tuple[str, Array | Group]]:
    found = ((f"{prefix}{name}", group.get(name)) for name in group._names(names))
    return ((path, node) for path, node in found if node is not None)


def _lines(group: Group) -> Iterator[str]:
    """A line for each node below a group. No function calls itself here: groups may be nested thousands deep."""
    names = _listing(group)
    waiting = [("", deque(_nodes(group, "", names)))]
    while waiting:
        indent, members = waiting[-1]
        if not members:
            waiting.pop()
            continue
        name, node = members.popleft()
        label = f" {node.shape} {node.dtype}" if isinstance(node, Array) else ""
        yield f"{indent}{'├── ' if members else '└── '}{name}{label}"
        if isinstance(node, Group):
            waiting.append((indent + ("│   " if members else "    "), deque(_nodes(node, "", names))))
