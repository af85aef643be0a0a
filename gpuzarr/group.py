"""A group of a store, as users hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gpuzarr.array import Array, Attributes
from gpuzarr.devices import Device
from gpuzarr.errors import NotFoundError
from gpuzarr.metadata import GroupMetadata
from gpuzarr.stores import Store

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
        return Attributes(self.metadata.attributes)

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

    def members(self) -> list[tuple[str, Array | Group]]:
        """The members, by name."""
        found = ((name, self.get(name)) for name in self.names())
        return [(name, node) for name, node in found if node is not None]

    def arrays(self) -> list[tuple[str, Array]]:
        return [(name, node) for name, node in self.members() if isinstance(node, Array)]

    def groups(self) -> list[tuple[str, Group]]:
        return [(name, node) for name, node in self.members() if isinstance(node, Group)]

    def tree(self) -> str:
        """All that is below, a line each."""
        return "\n".join([self.name, *_lines(self, "")])

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


def _lines(group: Group, indent: str) -> Iterator[str]:
    members = group.members()
    for i, (name, node) in enumerate(members):
        last = i == len(members) - 1
        label = f" {node.shape} {node.dtype}" if isinstance(node, Array) else ""
        yield f"{indent}{'└── ' if last else '├── '}{name}{label}"
        if isinstance(node, Group):
            yield from _lines(node, indent + ("    " if last else "│   "))
