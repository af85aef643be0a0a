"""Take and release so that an interrupt between any two instructions loses nothing.

CPython calls signal handlers, which may raise (KeyboardInterrupt), in the main thread: when a function begins, after a
call, when a loop goes round. So between a call that takes something and the note that it was taken there is a gap, and
`__exit__` and `finally` may be interrupted before they did anything. Hence these rules:

- Note first, then take. What releases looks at the note, and may be called again.
- Where the note is what the call returns (file descriptors, locks), both happen in one call of C:
  `list.extend(map(...))` appends one by one, and `release_all` takes away one by one.
- What releases is called by `ensured`, twice.

A second interrupt while the first is dealt with may lose something.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from operator import call
from typing import Any, TypeVar

T = TypeVar("T")
BOTTOM: Any = None  # the first of notes, below what was taken


def ensured(work: Callable[[], T], clean: Callable[[], object]) -> T:
    """Return work(), after clean(), which runs to its end also where an interrupt comes in it. It may run twice."""
    try:
        try:
            return work()
        finally:
            clean()
    finally:
        clean()


def within(context: AbstractContextManager[Any], work: Callable[[Any], T]) -> T:
    """Return work(what the context gives) inside of a context whose `__exit__` may be called twice."""
    try:
        with context as given:
            return work(given)
    finally:
        context.__exit__(None, None, None)


def within_all(
    contexts: Sequence[Callable[[], AbstractContextManager[Any]]],
    work: Callable[[Sequence[Any]], T],
    given: Sequence[Any] = (),
) -> T:
    """Return work(what the contexts give), inside of all of them, each made when those before it are entered.

    `given` by the first contexts, which are entered. (A function that is defined here and calls itself would keep what
    `work` refers to, such as the result of a read, until garbage is collected.)
    """
    if len(given) + 1 == len(contexts):
        return within(contexts[-1](), lambda one: work((*given, one)))
    return within(contexts[len(given)](), lambda one: within_all(contexts, work, (*given, one)))


def release_all(notes: list[Any], release: Callable[[Any], object] = call) -> None:
    """Take the notes away, the last first, and call release(note), a function of C, for each.

    `notes` were [BOTTOM] before anything was noted.
    """
    if notes:
        deque(map(release, iter(notes.pop, BOTTOM)), 0)
