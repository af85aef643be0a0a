"""Replace what is at a path of a store: the new node is complete, under a hidden path, before the old one goes.

Whatever fails or is interrupted before that leaves the old node as it was. Then the old one is put aside under another
hidden path, the new one takes its place, and the old one is deleted; what fails between is undone. In a folder these
are two renames (for the root one for each name in it); in a mapping keys are moved, documents of the old node first and
those of the new one last, so that a reader finds the one, the other, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from gpuzarr.errors import GpuZarrError
from gpuzarr.interrupts import ensured, within
from gpuzarr.metadata import files
from gpuzarr.stores.contract import Store
from gpuzarr.stores.hidden import GONE, OUT, beside, owner
from gpuzarr.stores.moving import Step, holds, move_all

T = TypeVar("T")


def replaced(store: Store, path: str, make: Callable[[str], T], check: Callable[[], object]) -> T:
    """Return make(hidden path), which makes a node there that then takes the place of what is at `path`.

    `check()` is called before that, under the lock of the node; an error of it leaves all as it was.
    """
    own = owner()
    staged, aside, gone = beside(path, own), beside(path, own + OUT), beside(path, own + GONE)
    steps: list[Step] = []
    done: list[bool] = []

    def swap(_: object) -> None:
        check()
        if holds(store, path):
            steps.append(Step(path, aside, documents_first))
            if not path and hasattr(store, "recover"):  # from here on, what a killed process began is completed
                steps.append(Step(aside, gone, documents_first))
        move_all(store, [*steps, Step(staged, path, documents_last)], done)

    def work() -> T:
        made = make(staged)
        within(store.locked([files.lock(path)]), swap)
        return made

    def clean() -> None:
        with suppress(GpuZarrError):  # what went wrong first is raised
            store.delete_prefix(staged)
            for step in steps:
                if done or not store.names(step.target):
                    store.delete_prefix(step.target)

    return named_finally(staged, path, lambda: ensured(work, clean))


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
