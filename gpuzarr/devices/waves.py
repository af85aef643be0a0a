"""How the waves of a read follow each other on a GPU: some are loaded while one is decoded and one is checked.

Loading (storage into pinned memory) runs on threads, up to `ahead` waves before. Finishing (copy, decode,
place) only launches, in the caller's thread and in order. What the launches found is looked at one wave
later, so that the GPU always has the next wave's work before the host waits for anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from gpuzarr.devices.record import Tab, Tabs

Load = Callable[[Any], Any]  # a wave -> what `Finish` needs, with a method pieces(n); waits for storage
Finish = Callable[[Any], "Settle | None"]  # launches; what it returns raises for the wave's first bad chunk
Settle = Callable[[], None]
AHEAD = 2  # waves that are loaded beside the one that is decoded, where memory allows


@dataclass(frozen=True)
class Pipeline:
    """The waves of one read. `tab()` makes the tab of a wave; `drain()` waits for all that was launched.

    The first error is raised, and then nothing of this read runs any more, and nothing is held.
    """

    load: Load
    finish: Finish
    pool: Executor
    ahead: int
    tabs: Tabs
    tab: Callable[[], Tab]
    drain: Callable[[], None]

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
        for loaded, tab in self._loaded(waves, opened):
            with self.tabs.of(tab):
                settle = self.finish(loaded)
            del loaded
            tab.launched()
            unsettled.append((settle, tab))
            while len(unsettled) > (1 if self.ahead else 0):
                self._settle(*unsettled.popleft(), opened)
        while unsettled:
            self._settle(*unsettled.popleft(), opened)

    @staticmethod
    def _settle(settle: Settle | None, tab: Tab, opened: list[Tab]) -> None:
        if settle:
            settle()
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
            for future in [future for future, _ in coming if not future.cancel()]:
                future.exception()  # wait for it: it writes to memory that this read owns

    def _load(self, wave: Any, tab: Tab) -> Any:
        tab.record.count(waves=1)
        with self.tabs.of(tab):
            return self.load(wave)
