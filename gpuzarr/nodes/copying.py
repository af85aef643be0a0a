"""The methods of `gpuzarr.Group` that move and copy nodes, with all below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuzarr.checks import flag, shown
from gpuzarr.errors import ArgumentError, UnsupportedCallError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.making import Makes
from gpuzarr.stores.finding.resolve import store as store_of

if TYPE_CHECKING:
    from gpuzarr.nodes.group import Group


def move(self: Makes, source: str, dest: str) -> None:
    """Move a member to another path below this group, with all below it, and make the groups above that.

    Parameters
    ----------
    source, dest
        Paths below this group.

    Raises
    ------
    ReadOnlyError
        This group was opened for reading only.
    NotFoundError
        There is nothing at `source`.
    ExistsError
        There is something at `dest`.

    Examples
    --------
    >>> g = gpuzarr.group()
    >>> g["a"] = [1, 2]
    >>> g.move("a", "b/c")
    >>> "a" in g, g["b/c"][:]
    (False, array([1, 2]))
    """
    from gpuzarr.creation import move

    self.check_writable()
    move(self.store, self.below(source), self.below(dest))


def copy(self: Makes, source: Any, dest: Any, name: str | None = None, *, overwrite: bool = False) -> Array | Group:
    """Copy a node, with all below it, byte by byte, and return the copy.

    Parameters
    ----------
    source
        The path of a member of this group; or an array or group of any store, also one of zarr-python.
    dest
        The path of the copy below this group; or a group, of which it becomes a member.
    name
        The name of the copy in the group `dest`; default: that of the source.
    overwrite
        True: replace whatever exists there, when the copy is complete.

    Raises
    ------
    ReadOnlyError
        The group of the copy was opened for reading only.
    NotFoundError
        There is nothing at `source`.
    ExistsError
        There is something at `dest`.

    Examples
    --------
    >>> g = gpuzarr.group()
    >>> g["a"] = [1, 2]
    >>> g.copy("a", "b/c")[:]
    array([1, 2])
    >>> g.copy("a", gpuzarr.group()).name
    '/a'
    """
    from gpuzarr.creation import copy

    found = self[source] if isinstance(source, str) else source
    if not hasattr(found, "store") or not hasattr(found, "basename"):
        raise ArgumentError(f"source is a path or a node, not {shown(source)}")
    of_zarr = not hasattr(found.store, "locked")
    place, at = (store_of(found), "") if of_zarr else (found.store, found.path)
    group, path = (self, dest) if isinstance(dest, str) else (dest, found.basename if name is None else name)
    if not hasattr(group, "below") or (isinstance(dest, str) and name is not None):
        raise ArgumentError("dest is a path below this group; or a group, in which `name` is the name of the copy")
    group.check_writable()
    if not of_zarr:
        check_is_zarr(found)
    copy(place, at, group.store, group.member(path), flag(overwrite, "overwrite"))
    made: Array | Group = group[path]
    return made


def check_is_zarr(node: Array | Group) -> None:
    """UnsupportedCallError for a node of another format, whose objects would be no node of Zarr."""
    if node.metadata.why_read_only is not None:
        raise UnsupportedCallError(f"{node!r} cannot be copied byte by byte: {node.metadata.why_read_only}")
