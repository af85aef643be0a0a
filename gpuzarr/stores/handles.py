"""The members by which programs close stores, or take them for reading only, as they do with those of zarr-python."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from gpuzarr.checks import flag

Given = TypeVar("Given")


def close(self: object) -> None:
    """Do nothing: a store holds no open files."""


def enter(self: Given) -> Given:
    """Return the store: `with LocalStore(path) as store`."""
    return self


def leave(self: object, *exception: object) -> None:
    """Do nothing, as `close`."""


def with_read_only(self: Given, read_only: bool = False) -> Given:
    """The same store, to which nothing is written if `read_only` is True.

    Examples
    --------
    >>> store = gpuzarr.storage.MemoryStore()
    >>> store.with_read_only(True).read_only, store.read_only
    (True, False)
    """
    place: Any = self
    return replace(place, read_only=flag(read_only, "read_only"))


def complete(store: object) -> None:
    """Have a store that others see only when it is complete, such as an archive, be that now."""
    if (flush := getattr(store, "flush", None)) is not None:
        flush()
