"""How the batches of a read or a write follow each other on a GPU.

Loading (storage into pinned memory) runs on threads, up to `prefetch_depth` batches before. Finishing (of a read:
copy, decode, place) launches, in the caller's thread and in order. What a read launched is looked at one batch later,
so that the GPU always has the next batch's work before the host waits for anything. A write is the mirror image:
finishing gathers and encodes, settling (wait for the sizes, copy into pinned memory, store) runs on threads, up to
`write_behind_depth` batches after. Encoding must know which chunks are empty, so it is the second of two halves: the
first one of the next batch, which gathers, is launched before the host waits for that.

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

from gpuzarr.devices.trace import BatchMemory, CurrentBatch

Load = Callable[[Any], Any]  # a batch -> what `Launch` needs, with a method pieces(n); waits for storage
Launch = Callable[[Any], "Complete | None"]  # launches; what it returns ends the batch, raises for its first bad chunk
Complete = Callable[[], None]
PREFETCH_DEPTH = 2  # batches that are loaded (stored) beside the one that is decoded (encoded), where memory allows


@dataclass(frozen=True)
class TwoPhase:
    """A `Launch` that launches, waits for what it has found, and launches the rest.

    `first(loaded)` only launches. What it returns is given to `second`, which may wait for that.
    """

    first: Callable[[Any], Any]
    second: Launch

    def __call__(self, loaded: Any) -> Complete | None:
        return self.second(self.first(loaded))


@dataclass(frozen=True)
class Pipeline:
    """The batches of one read or write. `tab()` makes the batch's memory of a batch; `drain()` waits for all that was
    launched.

    `write_behind_depth`: so many batches are settled on threads while later ones are finished; 0: the caller settles
    them. The first error is raised, and then nothing of this read or write runs any more, and nothing is held.
    """

    load: Load
    finish: Launch
    pool: Executor
    prefetch_depth: int
    current: CurrentBatch
    batch_memory: Callable[[], BatchMemory]
    drain: Callable[[], None]
    write_behind_depth: int = 0

    def run(self, batches: Iterable[Any]) -> None:
        """Load, finish and settle all batches."""
        opened: list[BatchMemory] = []
        done = False
        try:
            self._run(batches, opened)
            done = True
        finally:
            if not done:
                done = self._drained()
            for batch_memory in opened:
                batch_memory.close(reuse=done)

    def _drained(self) -> bool:
        """Whether the device is known to be done: a GPU that stopped says nothing any more."""
        try:
            self.drain()
        except Exception:
            return False
        return True

    def _run(self, batches: Iterable[Any], opened: list[BatchMemory]) -> None:
        incomplete: deque[tuple[Complete | None, BatchMemory]] = deque()
        running: list[Future[None]] = []
        most = self.write_behind_depth or (1 if self.prefetch_depth else 0)
        try:
            for complete, batch_memory in self._finished(batches, opened):
                incomplete.append((self._on_thread(complete, batch_memory, running), batch_memory))
                del complete
                while len(incomplete) > most:
                    self._complete(*incomplete.popleft(), opened)
            while incomplete:
                self._complete(*incomplete.popleft(), opened)
        finally:
            _stop(running)

    def _finished(
        self, batches: Iterable[Any], opened: list[BatchMemory]
    ) -> Iterator[tuple[Complete | None, BatchMemory]]:
        """The batches, each when all of it is launched. Of halves, the next batch's first one is launched before."""
        two_phase = self.finish if isinstance(self.finish, TwoPhase) else TwoPhase(_itself, self.finish)
        early = 1 if two_phase is self.finish and self.write_behind_depth else 0
        begun: deque[tuple[Any, BatchMemory]] = deque()
        for loaded, batch_memory in self._loaded(batches, opened):
            with self.current.of(batch_memory):
                begun.append((two_phase.first(loaded), batch_memory))
            del loaded
            if len(begun) > early:
                yield self._launched(two_phase.second, *begun.popleft())
        while begun:
            yield self._launched(two_phase.second, *begun.popleft())

    def _launched(self, finish: Launch, loaded: Any, batch_memory: BatchMemory) -> tuple[Complete | None, BatchMemory]:
        with self.current.of(batch_memory):
            complete = finish(loaded)
        batch_memory.launched()
        return complete, batch_memory

    def _on_thread(
        self, complete: Complete | None, batch_memory: BatchMemory, running: list[Future[None]]
    ) -> Complete | None:
        """The same, begun on a thread, where batches are settled there."""
        if complete is None or not self.write_behind_depth:
            return complete
        running[:] = [future for future in running if not future.done()]
        running.append(future := self.pool.submit(self._complete_for, complete, batch_memory))
        return future.result

    def _complete_for(self, complete: Complete, batch_memory: BatchMemory) -> None:
        with self.current.of(batch_memory):
            complete()

    def _complete(self, complete: Complete | None, batch_memory: BatchMemory, opened: list[BatchMemory]) -> None:
        if complete:
            self._complete_for(complete, batch_memory)
        batch_memory.close()
        opened.remove(batch_memory)

    def _loaded(self, batches: Iterable[Any], opened: list[BatchMemory]) -> Iterator[tuple[Any, BatchMemory]]:
        """What `load` makes of the batches, in order; never more than `prefetch_depth` beyond the one that is given
        out."""
        coming: deque[tuple[Future[Any], BatchMemory]] = deque()
        try:
            for batch in batches:
                opened.append(batch_memory := self.batch_memory())
                coming.append((self.pool.submit(self._load, batch, batch_memory), batch_memory))
                if len(coming) > self.prefetch_depth:
                    yield coming[0][0].result(), coming.popleft()[1]
            while coming:
                yield coming[0][0].result(), coming.popleft()[1]
        finally:
            _stop([future for future, _ in coming])

    def _load(self, batch: Any, batch_memory: BatchMemory) -> Any:
        batch_memory.trace.count(batches=1)
        with self.current.of(batch_memory):
            return self.load(batch)


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
