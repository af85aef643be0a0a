"""How the waves of a read or a write follow each other on a GPU.

Loading (storage into pinned memory) runs on threads, up to `ahead` waves before. Finishing (of a read: copy, decode,
place) launches, in the caller's thread and in order. What a read launched is looked at one wave later, so that the GPU
always has the next wave's work before the host waits for anything. A write is the mirror image: finishing gathers
and encodes, settling (wait for the sizes, copy into pinned memory, store) runs on threads, up to `behind` waves after.
Encoding must know which chunks are blank, so it is the second of two halves: the first one of the next wave, which
gathers, is launched before the host waits for that.

    stream     gather 0 | gather 1, encode 0 | gather 2, encode 1 | gather 3, encode 2 | ...
    a thread                                   wait for the sizes of 0, copy, store
    another                                                         the same of 1
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from gpuzarr.devices.trace import Tab, Tabs

Load = Callable[[Any], Any]  # a wave -> what `Finish` needs, with a method pieces(n); waits for storage
Finish = Callable[[Any], "Settle | None"]  # launches; what it returns ends the wave, raises for its first bad chunk
Settle = Callable[[], None]
AHEAD = 2  # waves that are loaded (stored) beside the one that is decoded (encoded), where memory allows


@dataclass(frozen=True)
class Halves:
    """A `Finish` that launches, waits for what it has found, and launches the rest.

    `first(loaded)` only launches. What it returns is given to `second`, which may wait for that.
    """

    first: Callable[[Any], Any]
    second: Finish

    def __call__(self, loaded: Any) -> Settle | None:
        return self.second(self.first(loaded))


@dataclass(frozen=True)
class Pipeline:
    """The waves of one read or write. `tab()` makes the tab of a wave; `drain()` waits for all that was launched.

    `behind`: so many waves are settled on threads while later ones are finished; 0: the caller settles them.
    The first error is raised, and then nothing of this read or write runs any more, and nothing is held.
    """

    load: Load
    finish: Finish
    pool: Executor
    ahead: int
    tabs: Tabs
    tab: Callable[[], Tab]
    drain: Callable[[], None]
    behind: int = 0

    def run(self, waves: Iterable[Any]) -> None:
        """Load, finish and settle all waves."""
        opened: list[Tab] = []
        done = False
        try:
            self._run(waves, opened)
            done = True
        finally:
            if not done:
                done = self._drained()
            for tab in opened:
                tab.close(reuse=done)

    def _drained(self) -> bool:
        """Whether the device is known to be done: a GPU that stopped says nothing any more."""
        try:
            self.drain()
        except Exception:
            return False
        return True

    def _run(self, waves: Iterable[Any], opened: list[Tab]) -> None:
        unsettled: deque[tuple[Settle | None, Tab]] = deque()
        running: list[Future[None]] = []
        most = self.behind or (1 if self.ahead else 0)
        try:
            for settle, tab in self._finished(waves, opened):
                unsettled.append((self._on_thread(settle, tab, running), tab))
                del settle
                while len(unsettled) > most:
                    self._settle(*unsettled.popleft(), opened)
            while unsettled:
                self._settle(*unsettled.popleft(), opened)
        finally:
            _stop(running)

    def _finished(self, waves: Iterable[Any], opened: list[Tab]) -> Iterator[tuple[Settle | None, Tab]]:
        """The waves, each when all of it is launched. Of halves, the next wave's first one is launched before."""
        halves = self.finish if isinstance(self.finish, Halves) else Halves(_itself, self.finish)
        early = 1 if halves is self.finish and self.behind else 0
        begun: deque[tuple[Any, Tab]] = deque()
        for loaded, tab in self._loaded(waves, opened):
            with self.tabs.of(tab):
                begun.append((halves.first(loaded), tab))
            del loaded
            if len(begun) > early:
                yield self._launched(halves.second, *begun.popleft())
        while begun:
            yield self._launched(halves.second, *begun.popleft())

    def _launched(self, finish: Finish, loaded: Any, tab: Tab) -> tuple[Settle | None, Tab]:
        with self.tabs.of(tab):
            settle = finish(loaded)
        tab.launched()
        return settle, tab

    def _on_thread(self, settle: Settle | None, tab: Tab, running: list[Future[None]]) -> Settle | None:
        """The same, begun on a thread, where waves are settled there."""
        if settle is None or not self.behind:
            return settle
        running[:] = [future for future in running if not future.done()]
        running.append(future := self.pool.submit(self._settle_for, settle, tab))
        return future.result

    def _settle_for(self, settle: Settle, tab: Tab) -> None:
        with self.tabs.of(tab):
            settle()

    def _settle(self, settle: Settle | None, tab: Tab, opened: list[Tab]) -> None:
        if settle:
            self._settle_for(settle, tab)
        tab.close()
        opened.remove(tab)

    def _loaded(self, waves: Iterable[Any], opened: list[Tab]) -> Iterator[tuple[Any, Tab]]:
        """What `load` makes of the waves, in order; never more than `ahead` beyond the one that is given out."""
        coming: deque[tuple[Future[Any], Tab]] = deque()
        try:
            for wave in waves:
                opened.append(tab := self.tab())
                coming.append((self.pool.submit(self._load, wave, tab), tab))
                if len(coming) > self.ahead:
                    yield coming[0][0].result(), coming.popleft()[1]
            while coming:
                yield coming[0][0].result(), coming.popleft()[1]
        finally:
            _stop([future for future, _ in coming])

    def _load(self, wave: Any, tab: Tab) -> Any:
        tab.record.count(waves=1)
        with self.tabs.of(tab):
            return self.load(wave)


def _itself(loaded: Any) -> Any:
    return loaded


def _stop(futures: list[Future[Any]]) -> None:
    """Begin none of them any more, and wait for those at work: they use memory that this read or write owns."""
    ended([future for future in futures if not future.cancel()])


def ended(futures: list[Future[Any]]) -> None:
    """Wait until all are at their end. An interrupt of this thread is raised only then, a second one at once."""
    try:
        wait(futures)
    except BaseException:
        wait(futures)
        raise
