"""Values that each process makes for itself. A forked child has no threads of its parent, and may find locks held."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

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


def forks_outside(lock: Any, seconds: float) -> None:
    """Have forks wait, at most so long, until no other thread holds an RLock."""
    forking = threading.local()

    def acquire() -> None:
        forking.holds = lock.acquire(timeout=seconds)

    def release() -> None:
        if forking.holds:
            lock.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=acquire, after_in_parent=release, after_in_child=release)


def _forked() -> None:
    if sys.version_info < (3, 12):
        _free_cached_properties()
    for each in list(_ALL):
        each.renew()
    for give_up in _GIVE_UP:
        give_up()


def _free_cached_properties() -> None:
    """Renew the lock that each of them holds for all objects while it computes; since Python 3.12 there is none."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "gpuzarr"]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    for member in [member for kind in kinds for member in vars(kind).values() if isinstance(member, cached_property)]:
        cast(Any, member).lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
