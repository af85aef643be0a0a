"""A group of a store, as users hold it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Protocol

from gpuzarr.checks import flag, shown
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, NotFoundError, ReadOnlyError
from gpuzarr.metadata import GroupMetadata, files
from gpuzarr.nodes import attributes, copying, listing, making, mistakes, refreshing, requiring
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.attributes import Attributes, attributes_of
from gpuzarr.nodes.info import About
from gpuzarr.nodes.operators import comparable
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.finding.resolve import wanted_format
from gpuzarr.stores.path import StorePath


class Opens(Protocol):
    """Opens the node at a path of the store. Where there is none, a call raises NotFoundError, and `get` gives None."""

    def __call__(self, path: str) -> Array | Group: ...

    def get(self, path: str) -> Array | Group | None: ...


@mistakes.explained(mistakes.group_lacks)
@comparable
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
    device
        Where values of arrays are decoded and returned.

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

    def __init__(self, store: Store, path: str, metadata: GroupMetadata, opener: Opens, device: str | Device) -> None:
        self.store, self.path, self.metadata = store, path, metadata
        self.opener, self.device = opener, device

    def __reduce__(self) -> tuple[Any, ...]:
        return Group, (self.store, self.path, self.metadata, self.opener, self.device)

    def __repr__(self) -> str:
        place = f"{self.store!r}" + (f" {self.path!r}" if self.path else "")
        return f"<gpuzarr.Group {place} zarr_format={self.metadata.zarr_format}>"

    @classmethod
    def open(cls, store: Any, zarr_format: Any = None, *, storage_options: Any = None) -> Group:
        """Open the group at the root of a store, or at a `store_path`, for reading and writing.

        Examples
        --------
        >>> gpuzarr.Group.open(gpuzarr.group().store).path
        ''
        """
        from gpuzarr.nodes.opener import opened

        node = opened(store, wanted_format(store, zarr_format), storage_options=storage_options)
        if not isinstance(node, cls):
            raise NotFoundError(f"{node!r} is an array, not a group")
        return node

    @classmethod
    def from_store(
        cls,
        store: Any,
        *,
        attributes: dict[str, Any] | None = None,
        zarr_format: Any = None,
        overwrite: bool = False,
        storage_options: Any = None,
    ) -> Group:
        """Make the group at the root of a store, or at a `store_path`.

        Examples
        --------
        >>> gpuzarr.Group.from_store({}, attributes={"title": "a test"}).attrs["title"]
        'a test'
        """
        from gpuzarr.creation import new_group

        place, version = store_of(store, storage_options, "a"), wanted_format(store, zarr_format) or 3
        new_group(place, "", version, attributes, flag(overwrite, "overwrite"))
        return cls.open(place, version)

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
        return getattr(self.opener, "writable", None) is None

    @property
    def info(self) -> About:
        """Facts about the group: as text by `print`, as a dict by `asdict()`."""
        kind = {"Name": self.name, "Type": "Group", "Zarr format": self.zarr_format}
        if self.metadata.foreign is not None:
            kind["Format"] = self.metadata.foreign
        return About(kind | {"Read-only": self.read_only, "Store": self.store})

    def info_complete(self) -> About:
        """`info`, and how many arrays and groups there are below the group. Lists the store.

        Examples
        --------
        >>> g = gpuzarr.group()
        >>> g["a/b"] = [1, 2]
        >>> print(g.info_complete().asdict()["No. arrays"])
        1
        """
        arrays = [isinstance(node, Array) for _, node in self.members(max_depth=None)]
        counts = {"No. members": len(arrays), "No. arrays": sum(arrays), "No. groups": len(arrays) - sum(arrays)}
        return About(self.info.asdict() | counts)

    @property
    def store_path(self) -> StorePath:
        """The store and the path of the group in it."""
        return StorePath(self.store, self.path)

    @property
    def synchronizer(self) -> None:
        """None: changes are locked by the store."""
        return None

    @property
    def attrs(self) -> Attributes:
        """The attributes, a mutable mapping; each change is stored at once."""
        return attributes_of(self)

    @attrs.setter
    def attrs(self, new_attributes: dict[str, Any]) -> None:
        self.attrs.put(new_attributes)

    update_attributes, refresh = attributes.update_attributes, refreshing.refresh_group

    # members

    def __getitem__(self, path: Any) -> Array | Group:
        return self.opener(self.below(path))

    def get(self, path: Any, default: Any = None) -> Any:
        """Open the array or group at a path below this group; `default` if there is none.

        ArgumentError for what is no path, or leads out of the group.

        Examples
        --------
        >>> print(gpuzarr.group().get("no such name"))
        None
        """
        found = self.opener.get(self.below(path))
        return default if found is None else found

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

    get_array, get_group = requiring.get_array, requiring.get_group
    members, names, tree, _repr_html_ = listing.members, listing.names, listing.tree, listing.as_html

    # writing

    create_group, create_array, create = making.create_group, making.create_array, making.create_array
    create_hierarchy, create_dataset = making.create_hierarchy, making.create_dataset
    full, zeros, ones, empty = making.full, making.zeros, making.ones, making.empty
    full_like, zeros_like, ones_like = making.full_like, making.zeros_like, making.ones_like
    empty_like = making.empty_like
    move, copy = copying.move, copying.copy
    require_group, require_groups = requiring.require_group, requiring.require_groups
    require_array, require_dataset = requiring.require_array, requiring.require_dataset

    def __setitem__(self, name: str, value: Any) -> None:
        """Make an array of these values in the place of whatever exists there."""
        self.create_array(name, data=value, overwrite=True)

    def __delitem__(self, name: str) -> None:
        """Delete a member with all below it. NotFoundError if there is none, ArgumentError for a name of none."""
        from gpuzarr.creation import delete

        self.check_writable()
        delete(self.store, self.member(name))

    def check_writable(self) -> None:
        """ReadOnlyError if the group was opened for reading only."""
        if self.read_only:
            advice = files.how_to_write(self.store, self.path, self.metadata.why_read_only)
            raise ReadOnlyError(f"{self!r} was opened for reading; {advice}")

    def below(self, path: str) -> str:
        """The path in the store of what has this path below the group."""
        if not isinstance(path, str | os.PathLike):
            raise mistakes.no_path(path)
        name = files.clean(path)
        return f"{self.path}/{name}" if self.path and name else self.path or name

    def member(self, name: str) -> str:
        """`below`, but an ArgumentError for the group itself."""
        if (path := self.below(name)) == self.path:
            raise ArgumentError(f"{shown(name)} names no member of {self!r}")
        return path
