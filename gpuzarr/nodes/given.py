"""Arrays that are given to functions which take no other kind: a check, whose message says how to get one."""

from __future__ import annotations

from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group


def array_given(given: Any, what: str) -> Array:
    """The array. ArgumentError, which begins with `what` it is for, if it is something else."""
    if isinstance(given, Array):
        return given
    raise ArgumentError(f"{what} must be a gpuzarr.Array, not {shown(given)}: {_how(given)}")


def _how(given: Any) -> str:
    if isinstance(given, Group):
        return "give one of the arrays in the group, such as group['name']"
    if hasattr(given, "__array_interface__") or hasattr(given, "__dlpack__"):
        return "gpuzarr.array(values) makes one of values in memory"
    if isinstance(given, list | tuple):
        return "give one array at a time"
    return "gpuzarr.open_array(...) opens paths, URLs and arrays of zarr-python"
