"""Stores of each kind that tests fill, and what lies in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from tests.stores.own_store import OwnStore

KINDS: dict[str, Callable[[Path], Any]] = {
    "local": LocalStore,
    "mapping": lambda path: MappingStore({}),
    "own": lambda path: OwnStore(),
}


def objects(store: Any) -> dict[str, bytes]:
    """All that a store holds, hidden or not; of a folder also the locks."""
    if isinstance(store, LocalStore):
        files = [file for file in Path(store.root).rglob("*") if not file.is_dir()]
        return {str(file.relative_to(store.root)): file.read_bytes() for file in files}
    if isinstance(store, MappingStore):
        return {key: bytes(value) for key, value in store.mapping.items()}
    return {key: value for key, (_, value) in store.values.items()}
