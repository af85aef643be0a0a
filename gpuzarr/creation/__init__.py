"""Make nodes in a store: their metadata is composed, checked and written, safely beside other processes."""

from gpuzarr.creation.documents import DEFAULT, Wanted, metadata
from gpuzarr.creation.nodes import check_above
from gpuzarr.creation.paths import format_above
from gpuzarr.creation.shapes import sides
from gpuzarr.creation.summarised import copy, copy_all, delete, move, new_array, new_group, new_nodes
from gpuzarr.creation.types import dtype_of
from gpuzarr.stores.identity import contains

__all__ = [
    "DEFAULT",
    "Wanted",
    "check_above",
    "contains",
    "copy",
    "copy_all",
    "delete",
    "dtype_of",
    "format_above",
    "metadata",
    "move",
    "new_array",
    "new_group",
    "new_nodes",
    "sides",
]
