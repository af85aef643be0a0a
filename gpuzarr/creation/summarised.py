"""Make and delete nodes so that consolidated metadata of the groups above them say what is there then.

Also where this fails: groups above a node may have been made.
"""

from __future__ import annotations

from typing import Any

from gpuzarr.creation import nodes
from gpuzarr.metadata import ArrayMetadata, summaries
from gpuzarr.stores.contract import Store


def new_array(store: Store, path: str, made: ArrayMetadata, *args: Any, **options: Any) -> ArrayMetadata:
    """Do as `nodes.new_array`."""
    try:
        return nodes.new_array(store, path, made, *args, **options)
    finally:
        _changed(store, path)


def new_group(store: Store, path: str, *args: Any, **options: Any) -> None:
    """Do as `nodes.new_group`."""
    try:
        nodes.new_group(store, path, *args, **options)
    finally:
        _changed(store, path)


def delete(store: Store, path: str) -> None:
    """Do as `nodes.delete`."""
    try:
        nodes.delete(store, path)
    finally:
        _changed(store, path)


def _changed(store: Store, path: str) -> None:
    summaries.changed(store, path, is_deep=True)
