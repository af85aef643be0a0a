"""Values that each process makes for itself. A forked child has no threads of its parent, and may find locks held."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_ALL: weakref.WeakSet[Any] = weakref.WeakSet()
_GIVE_UP: list[Callable[[], object]] = []


class PerProcess(Generic[T]):
    """Holder of a `value` from `make()`, which is made anew in a forked child."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self.value = make, make()
        _ALL.add(self)

    def renew(self) -> None:
        """Make a new value. Code that already refers to the old one keeps using that."""
        self.value = self._make()


PROCESS = PerProcess(object)  # its value tells one process from its forked children


def in_child(give_up: Callable[[], object]) -> None:
    """Have give_up() called at once in each forked child, for what its parent has in hand."""
    _GIVE_UP.append(give_up)


def _forked() -> None:
    for each in list(_ALL):
        each.renew()
    for give_up in _GIVE_UP:
        give_up()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
