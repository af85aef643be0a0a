"""The order in which the batches of a read or a write overlap on a GPU.

A read: threads load batches (from the store into pinned memory), up to `prefetch_depth` of them ahead. The caller's
thread launches them in order (copy, decode, place) and completes each one batch later (looks at its errors), so that
the GPU has its next work before the host waits. Where several batches are decoded at once, each in a lane (a stream of
its own), a batch is completed when as many have been launched after it.

A write is the mirror image: the caller's thread launches batches (gather, encode), and threads complete them (wait for
the sizes, copy into pinned memory, store), up to `write_behind_depth` batches later. Encoding must know which chunks
are empty. So launching has two phases, and the first phase of the next batch, gathering, comes before the host waits
for that:

    stream     gather 0 | gather 1, encode 0 | gather 2, encode 1 | gather 3, encode 2 | ...
    a thread                                   wait for the sizes of 0, copy, store
    another                                                         the same for 1
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import BatchMemory, CurrentBatch
from gpuzarr.interrupts import ensured
from gpuzarr.line import Line, submit
from gpuzarr.tasks import Task, end_all

Load = Callable[[Any], Any]  # batch -> loaded batch; waits for storage
Launch = Callable[[Any], "Complete | None"]  # loaded batch -> function that completes it; does not wait for the device
Complete = Callable[[], None]  # waits for the device, and raises the error of the first bad chunk
PREFETCH_DEPTH = 2  # batches loaded ahead (stored behind) of the one that is decoded (encoded), where memory allows


@dataclass(frozen=True)
class TwoPhase:
    """A `Launch` in two phases, of which the second needs results of the first.

    `first(loaded)` only launches. `second` gets what it returns, and may wait for the device before it launches the
    rest.
    """

    first: Callable[[Any], Any]
    second: Launch

    def __call__(self, loaded: Any) -> Complete | None:
        return self.second(self.first(loaded))


@dataclass(frozen=True)
class Pipeline:
    """Overlaps the batches of one read or write.

    `new_memory()` makes the account of one batch; `drain()` waits for everything that was launched; `lane(number)` is
    the context in which a batch is launched, by its number in the order of launches. If `write_behind_depth` is 0, the
    caller's thread completes batches, else threads do. The first error is raised, after which nothing of the read or
    write runs any more and nothing is held.
    """

    load: Load
    launch: Launch
    line: Line
    overlap: Overlap
    current: CurrentBatch
    new_memory: Callable[[], BatchMemory]
    drain: Callable[[], None]
    lane: Callable[[int], AbstractContextManager[None]]
    write_behind_depth: int = 0

    def run(self, batches: Iterable[Any]) -> None:
        """Load, launch and complete all batches."""
        opened: list[BatchMemory] = []
        tasks: list[Task] = []
        before, ended = self.current.memory, False

        def work() -> None:
            nonlocal ended
            self._run(batches, opened, tasks)
            ended = True

        def clean() -> None:
            nonlocal ended
            self.current.memory = before
            end_all(tasks)
            ended = ended or self._drained()
            for memory in opened:
                memory.close(reuse=ended)

        ensured(work, clean)

    def _drained(self) -> bool:
        """Return True if the device is known to have finished. A GPU that has stopped cannot say."""
        try:
            self.drain()
        except Exception:
            return False
        return True

    def _run(self, batches: Iterable[Any], opened: list[BatchMemory], tasks: list[Task]) -> None:
        """Do so; all that threads do for it is noted in `tasks`, what memory there is in `opened`."""
        incomplete: deque[tuple[Complete | None, BatchMemory]] = deque()
        most = self.write_behind_depth or self.overlap.incomplete - 1
        for complete, memory in self._launched(batches, opened, tasks):
            incomplete.append((self._on_thread(complete, memory, tasks), memory))
            del complete
            while len(incomplete) > most:
                self._complete(*incomplete.popleft(), opened)
        while incomplete:
            self._complete(*incomplete.popleft(), opened)

    def _launched(
        self, batches: Iterable[Any], opened: list[BatchMemory], tasks: list[Task]
    ) -> Iterator[tuple[Complete | None, BatchMemory]]:
        """Batches that are launched, in order. The first phase of the next batch precedes the second phase of each."""
        launch = self.launch if isinstance(self.launch, TwoPhase) else TwoPhase(_unchanged, self.launch)
        ahead = 1 if launch is self.launch and self.write_behind_depth else 0
        begun: deque[tuple[Any, BatchMemory]] = deque()
        decoded: deque[BatchMemory] = deque()
        for number, (loaded, memory) in enumerate(self._loaded(batches, opened, tasks)):
            with self.current.use(memory):
                begun.append((launch.first(loaded), memory))
            del loaded
            if len(begun) > ahead:
                yield self._launch(launch.second, number - ahead, *begun.popleft(), decoded)
        while begun:
            yield self._launch(launch.second, number, *begun.popleft(), decoded)

    def _launch(
        self, launch: Launch, number: int, begun: Any, memory: BatchMemory, decoded: deque[BatchMemory]
    ) -> tuple[Complete | None, BatchMemory]:
        """Launch a batch. The scratch of the one before in its lane is its own now."""
        with self.current.use(memory), self.lane(number):
            complete = launch(begun)
        decoded.append(memory)
        while len(decoded) >= self.overlap.decoded:
            decoded.popleft().release_scratch()
        return complete, memory

    def _on_thread(self, complete: Complete | None, memory: BatchMemory, tasks: list[Task]) -> Complete | None:
        """Begin `complete` on a thread, if batches complete there, and return the function that waits for it."""
        if complete is None or not self.write_behind_depth:
            return complete
        tasks[:] = [task for task in tasks if not task.is_done]
        return submit(self.line, tasks, self._complete_for, complete, memory).result

    def _complete_for(self, complete: Complete, memory: BatchMemory) -> None:
        with self.current.use(memory):
            complete()

    def _complete(self, complete: Complete | None, memory: BatchMemory, opened: list[BatchMemory]) -> None:
        if complete:
            self._complete_for(complete, memory)
        memory.close()
        opened.remove(memory)

    def _loaded(
        self, batches: Iterable[Any], opened: list[BatchMemory], tasks: list[Task]
    ) -> Iterator[tuple[Any, BatchMemory]]:
        """Loaded batches, in order, of which the overlap's depth are ahead of the one that is yielded."""
        coming: deque[tuple[Task, BatchMemory]] = deque()
        for batch in batches:
            opened.append(memory := self.new_memory())
            tasks[:] = [task for task in tasks if not task.is_done]
            coming.append((submit(self.line, tasks, self._load, batch, memory), memory))
            if len(coming) > self.overlap.prefetch_depth:
                yield coming[0][0].result(), coming.popleft()[1]
        while coming:
            yield coming[0][0].result(), coming.popleft()[1]

    def _load(self, batch: Any, memory: BatchMemory) -> Any:
        memory.trace.count(batches=1)
        with self.current.use(memory):
            return self.load(batch)


def _unchanged(loaded: Any) -> Any:
    return loaded
