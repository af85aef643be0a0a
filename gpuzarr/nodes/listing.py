"""The members of a group: their names, the nodes, all nodes below it, and a drawing of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gpuzarr.checks import flag, number
from gpuzarr.errors import UnsupportedCallError
from gpuzarr.metadata import GroupMetadata, files
from gpuzarr.nodes.array import Array
from gpuzarr.stores.contract import Store, concurrency
from gpuzarr.stores.hidden import hidden
from gpuzarr.stores.spread import each

if TYPE_CHECKING:
    from gpuzarr.nodes.group import Group

Names = Callable[[str], list[str]]  # see `Store.names`
Member = tuple[str, "Array | Group"]


class Lists(Protocol):
    """The members of a group that these methods use."""

    store: Store
    path: str
    metadata: GroupMetadata

    @property
    def name(self) -> str: ...

    def get(self, path: Any, default: Any = None) -> Any: ...


def members(self: Lists, max_depth: int | None = 0, *, use_consolidated_for_children: bool = True) -> list[Member]:
    """The names and members, in the order of the names.

    `max_depth` groups further down are listed too (None: all), by their paths below this group. ArgumentError if it
    is no integer, or negative. Members are those of the consolidated metadata by which the group was opened, if it was;
    `use_consolidated_for_children`, of zarr-python, changes nothing.

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
    zarr_format = group.metadata.zarr_format
    return [name for name in listed(group.path) if files.may_be_member(name, zarr_format) and not hidden(name)]


def tree(
    self: Lists, expand: bool | None = None, level: int | None = None, *, max_nodes: int = 500, plain: bool = False
) -> Tree:
    """Draw the nodes below the group, a line each.

    Parameters
    ----------
    expand
        Not supported; the drawing shows all levels.
    level
        Groups further down than this are drawn without members; 0 draws only the members of this group. Default: all.
    max_nodes
        The most nodes that are drawn. If there are more, the last line says so.
    plain
        True: no bold names, which a terminal or a notebook has otherwise.

    Returns
    -------
    Tree
        As text by `print`; notebooks show it, too.

    Raises
    ------
    ArgumentError
        `level` or `max_nodes` is no integer, or negative, or `expand` is given (UnsupportedCallError).

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> a = g.zeros("a/b", shape=(2, 3))
    >>> print(g.tree())
    /
    └── a
        └── b (2, 3) float64
    >>> print(g.tree(level=0))
    /
    └── a
    """
    if expand is not None:
        raise UnsupportedCallError("expand is not supported: the drawing shows all levels down to `level`")
    depth, most = None if level is None else number(level, "level", 0), number(max_nodes, "max_nodes", 0)
    lines = list(islice(_lines(self, depth), most + 1))
    return Tree((Line("", self.name), *lines[:most]), len(lines) > most, flag(plain, "plain"))


def as_html(self: Lists) -> str:
    """The group in a notebook: its nodes, as a tree that folds. It lists groups, and never fails."""
    from gpuzarr.nodes.html_group import group_html

    listed = cache(lambda: _listing(self))
    return group_html(self, lambda group: _names_in(group, listed()))


class Line(NamedTuple):
    """A line of a drawing: lines that lead to the node, its name, and its shape and dtype."""

    before: str
    name: str
    after: str = ""


@dataclass(frozen=True, repr=False)
class Tree:
    """A drawing of the nodes below a group: as text by `print`, as HTML in a notebook.

    Examples
    --------
    >>> g = gpuzarr.create_group({})
    >>> a = g.zeros("<b>", shape=2)
    >>> g.tree()._repr_html_()
    '<pre>\\n<b>/</b>\\n└── <b>&lt;b&gt;</b> (2,) float64\\n</pre>'
    """

    lines: tuple[Line, ...]
    more: bool
    plain: bool

    def __str__(self) -> str:
        bold = ("", "") if self.plain or not sys.stdout.isatty() else ("\x1b[1m", "\x1b[0m")
        return self._drawn(bold, str)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>\n{self._drawn(('', '') if self.plain else ('<b>', '</b>'), escape)}\n</pre>"

    def _drawn(self, bold: tuple[str, str], escape: Callable[[str], str]) -> str:
        lines = [f"{line.before}{bold[0]}{escape(line.name)}{bold[1]}{escape(line.after)}" for line in self.lines]
        return "\n".join(
            [*lines, f"Truncated at max_nodes={len(lines) - 1}: there are more nodes"] if self.more else lines
        )


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
    found = ((f"{prefix}{name}", node) for name, node in _opened(group, _names_in(group, names)))
    return ((path, node) for path, node in found if node is not None)


def _opened(group: Lists, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The nodes of these names; where each costs a request, a few are opened at once, however many are wanted."""
    threads = 1 if group.metadata.consolidated is not None else concurrency(group.store)
    if threads == 1:
        yield from ((name, group.get(name)) for name in names)
        return
    for i in range(0, len(names), threads):
        some, found = names[i : i + threads], dict[str, Any]()
        each(partial(_open, group, found), some, len(some))
        yield from ((name, found[name]) for name in some)


def _open(group: Lists, found: dict[str, Any], name: str) -> None:
    found[name] = group.get(name)


def _lines(group: Lists, depth: int | None) -> Iterator[Line]:
    """A line for each node below a group. No function calls itself here: groups may be nested thousands deep."""
    names = _listing(group)
    waiting: list[tuple[str, Iterator[Member], Member | None]] = [("", _nodes(group, "", names), None)]
    while waiting:
        indent, members, held = waiting.pop()
        name, node = held or next(members, ("", None))
        if node is None:
            continue
        following = next(members, None)
        if following:
            waiting.append((indent, members, following))
        after = f" {node.shape} {node.dtype}" if isinstance(node, Array) else ""
        yield Line(f"{indent}{'├── ' if following else '└── '}", name, after)
        if not isinstance(node, Array) and (depth is None or len(indent) < 4 * depth):
            waiting.append((indent + ("│   " if following else "    "), _nodes(node, "", names), None))
