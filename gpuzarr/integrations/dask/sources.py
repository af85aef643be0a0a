"""Stored arrays that a dask array is read from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpuzarr.creation import contains
from gpuzarr.errors import ArgumentError
from gpuzarr.integrations.dask.stored import Stored
from gpuzarr.nodes.array import Array
from gpuzarr.stores.contract import Store


def check_not_lost(x: Any, store: Store, path: str) -> None:
    """ArgumentError if overwriting a node would delete an array that a dask array is read from."""
    for source in _sources(x):
        if contains((store, path), (source.store, source.path)):
            raise ArgumentError(f"{source!r} would be lost before the dask array is read from it: write it elsewhere")


def _sources(x: Any) -> Iterator[Array]:
    """The arrays of gpuzarr in a graph that dask has not yet optimised: each is a layer of its own."""
    for name, layer in getattr(x.dask, "layers", {}).items():
        if name.startswith("original-"):
            held = getattr(layer[name], "value", layer[name])
            found = held.array if isinstance(held, Stored) else held
            if isinstance(found, Array):
                yield found
