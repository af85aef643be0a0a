"""Coroutines of zarr-python's stores, run for threads that have no event loop.

They run on the loop of zarr-python itself, or on that which calls it, and no other: what a store binds to a loop, such
as the sessions of HTTP clients and the locks of caches, may then be used by both libraries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gpuzarr.errors import StoreError
from gpuzarr.interrupts import ensured
from gpuzarr.per_process import PROCESS
from gpuzarr.stores import library_threads
from gpuzarr.tasks import CANCELLED, RUN, Latch, lost

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T], store: Any, loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Return what a coroutine of a store returns, or raise its error. If this is interrupted, it is cancelled first.

    StoreError in a forked child, where the store waits for threads of the parent.
    """
    if loop is None:
        from zarr.core.sync import _get_loop

        loop = _get_loop()
    if asyncio._get_running_loop() is loop:
        work.close()
        raise StoreError("a coroutine on an event loop cannot wait for another: use another thread")
    if (library := library_threads.library_of(store)) is not None:
        try:
            library_threads.use(library, " ".join(repr(store).split()))
        except StoreError:
            work.close()
            raise
    call = _Call(work)
    return ensured(lambda: call.result(loop), lambda: call.end(loop))


class _Call:
    """A coroutine that the loop runs, unless who waits gives it up first: the one that takes the claim decides."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work, self._process = work, PROCESS.value
        self._claim: dict[str, str] = {}  # dict.setdefault is atomic, and tells the same when it is asked again
        self._has_ended = Latch()
        self._task: asyncio.Task[Any] | None = None
        self._value: Any = None
        self._error: BaseException | None = None

    async def run(self) -> None:
        if self._claim.setdefault("by", RUN) is not RUN:
            self._work.close()
            return
        self._task = asyncio.current_task()
        try:
            self._value = await self._work
        except BaseException as error:
            self._error = error
        finally:
            self._has_ended.set()

    def result(self, loop: asyncio.AbstractEventLoop) -> Any:
        asyncio.run_coroutine_threadsafe(self.run(), loop)
        self._wait()
        if (error := self._error) is not None:
            self._error = None  # else the error keeps itself, and all that its frames know
            raise error
        return self._value

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the coroutine where it has begun and not ended, and wait for its end. It may be called again."""
        if self._claim.setdefault("by", CANCELLED) is RUN and not self._has_ended.is_set:
            loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())
            self._wait()

    def _wait(self) -> None:
        while not self._has_ended.wait():
            if self._process is not PROCESS.value:
                raise lost()
