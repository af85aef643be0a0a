"""Make, move, copy and delete nodes so that consolidated metadata of the groups above them say what is there then, and
so that nothing of the old nodes is kept in memory.

That is so also where they fail, since groups above a node may have been made by then; but names that no node can have
are refused first. Each function does what the one of the same name in `nodes` or `moving` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gpuzarr.creation import moving, nodes
from gpuzarr.creation.paths import check_names
from gpuzarr.metadata import ArrayMetadata, Node
from gpuzarr.metadata.summaries import changed, changed_all, noted
from gpuzarr.stores import kept
from gpuzarr.stores.contract import Store


def new_array(
    store: Store, path: str, made: ArrayMetadata, overwrite: bool, fill: nodes.Fill | None = None
) -> ArrayMetadata:
    """Make an array."""
    check_names(store, path)
    note = partial(_made, store, path, made.zarr_format, overwrite)
    return noted(lambda: nodes.new_array(store, path, made, overwrite, fill), note)


def new_group(
    store: Store,
    path: str,
    zarr_format: int,
    attributes: dict[str, Any] | None,
    overwrite: bool,
    fill: nodes.Fill | None = None,
) -> None:
    """Make a group."""
    check_names(store, path)
    note = partial(_made, store, path, zarr_format, overwrite)
    noted(lambda: nodes.new_group(store, path, zarr_format, attributes, overwrite, fill), note)


def new_nodes(store: Store, new: Mapping[str, Node], overwrite: bool) -> None:
    """Make nodes."""
    for path in sorted(new):
        check_names(store, path)
    noted(lambda: nodes.new_nodes(store, new, overwrite), lambda: _all_changed(store, list(new)))


def delete(store: Store, path: str) -> None:
    """Delete a node."""
    noted(lambda: nodes.delete(store, path), lambda: _changed(store, path))


def move(store: Store, source: str, target: str) -> None:
    """Move a node."""
    noted(lambda: moving.move(store, source, target), lambda: _changed(store, source, target))


def copy(source_store: Store, source: str, store: Store, path: str, overwrite: bool = False) -> None:
    """Copy a node."""
    copy_all(source_store, {path: source}, store, overwrite)


def copy_all(source_store: Store, sources: Mapping[str, str], store: Store, overwrite: bool = False) -> None:
    """Copy nodes."""
    noted(lambda: moving.copy_all(source_store, sources, store, overwrite), lambda: _all_changed(store, list(sources)))


def _made(store: Store, path: str, zarr_format: int, overwrite: bool) -> None:
    """What is overwritten may have been of the other version of Zarr."""
    kept.changed(store, path)
    changed(store, path, *([] if overwrite else [zarr_format]), is_deep=True)


def _changed(store: Store, *paths: str) -> None:
    for path in paths:
        kept.changed(store, path)
        changed(store, path, is_deep=True)


def _all_changed(store: Store, paths: Sequence[str]) -> None:
    for path in paths:
        kept.changed(store, path)
    changed_all(store, paths)
