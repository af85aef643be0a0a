"""Replace what is at a path of a store: the new node is complete, under a hidden path, before the old one goes.

Whatever fails or is interrupted before that leaves the old node as it was. Then the old one is put aside under another
hidden path, the new one takes its place, and the old one is deleted; what fails between is undone. In a folder these
are two renames (for the root one for each name in it); in a mapping keys are moved, documents of the old node first and
those of the new one last, so that a reader finds the one, the other, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from gpuzarr.errors import GpuZarrError, GpuZarrWarning, warn
from gpuzarr.interrupts import ensured, within
from gpuzarr.metadata import files
from gpuzarr.stores.contract import Store
from gpuzarr.stores.guards import is_transaction
from gpuzarr.stores.hidden import GONE, OUT, beside, owner
from gpuzarr.stores.moving import Step, holds, move_all

T = TypeVar("T")
Make = Callable[[str, str], object]


def replaced(store: Store, paths: Sequence[str], make: Make, check: Callable[[list[str]], object]) -> None:
    """Call make(path, hidden path) for each path, to make a node there; then all take the places of what is at `paths`.

    No path lies below another. `check(made)` is called before that, under the locks of the nodes; it may make groups
    above them, and adds the keys of those to `made`. An error leaves all as it was. What cannot be deleted afterwards
    is left to the next process that finds it.
    """
    places = [_Place.of(path) for path in paths]
    steps: list[Step] = []
    done: list[bool] = []
    made: list[str] = []

    def swap(_: object) -> None:
        check(made)
        if is_transaction(store):
            _made_again(store, places, make)
            return
        for place in places:
            if holds(store, place.path):
                steps.append(Step(place.path, place.aside, documents_first))
                if not place.path and hasattr(store, "recover"):  # from here on, what a killed process began goes on
                    steps.append(Step(place.aside, place.gone, documents_first))
        move_all(store, [*steps, *(Step(place.staged, place.path, documents_last) for place in places)], done)

    def work() -> None:
        for place in places:
            named_finally(place.staged, place.path, partial(make, place.path, place.staged))
        within(store.locked([files.lock(path) for path in paths]), swap)

    def clean() -> None:
        with suppress(GpuZarrError):  # what went wrong first is raised
            for place in places:
                store.delete_prefix(place.staged)
            for step in steps:
                if done or not store.names(step.target):
                    store.delete_prefix(step.target)
            store.delete([] if done else made)

    ensured(work, clean)


def _made_again(store: Store, places: Sequence[_Place], make: Make) -> None:
    """Delete what is at the places and make it there: all is known to be right, as it was made elsewhere before.

    (Icechunk cannot move a node, and its root goes with all that is below it.)
    """
    for place in places:
        store.delete_prefix(place.path)
        make(place.path, place.path)


def put_aside(store: Store, path: str) -> None:
    """Rename what is at a path, and delete it: all of it is gone at once.

    What cannot be deleted is left to the next process that finds it; a warning says so.
    """
    if is_transaction(store):
        store.delete_prefix(path)
        return
    gone = beside(path, owner() + GONE)
    move_all(store, [Step(path, gone, documents_first)], [])
    try:
        store.delete_prefix(gone)
    except GpuZarrError as error:
        warn(f"{path!r} of {store!r} is gone, but not all of its files: {error}", GpuZarrWarning)


class _Place(NamedTuple):
    """The path of a node, and those where it is made, and where the old one is put aside, and then waits to go."""

    path: str
    staged: str
    aside: str
    gone: str

    @classmethod
    def of(cls, path: str) -> _Place:
        own = owner()
        return cls(path, beside(path, own), beside(path, own + OUT), beside(path, own + GONE))


def named_finally(staged: str, path: str, work: Callable[[], T]) -> T:
    """Return work(). An error of it names the path for which something is made, not the hidden one."""
    try:
        return work()
    except GpuZarrError as error:
        error.args = tuple(_final(each, staged, path) if isinstance(each, str) else each for each in error.args)
        raise


def _final(text: str, staged: str, path: str) -> str:
    return text.replace(staged, path) if path else text.replace(f"{staged}/", "").replace(staged, "")


def documents_first(keys: Iterable[str]) -> list[str]:
    """Keys in the order in which nodes are put aside: a node is gone before its chunks are."""
    return sorted(keys, key=lambda key: (key.rpartition("/")[2] not in files.FILES, key.count("/"), key))


def documents_last(keys: Iterable[str]) -> list[str]:
    """Keys in the order in which nodes come: a node is there when its chunks are, a group when its members are."""
    return documents_first(keys)[::-1]
