"""Move and copy nodes, with all below them, within a store and between stores."""

from __future__ import annotations

from collections.abc import Mapping

from gpuzarr.creation.nodes import another, check_above, check_around, find, format_of, make_above
from gpuzarr.creation.replacing import documents_first, documents_last, replaced
from gpuzarr.errors import ArgumentError, ExistsError, NotFoundError
from gpuzarr.interrupts import ensured, within
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
    check_above(store, target, format_of(_node(store, source)))

    def moved(_: object) -> None:
        zarr_format = format_of(_node(store, source))
        _check_free(store, target)
        away = Step(source, beside(source, owner() + OUT), documents_first)
        made: list[str] = []
        done: list[bool] = []

        def work() -> None:
            make_above(store, target, zarr_format, made)
            moving.move_all(store, [away, Step(away.target, target, documents_last)], done)

        ensured(work, lambda: store.delete([] if done else made))

    within(store.locked([files.lock(source), files.lock(target)]), moved)


def copy_all(source_store: Store, sources: Mapping[str, str], store: Store, overwrite: bool = False) -> None:
    """Copy nodes, with all below them, byte by byte to paths of the same or of another store: all or none.

    `sources`: their paths by those of the copies, of which none lies below another. Groups are made above the copies.
    These come to their places when they are complete; where copying fails, nothing of them stays. NotFoundError if
    there is no such node. ExistsError if anything is where a copy shall be, unless it is overwritten, or if an array is
    above it.
    """
    formats = {path: format_of(_node(source_store, source)) for path, source in sources.items()}
    for path in sources:
        files.check_writable(store, path)
        check_above(store, path, formats[path])
        check_around(store, path)
        if not overwrite:
            _check_free(store, path)

    def make(path: str, staged: str) -> None:
        for key in documents_last(moving.keys(source_store, sources[path])):
            moving.copy(source_store, key, store, rebased(key, sources[path], staged))

    def check(made: list[str]) -> None:
        for path in sources:
            if not overwrite:
                _check_free(store, path)
            make_above(store, path, formats[path], made)

    replaced(store, list(sources), make, check)


def _node(store: Store, path: str) -> dict[str, Document]:
    if not (found := find(store, path)):
        raise NotFoundError(f"no array or group at {path or '/'!r} in {store!r}")
    return found


def _check_free(store: Store, path: str) -> None:
    """ExistsError if anything is at a path."""
    if found := find(store, path):
        raise another(store, path, found)
    if moving.holds(store, path):
        raise ExistsError(f"there are other objects at {path or '/'!r} in {store!r}")
