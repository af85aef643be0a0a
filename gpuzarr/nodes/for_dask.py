"""The members of arrays by which dask takes them where it takes arrays of zarr-python."""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import Any, Protocol

from gpuzarr.devices.contract import Device
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.stores.contract import Store
from gpuzarr.stores.identity import identity


class Stored(Protocol):
    """The members of an array that these functions use."""

    store: Store
    path: str
    metadata: ArrayMetadata
    device: Device


def seen_class(self: Any) -> type:
    """The class of an array; for dask, that of zarr-python.

    `dask.array.from_zarr` and `to_zarr` ask `isinstance(a, zarr.Array)`, which looks at `a.__class__` if the type is
    another one. What they do then with an array, ours can. Nobody else is told so: zarr-python itself would look for
    its own insides.
    """
    caller = sys._getframe(1).f_globals.get("__name__", "")
    kind: type = getattr(sys.modules.get("zarr"), "Array", type(self)) if caller.startswith("dask.") else type(self)
    return kind


def token(self: Stored) -> tuple[Any, ...]:
    """The identity of an array in a graph of dask, without its data: its place, its metadata, and where values are."""
    place, path = identity(self.store, self.path)
    if not isinstance(place, str | int):  # neither a folder nor a mapping, which have many names
        place, path = repr(self.store), self.path
    document = sha256(repr(self.metadata.document).encode(errors="backslashreplace")).hexdigest()
    return type(self).__name__, place, path, document, self.device.name
