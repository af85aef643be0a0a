"""Functions that copy nodes between groups and stores; zarr-python 2 has them, and zarr-python 3 their names."""

from __future__ import annotations

from typing import Any

from gpuzarr.checks import flag, one_of, shown
from gpuzarr.creation import copy_all as copy_nodes
from gpuzarr.errors import ArgumentError, ExistsError
from gpuzarr.metadata import files
from gpuzarr.metadata.summaries import changed_all, noted
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.copying import check_is_zarr
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.keywords import known
from gpuzarr.stores import moving
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.handles import complete
from gpuzarr.stores.hidden import rebased
from gpuzarr.stores.identity import identity
from gpuzarr.stores.keys import listed_keys

Counts = tuple[int, int, int]  # of copied and of skipped things, and of copied bytes
IF_EXISTS = ("raise", "replace", "skip")


def copy(
    source: Array | Group, dest: Group, name: str | None = None, *, if_exists: str = "raise", dry_run: bool = False
) -> Counts:
    """Copy an array or a group, with all below it, into a group.

    Parameters
    ----------
    source
        An array or a group.
    dest
        A group, also of another store.
    name
        The name of the copy; default: that of the source.
    if_exists
        "raise" (default), "replace" or "skip" what exists there.
    dry_run
        True: only count.

    Returns
    -------
    tuple of int
        How many arrays and groups were copied and skipped, and how many bytes the store holds of those that were
        copied.

    Raises
    ------
    ArgumentError
        `source` is no node, or `dest` is no group.
    ReadOnlyError
        `dest` was opened for reading only.
    ExistsError
        The name exists in `dest`, and `if_exists` is "raise".

    Examples
    --------
    >>> a, g = gpuzarr.array([1, 2], store={}, path="a"), gpuzarr.group()
    >>> gpuzarr.copy(a, g)[:2], g["a"][:]
    ((1, 0), array([1, 2]))
    """
    if not isinstance(source, Array | Group) or not isinstance(dest, Group):
        raise ArgumentError(f"copy() takes a node and a group, not {shown(source)} and {shown(dest)}")
    name = source.basename if name is None else name
    one_of(if_exists, "if_exists", *IF_EXISTS)
    nodes = 1 + (source.nmembers(None) if isinstance(source, Group) else 0)
    if name in dest and if_exists != "replace":
        if if_exists == "skip":
            return 0, nodes, 0
        raise ExistsError(f"there is {dest[name]!r} already; if_exists='replace' replaces it")
    if not flag(dry_run, "dry_run"):
        dest.copy(source, dest, name, overwrite=if_exists == "replace")
    return nodes, 0, sum(size for _, size in source.store.objects(source.path))


def copy_all(source: Group, dest: Group, *, if_exists: str = "raise", dry_run: bool = False) -> Counts:
    """Copy all members of a group into another group, or none; the parameters are those of `copy`.

    Examples
    --------
    >>> a, b = gpuzarr.group(), gpuzarr.group()
    >>> a["x"], a["y/z"] = [1, 2], [3]
    >>> gpuzarr.copy_all(a, b)[:2], list(b)
    ((3, 0), ['x', 'y'])
    """
    if not isinstance(source, Group) or not isinstance(dest, Group):
        raise ArgumentError(f"copy_all() takes two groups, not {shown(source)} and {shown(dest)}")
    one_of(if_exists, "if_exists", *IF_EXISTS)
    taken = [name for name in source if name in dest]
    if taken and if_exists == "raise":
        raise ExistsError(f"there is {dest[taken[0]]!r} already; if_exists='replace' replaces it")
    members = source.members()
    check_is_zarr(source)
    counts = [copy(node, dest, name, if_exists=if_exists, dry_run=True) for name, node in members]
    dest.check_writable()
    if not flag(dry_run, "dry_run"):
        chosen = {dest.member(name): node.path for name, node in members if if_exists != "skip" or name not in taken}
        copy_nodes(source.store, chosen, dest.store, if_exists == "replace")
    copied, skipped, nbytes = map(sum, zip(*counts, strict=True)) if counts else (0, 0, 0)
    return copied, skipped, nbytes


def copy_store(
    source: Any,
    dest: Any,
    source_path: str = "",
    dest_path: str = "",
    *,
    if_exists: str = "raise",
    dry_run: bool = False,
    storage_options: dict[str, Any] | None = None,
    dest_storage_options: dict[str, Any] | None = None,
    **unknown: Any,
) -> Counts:
    """Copy the objects of a store, or of a part of it, to another store, as they are.

    Parameters
    ----------
    source, dest
        As for `open`.
    source_path, dest_path
        The paths below which objects are copied, and come to lie.
    if_exists
        "raise" (default; then nothing is copied), "replace" or "skip" objects that exist. Consolidated metadata above
        the copies say what is there then.
    dry_run
        True: only count.
    storage_options, dest_storage_options
        Options for what `source` and `dest` name, if they are URLs, as for `open`.
    **unknown
        Other keywords are refused.

    Returns
    -------
    tuple of int
        How many objects were copied and skipped, and the bytes of those that were copied.

    Raises
    ------
    ArgumentError
        An object would be replaced before it is copied itself.
    ExistsError
        An object exists in `dest`, and `if_exists` is "raise".
    StoreError
        A store could not be read or written.

    Examples
    --------
    >>> source, dest = {}, {}
    >>> gpuzarr.save(source, np.arange(3))
    >>> gpuzarr.copy_store(source, dest, dest_path="a")[0], sorted(dest)
    (2, ['a/c/0', 'a/zarr.json'])
    """
    names = ("source", "dest", "source_path", "dest_path", "if_exists", "dry_run", "storage_options")
    known("copy_store", unknown, (*names, "dest_storage_options"))
    one_of(if_exists, "if_exists", *IF_EXISTS)
    old, new = (
        store_of(source, storage_options),
        store_of(dest, dest_storage_options, "r" if flag(dry_run, "dry_run") else "a"),
    )
    above, below = files.clean(source_path), files.clean(dest_path)
    files.check_writable(new, below)
    sizes, existing = dict(old.objects(above)), {*listed_keys(new, below)}
    wanted = sorted(moving.keys(old, above), key=lambda key: key.rpartition("/")[2] in files.FILES)  # documents last
    pairs = [(key, rebased(key, above, below)) for key in wanted]
    _check_apart((old, above), (new, below), pairs)
    there = {target for _, target in pairs if target in existing and if_exists != "replace"}
    if there and if_exists == "raise":
        raise ExistsError(f"there is an object {min(there)!r} in {new!r} already; if_exists='replace' replaces it")
    chosen = [(key, target) for key, target in pairs if target not in there]
    if not flag(dry_run, "dry_run"):
        documents = [target for _, target in chosen if target.rpartition("/")[2] in files.FILES]
        noted(lambda: _copy_objects(old, new, chosen), lambda: changed_all(new, documents))
        complete(new)
    return len(chosen), len(there), sum(sizes.get(key, 0) for key, _ in chosen)


def _copy_objects(old: Store, new: Store, pairs: list[tuple[str, str]]) -> None:
    for key, target in pairs:
        moving.copy(old, key, new, target)


def _check_apart(source: tuple[Store, str], dest: tuple[Store, str], pairs: list[tuple[str, str]]) -> None:
    """ArgumentError if an object would be replaced by another one before it is copied itself."""
    (where, old), (there, new) = identity(*source), identity(*dest)
    if where != there or old == new:
        return
    sources = {rebased(key, source[1], old) for key, _ in pairs}
    if lost := sources.intersection(rebased(target, dest[1], new) for _, target in pairs):
        problem = f"{min(lost)!r} would be replaced before it is copied itself"
        raise ArgumentError(f"{dest[1] or '/'!r} of {dest[0]!r} is no place for these copies: {problem}")
