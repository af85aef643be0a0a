"""A group of a store, as users hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.creation import DEFAULT, delete, new_group
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ExistsError, NotFoundError, ReadOnlyError
from gpuzarr.metadata import GroupMetadata, files
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.attributes import Attributes
from gpuzarr.nodes.create import create_array
from gpuzarr.nodes.info import About
from gpuzarr.stores.contract import Store

Open = Callable[[str], "Array | Group"]  # a path of the store -> the node there; NotFoundError if none


class Group:
    """A Zarr group: a mapping of names to arrays and groups. `g["a/b"]` reaches further down."""

    def __init__(self, store: Store, path: str, metadata: GroupMetadata, opener: Open, device: str | Device) -> None:
        self.store, self.path, self.metadata = store, path, metadata
        self._open, self._device = opener, device

    def __reduce__(self) -> tuple[Any, ...]:
        return Group, (self.store, self.path, self.metadata, self._open, self._device)

    def __repr__(self) -> str:
        place = f"{self.store!r}" + (f" {self.path!r}" if self.path else "")
        return f"<gpuzarr.Group {place} zarr_format={self.metadata.zarr_format}>"

    @property
    def name(self) -> str:
        return "/" + self.path

    @property
    def basename(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def zarr_format(self) -> int:
        return self.metadata.zarr_format

    @property
    def attrs(self) -> Attributes:
        save = partial(files.change_attributes, self.store, self.path, self.zarr_format)
        return Attributes(self.metadata.attributes, None if self.read_only else save)

    @property
    def info(self) -> About:
        kind = {"Name": self.name, "Type": "Group", "Zarr format": self.zarr_format}
        return About(kind | {"Read-only": self.read_only, "Store": self.store})

    @property
    def read_only(self) -> bool:
        return getattr(self._open, "writable", None) is None

    def __getitem__(self, path: str) -> Array | Group:
        return self._open(self._below(path))

    def get(self, path: str, default: Any = None) -> Any:
        try:
            return self[path]
        except NotFoundError:
            return default

    def __contains__(self, path: str) -> bool:
        return self.get(path) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """The names of the members, sorted."""
        return [name for name, _ in self.members()]

    def values(self) -> list[Array | Group]:
        return [node for _, node in self.members()]

    def items(self) -> list[tuple[str, Array | Group]]:
        return self.members()

    def members(self, max_depth: int | None = 0) -> list[tuple[str, Array | Group]]:
        """The members, by name; `max_depth`: also those so many groups further down (None: all), by their paths."""
        found = ((name, self.get(name)) for name in self.names())
        nodes = [(name, node) for name, node in found if node is not None]
        return [below for name, node in nodes for below in _and_below(name, node, max_depth)]

    def nmembers(self, max_depth: int | None = 0) -> int:
        return len(self.members(max_depth))

    def arrays(self) -> list[tuple[str, Array]]:
        return [(name, node) for name, node in self.members() if isinstance(node, Array)]

    def array_keys(self) -> list[str]:
        return [name for name, _ in self.arrays()]

    def array_values(self) -> list[Array]:
        return [array for _, array in self.arrays()]

    def groups(self) -> list[tuple[str, Group]]:
        return [(name, node) for name, node in self.members() if isinstance(node, Group)]

    def group_keys(self) -> list[str]:
        return [name for name, _ in self.groups()]

    def group_values(self) -> list[Group]:
        return [group for _, group in self.groups()]

    def tree(self) -> str:
        """All that is below, a line each."""
        return "\n".join([self.name, *_lines(self, "")])

    # writing

    def full(self, name: str, *, shape: Any, fill_value: Any, dtype: Any = "float64", **options: Any) -> Array:
        """A new array of nothing but the fill value; `options` are those of `gpuzarr.create_array`."""
        return self.create_array(name, shape=shape, fill_value=fill_value, dtype=dtype, **options)

    def zeros(self, name: str, *, shape: Any, **options: Any) -> Array:
        return self.full(name, shape=shape, fill_value=0, **options)

    def ones(self, name: str, *, shape: Any, **options: Any) -> Array:
        return self.full(name, shape=shape, fill_value=1, **options)

    def empty(self, name: str, *, shape: Any, **options: Any) -> Array:
        return self.full(name, shape=shape, fill_value=DEFAULT, **options)

    def update_attributes(self, new_attributes: dict[str, Any]) -> Group:
        self.attrs.update(new_attributes)
        return self

    def create_group(self, name: str, *, attributes: dict[str, Any] | None = None, overwrite: bool = False) -> Group:
        """A new group; one that is there is fine if it has these attributes, maybe among others."""
        self._check_writable()
        new_group(self.store, self._below(name), self.zarr_format, attributes, overwrite)
        made = self[name]
        assert isinstance(made, Group)
        return made

    def create_array(self, name: str, **options: Any) -> Array:
        """A new array; `options` are those of `gpuzarr.create_array`."""
        self._check_writable()
        options = {"zarr_format": self.zarr_format, "device": self._device} | options
        return create_array(self.store, name=self._below(name), **options)

    def require_group(self, name: str) -> Group:
        """The group of that name, made if nothing is there. ExistsError where an array is."""
        found = self.get(name)
        if isinstance(found, Array):
            raise ExistsError(f"{found!r} is where a group was wanted")
        return self.create_group(name) if found is None else found

    def require_array(self, name: str, *, shape: Any, **options: Any) -> Array:
        """The array of that name, made if nothing is there. ExistsError where it has another shape or dtype."""
        found = self.get(name)
        if found is None:
            return self.create_array(name, shape=shape, **options)
        wanted = (shape,) if isinstance(shape, int) else tuple(shape)
        dtype = options.get("dtype")
        if not isinstance(found, Array) or found.shape != wanted:
            raise ExistsError(f"{found!r} is where an array of shape {wanted} was wanted")
        if dtype is not None and not np.can_cast(dtype, found.dtype):
            raise ExistsError(f"{found!r} cannot hold {dtype}")
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        """An array of these values, instead of what is there."""
        self.create_array(name, data=value, overwrite=True)

    def __delitem__(self, name: str) -> None:
        """Delete a member with all below it. NotFoundError where there is none."""
        self._check_writable()
        delete(self.store, self._below(name))

    def _check_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError(f"{self!r} was opened for reading; open it with mode 'r+' or 'a'")

    def _below(self, path: str) -> str:
        parts = [part for part in f"{self.path}/{path}".split("/") if part]
        return "/".join(parts)

    def names(self) -> list[str]:
        """The names of what may be members: of the consolidated metadata, or of all that lies below."""
        known = self.metadata.consolidated
        if known is not None:
            return sorted({path.split("/", 1)[0] for path in known if path})
        hidden = (".zgroup", ".zattrs", ".zarray", ".zmetadata", "zarr.json")
        return [name for name in self.store.names(self.path) if name not in hidden]


def _and_below(name: str, node: Array | Group, depth: int | None) -> Iterator[tuple[str, Array | Group]]:
    """A member, and the members of a group down to a depth, as paths."""
    yield name, node
    if isinstance(node, Group) and depth != 0:
        for path, below in node.members(None if depth is None else depth - 1):
            yield f"{name}/{path}", below


def _lines(group: Group, indent: str) -> Iterator[str]:
    members = group.members()
    for i, (name, node) in enumerate(members):
        last = i == len(members) - 1
        label = f" {node.shape} {node.dtype}" if isinstance(node, Array) else ""
        yield f"{indent}{'└── ' if last else '├── '}{name}{label}"
        if isinstance(node, Group):
            yield from _lines(node, indent + ("    " if last else "│   "))
