"""Batches in the order of their steps: chunks are loaded and samples are cut by other threads, ahead of the caller.

The caller's thread allocates the arrays, so that on a GPU their memory is of its stream, and is used again in the order
of that. What the threads do is in `feed.py`.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from math import prod
from types import TracebackType
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.errors import ClosedError, NoMemoryError
from gpuzarr.interrupts import ensured
from gpuzarr.loader.batches.feed import Feed, Item, Terms
from gpuzarr.loader.batches.making import Batch, Room
from gpuzarr.loader.batches.needs import Planner
from gpuzarr.loader.batches.report import EpochReport
from gpuzarr.loader.contract import Space, Step, View
from gpuzarr.nodes.casting import result
from gpuzarr.nodes.reading import allocated
from gpuzarr.per_process import PROCESS
from gpuzarr.tasks import Task, end_all


def batch_bytes(views: Sequence[View], samples: int) -> int:
    """Bytes of a batch of so many samples."""
    return sum(samples * prod(view.shape) * int(view.dtype.itemsize) for view in views)


def scratch_bytes(views: Sequence[View], samples: int) -> int:
    """The most bytes of a GPU that are taken while a batch of so many samples is cut, beside those of the batch."""
    casts = [(view, cast) for view in views if view.arrays[0].device.gpu for cast in view.cast]
    scaled = [
        (view, cast.work) for view, cast in casts if cast is not None and cast.work is not None and cast.is_spread
    ]
    some = [each for each in scaled if each[0].dtype != each[1] or len(each[0].arrays) > 1]
    return samples * max((prod(view.shape) * int(work.itemsize) for view, work in some), default=0)


class Batches:
    """Iterator over the batches of an epoch, of one rank.

    An error of a chunk is raised in the place of its batch, and iteration goes on behind it. `_coming` has the items
    that there is memory for and that are not handed over, in order. Nothing is left of it when it is closed, dropped or
    at its end.
    """

    def __init__(self, steps: Iterator[Step], space: Space, views: Sequence[View], epoch: int, terms: Terms) -> None:
        self._views, self._prefetch = views, terms.prefetch
        self._devices = [result(view.arrays[0], view.cast[0])[1] for view in views]
        self._feed = Feed(steps, Planner.of(space, views, epoch), terms)
        self._account = self._feed.account
        self._coming: deque[Item] = deque()
        self._is_closed = self._has_ended = False
        self._begun: float | None = None
        self._process = PROCESS.value
        self._finalizer = weakref.finalize(self, _dropped, self._feed, self._process)
        self._finalizer.atexit = False

    @property
    def report(self) -> EpochReport:
        """What happened until now."""
        return EpochReport(self._devices[0], self._account)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        self._check_open()
        begin = time.perf_counter()
        try:
            found, error = self._take()
            if found is None and error is None:
                self._release()
            elif error is not None and error is self._feed.error:
                raise error
            else:
                self._begin(0)
        except BaseException:  # an interrupt, too: what it has cut off is not known
            self._stop()
            raise
        self._count(found, begin)
        if error is not None:
            raise error
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        """End: nothing more is read or cut, what waits is freed, and iteration raises ClosedError."""
        if self._process is PROCESS.value:
            ensured(self._stop, self._stop)

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _take(self) -> tuple[Batch | None, Exception | None]:
        """Wait for the next batch, or the error in its place; for neither at the end."""
        feed = self._feed
        self._begin(1)
        while not self._coming:
            if feed.error is not None or self._has_ended or (feed.is_walked and not feed.published):
                return None, feed.error
            task = Task(feed.walk)
            feed.loading.add(task)
            task.wait()
            feed.poke()
            self._begin(1)
        task = self._coming[0].task
        batch, error = task.result()
        self._coming.popleft()
        return batch, error

    def _begin(self, wanted: int) -> None:
        """Offer memory for all batches that there is room for. `wanted`: those that somebody waits for.

        Where memory is short there are fewer. That is an error only if the caller has to wait for it.
        """
        feed = self._feed
        try:
            while len(self._coming) < self._prefetch + wanted and feed.published:
                room = self._room(feed.published[0].step)
                self._coming.append(feed.offer(room))
        except NoMemoryError:
            if wanted and not self._coming:
                raise
        if feed.wants_steps():
            feed.poke()

    def _room(self, step: Step) -> Room:
        """Memory for the arrays of a batch, of the current stream."""
        arrays, begun = list[Any](), dict[int, tuple[Device, Any]]()
        for view, device in zip(self._views, self._devices, strict=True):
            with device.on():
                arrays.append(allocated(view.arrays[0], (len(step.blocks), *view.shape), view.dtype, device))
                begun[id(device)] = device, device.timestamp()
        return Room(arrays, list(begun.values()))

    def _count(self, batch: Batch | None, begin: float) -> None:
        """Count a batch, and the time for which the caller waited."""
        now, account = time.perf_counter(), self._account
        if self._begun is None:
            self._begun, account.waited_first = begin, now - begin
        account.waited, account.seconds = account.waited + now - begin, now - self._begun
        if batch is not None:
            account.batches, account.samples = account.batches + 1, account.samples + len(batch)
            account.skipped += batch.skipped
            account.delivered_bytes += batch_bytes(self._views, len(batch))

    def _check_open(self) -> None:
        if self._process is not PROCESS.value:
            raise ClosedError(
                "this loader iterates in the process from which this one was forked: load with num_workers=0, for "
                "threads do the work; or start processes with 'spawn', and make a loader in each"
            )
        if self._is_closed:
            raise ClosedError("this iterator over batches is closed")

    def _stop(self) -> None:
        """Take no more, and leave nothing behind. It may be called twice."""
        self._is_closed = True
        self._release()

    def _release(self) -> None:
        self._has_ended = True
        self._feed.end()
        end_all([item.task for item in self._coming])
        self._coming.clear()
        self._feed.loading.end()
        self._feed.cutting.end()
        self._finalizer.detach()


def _dropped(feed: Feed, process: object) -> None:
    """Leave nothing behind of batches that nobody has closed. It may be called in the middle of anything: it does not
    wait."""
    if process is PROCESS.value:
        feed.end()  # what waits is not done
