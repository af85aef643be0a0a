"""Values that each process makes for itself: a forked child has no threads of its parent, and finds its locks held."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_ALL: weakref.WeakSet[Any] = weakref.WeakSet()


class PerProcess(Generic[T]):
    """A value made by `make()` when it is first asked for, and made anew in a forked child."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        _ALL.add(self)

    @property
    def value(self) -> T:
        try:
            found: T = self.__dict__["_value"]
        except KeyError:
            found = self.__dict__.setdefault("_value", self._make())  # atomic: all threads get the same one
        return found

    def forget(self) -> None:
        """Let the next one who asks make a new value."""
        self.__dict__.pop("_value", None)


def _forget_all() -> None:
    for each in list(_ALL):
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
