"""What is said to who takes a group for an array, or an array for a group: what would have been right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError

Kind = TypeVar("Kind", bound=type)

OF_ARRAYS = {  # members of arrays here, of zarr-python and of h5py
    *("shape", "dtype", "ndim", "size", "nbytes", "chunks", "shards", "fill_value", "order", "dims", "nchunks"),
    *("compressor", "compressors", "filters", "serializer", "dimension_names", "oindex", "vindex", "blocks", "basic"),
    *("get_basic_selection", "get_orthogonal_selection", "get_mask_selection", "get_coordinate_selection"),
    *("resize", "append", "read_direct", "write_direct", "nchunks_initialized", "explain", "reader", "writer"),
}
OF_GROUPS = {
    *("keys", "values", "items", "members", "arrays", "groups", "array_keys", "group_keys", "tree", "visititems"),
    *("visit", "create_array", "create_group", "create_dataset", "require_group", "require_array", "require_dataset"),
}


def no_path(key: Any) -> ArgumentError:
    """The error for what stands in the brackets of a group, and is no path."""
    if isinstance(key, tuple) and key and isinstance(key[0], str):
        rest = ", ".join(map(_typed, key[1:]))
        return ArgumentError(
            f"a group takes a path alone, not {shown(key)}: select from the array, g[{key[0]!r}][{rest}]"
        )
    if isinstance(key, list | set) and key and all(isinstance(each, str) for each in key):
        return ArgumentError(f"a group takes one path at a time, not {shown(key)}: [g[name] for name in names]")
    if isinstance(key, bytes):
        return ArgumentError(f"{shown(key)} is not the path of a node: a path is a str")
    return ArgumentError(
        f"{_typed(key)} is not the path of a node: a group has members, and no values; g['name'] is a member (g.keys() "
        "has their names), and if that is an array, g['name'][...] are its values"
    )


def _typed(key: Any) -> str:
    """A part of a selection as it was typed."""
    if not isinstance(key, slice):
        return "..." if key is ... else str(key) if isinstance(key, np.generic) else shown(key)
    parts = ["" if each is None else shown(each) for each in (key.start, key.stop)]
    return ":".join([*parts, *([] if key.step is None else [shown(key.step)])])


def explained(lacks: Callable[[Any, str], Any]) -> Callable[[Kind], Kind]:
    """Make a decorator of a class that says more of attributes which its objects do not have. Type checkers do not know
    of it, so that they find these, too."""

    def of(kind: Kind) -> Kind:
        vars_of: Any = kind
        vars_of.__getattr__ = lacks
        return kind

    return of


def group_lacks(self: Any, name: str) -> Any:
    """The AttributeError for an attribute that a group does not have."""
    hint = ""
    if name in OF_ARRAYS:
        hint = ": this is a group, and its arrays have it: g['name']"
    elif not name.startswith("_"):
        hint = f"; if it is a member, it is g[{name!r}]"
    raise AttributeError(f"'Group' object has no attribute {name!r}{hint}", name=name, obj=self)


def array_lacks(self: Any, name: str) -> Any:
    """The AttributeError for an attribute that an array does not have."""
    hint = ""
    if name in OF_GROUPS:
        hint = ": this is an array, and groups have it"
    elif name in ("value", "data", "to_numpy", "numpy", "compute"):
        hint = ": a[...] are its values"
    raise AttributeError(f"'Array' object has no attribute {name!r}{hint}", name=name, obj=self)
