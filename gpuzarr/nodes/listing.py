"""The members of a group: their names, the nodes, all nodes below it, and a drawing of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from gpuzarr.checks import number
from gpuzarr.metadata import GroupMetadata, files
from gpuzarr.nodes.array import Array
from gpuzarr.stores.contract import Store

if TYPE_CHECKING:
    from gpuzarr.nodes.group import Group

Names = Callable[[str], list[str]]  # see `Store.names`
Member = tuple[str, "Array | Group"]


class Lists(Protocol):
    """What these methods use of a group."""

    store: Store
    path: str
    metadata: GroupMetadata

    @property
    def name(self) -> str: ...

    def get(self, path: Any, default: Any = None) -> Any: ...


def members(self: Lists, max_depth: int | None = 0) -> list[Member]:
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


def names(self: Lists) -> list[str]:
    """The names that may be those of members, sorted, without a look at their metadata.

    They come from consolidated metadata, or from a listing of the store, in which not every name is a node.
    """
    return _names_in(self, self.store.names)


def _names_in(group: Lists, listed: Names) -> list[str]:
    """`names`, where `listed` has the names below a path, as `Store.names` does."""
    known = group.metadata.consolidated
    if known is not None:
        return known.names()
    return [name for name in listed(group.path) if name not in files.FILES]


def tree(self: Lists) -> str:
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


def _walk(group: Lists, depth: int | None) -> Iterator[Member]:
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
        if not isinstance(node, Array) and (depth is None or len(waiting) <= depth):
            waiting.append(_nodes(node, f"{path}/", names))


def _listing(group: Lists) -> Names:
    """`Store.names` for a group and all below it, in time linear in their number."""
    listing = getattr(group.store, "listing", None)
    return group.store.names if listing is None or group.metadata.consolidated is not None else listing(group.path)


def _nodes(group: Lists, prefix: str, names: Names) -> Iterator[Member]:
    found = ((f"{prefix}{name}", group.get(name)) for name in _names_in(group, names))
    return ((path, node) for path, node in found if node is not None)


def _lines(group: Lists) -> Iterator[str]:
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
        if not isinstance(node, Array):
            waiting.append((indent + ("│   " if members else "    "), deque(_nodes(node, "", names))))
