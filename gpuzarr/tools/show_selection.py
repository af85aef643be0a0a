"""Selections as text: what may stand between the brackets of `a[...]`, of ints, slices and an ellipsis."""

from __future__ import annotations

from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, SelectionError
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.selection import Outer


def parsed(text: str) -> Any:
    """A selection as `a[...]` takes it.

    Raises
    ------
    SelectionError
        It is something else than ints, slices and an ellipsis, with commas between them.

    Examples
    --------
    >>> from gpuzarr.tools.show_selection import parsed
    >>> parsed("3, ::2, ...")
    (3, slice(None, None, 2), Ellipsis)
    """
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1].strip()
    inner = inner.removesuffix(",")
    try:
        return tuple(_member(member.strip()) for member in inner.split(",")) if inner else ()
    except ValueError as error:
        raise SelectionError(f"a selection is ints and slices such as '3, 10:20, ::2', not {shown(text)}") from error


def ranges(selection: Any, shape: tuple[int, ...]) -> Outer:
    """A selection of ints and slices as a range for each axis. ArgumentError for any other."""
    found = select.basic(selection, shape)
    if isinstance(found, Outer) and all(isinstance(indices, range) for indices in found.axes):
        return found
    raise ArgumentError(f"a selection of ints and slices is needed here, not {shown(selection)}")


def _member(text: str) -> Any:
    if text == "...":
        return ...
    if ":" not in text:
        return int(text)
    parts = [int(part) if part.strip() else None for part in text.split(":")]
    if len(parts) > 3:
        raise ValueError(text)
    return slice(*parts)
