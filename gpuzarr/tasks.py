"""Calls that other threads make, and that their caller can take back or wait for, whatever interrupts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from gpuzarr.errors import DeviceError
from gpuzarr.per_process import PROCESS

POLL_SECONDS = 0.1  # after which who waits looks if it was forked meanwhile
RUN, CANCELLED = "run", "cancelled"


class Task:
    """A call that a thread makes, unless the caller cancels it first: the one that takes the claim decides."""

    __slots__ = ("_claim", "_done", "_error", "_is_done", "_process", "_value", "_work", "is_handed")

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work
        self._claim: dict[str, Any] = {}  # dict.setdefault is atomic, and tells the same when it is asked again
        self._done = threading.Lock()
        self._done.acquire()
        self._value: Any = None
        self._error: BaseException | None = None
        self._is_done = self.is_handed = False
        self._process = PROCESS.value

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Make the call, unless it is cancelled. `ready()` is called before the caller learns of the end."""
        me, claim = object(), self._claim  # another thread may run it already
        work = self._work if claim.setdefault("by", RUN) is RUN and claim.setdefault("runner", me) is me else None
        if claimed := work is not None:
            try:
                self._value = work()
            except BaseException as error:
                self._error = error
        self._work = work = None
        if ready is not None:
            ready()
        if claimed:
            self._is_done = True
            self._done.release()

    def end(self) -> BaseException | None:
        """Cancel the task, or wait for its end if it has begun. Return its error, if there was one."""
        if self._claim.setdefault("by", CANCELLED) is RUN:
            self.wait()
        self._work = None
        return self._error

    def result(self) -> Any:
        """Wait for what the call returns, and give it away; or raise its error."""
        self.wait()
        if self._error is not None:
            raise self._error
        value, self._value = self._value, None
        return value

    @property
    def has_begun(self) -> bool:
        """Whether a thread has taken the call, or it was cancelled."""
        return bool(self._claim)

    @property
    def is_done(self) -> bool:
        """Whether the call has ended."""
        return self._is_done

    def wait(self) -> None:
        """Wait for the end of a call that is sure to be made. DeviceError in a process that was forked meanwhile."""
        while not self._is_done:
            if self._process is not PROCESS.value:
                raise lost()
            self._done.acquire(timeout=POLL_SECONDS)


class Latch:
    """Something that happens once, and that threads wait for. `is_set`: whether it has happened.

    `threading.Event` holds a lock for a moment, and an interrupt would leave it held; then all others wait for ever.
    """

    def __init__(self) -> None:
        self._lock, self.is_set = threading.Lock(), False
        self._lock.acquire()

    def set(self) -> None:
        """Let all go on who wait. Called once."""
        self.is_set = True
        self._lock.release()

    def wait(self) -> bool:
        """Wait for it, for a moment: an interrupt may have kept the lock from all who wait. Whether it has happened."""
        if not self.is_set and self._lock.acquire(timeout=POLL_SECONDS):
            self._lock.release()
        return self.is_set


def end_all(tasks: Iterable[Task]) -> None:
    """End all tasks. It may be called again."""
    for task in tasks:
        task.end()


def lost() -> DeviceError:
    """DeviceError for what was begun before a fork, whose threads are those of the parent."""
    return DeviceError("this process was forked while it read or wrote: only its parent can go on with that")
