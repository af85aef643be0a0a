"""What this process keeps of stores from read to read: who keeps it is told of every change that the process makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakSet

from gpuzarr.stores.contract import Store
from gpuzarr.stores.identity import Identity, identity


class Keeper(Protocol):
    """Somebody who keeps what was read. Any thread may call these methods."""

    def forget(self, place: Identity, box: Sequence[range] | None) -> None:
        """Drop what is kept of the arrays at a place and below it; with `box` only of the chunks in these ranges."""
        ...

    def clear(self) -> None:
        """Drop everything."""
        ...


_KEEPERS: WeakSet[Keeper] = WeakSet()


def join(keeper: Keeper) -> None:
    """Have a keeper told of changes, as long as somebody else refers to it."""
    _KEEPERS.add(keeper)


def keepers() -> list[Keeper]:
    """All keepers there are."""
    while True:
        try:
            return list(_KEEPERS)
        except RuntimeError:  # another thread has made one meanwhile
            continue


def changed(store: Store, path: str, box: Callable[[], Sequence[range]] | None = None) -> None:
    """Tell all keepers that what is at a path and below it was changed; with `box` only chunks of the array there."""
    if found := keepers():
        place, some = identity(store, path), box and box()
        for each in found:
            each.forget(place, some)


def clear() -> None:
    """Have all keepers drop everything."""
    for each in keepers():
        each.clear()
