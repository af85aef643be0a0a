"""Move and copy nodes, with all below them, within a store and between stores."""

from __future__ import annotations

from gpuzarr.creation.nodes import another, check_above, check_around, find, make_above
from gpuzarr.creation.replacing import documents_first, documents_last, replaced
from gpuzarr.errors import ArgumentError, ExistsError, NotFoundError
from gpuzarr.interrupts import within
from gpuzarr.metadata import files
from gpuzarr.metadata.files import Document
from gpuzarr.stores import moving
from gpuzarr.stores.contract import Store
from gpuzarr.stores.hidden import OUT, beside, owner, rebased
from gpuzarr.stores.moving import Step


def move(store: Store, source: str, target: str) -> None:
    """Move a node, with all below it, to another path of its store, and make the groups above that.

    NotFoundError if there is no node at `source`. ExistsError if anything is at `target`, or an array above it.
    ArgumentError for the root, and to move a node into itself.
    """
    if not source or not target:
        raise ArgumentError(f"the root of {store!r} is not moved, and nothing is moved there: move its members")
    if f"{target}/".startswith(f"{source}/"):
        raise ArgumentError(f"{source!r} in {store!r} cannot be moved into itself, to {target!r}")
    files.check_writable(store, source)
    files.check_writable(store, target)
    check_above(store, target, _format(_node(store, source)))

    def moved(_: object) -> None:
        zarr_format = _format(_node(store, source))
        _check_free(store, target)
        make_above(store, target, zarr_format)
        away = Step(source, beside(source, owner() + OUT), documents_first)
        moving.move_all(store, [away, Step(away.target, target, documents_last)], [])

    within(store.locked([files.lock(source), files.lock(target)]), moved)


def copy(source_store: Store, source: str, store: Store, path: str, overwrite: bool = False) -> None:
    """Copy a node, with all below it, byte by byte to a path of the same or of another store.

    Groups are made above the copy. It comes to its place when it is complete; where copying fails, nothing of it stays.
    NotFoundError if there is no node at `source`. ExistsError if anything is at `path`, unless it is overwritten, or an
    array above it.
    """
    zarr_format = _format(_node(source_store, source))
    files.check_writable(store, path)
    check_above(store, path, zarr_format)
    check_around(store, path)
    if not overwrite:
        _check_free(store, path)

    def make(_: str, staged: str) -> None:
        for key in documents_last(moving.keys(source_store, source)):
            moving.copy(source_store, key, store, rebased(key, source, staged))

    def check() -> None:
        if not overwrite:
            _check_free(store, path)
        make_above(store, path, zarr_format)

    replaced(store, [path], make, check)


def _node(store: Store, path: str) -> dict[str, Document]:
    if not (found := find(store, path)):
        raise NotFoundError(f"no array or group at {path or '/'!r} in {store!r}")
    return found


def _format(documents: dict[str, Document]) -> int:
    return 3 if "zarr.json" in documents else 2


def _check_free(store: Store, path: str) -> None:
    """ExistsError if anything is at a path."""
    if found := find(store, path):
        raise another(store, path, found)
    if moving.holds(store, path):
        raise ExistsError(f"there are other objects at {path or '/'!r} in {store!r}")
