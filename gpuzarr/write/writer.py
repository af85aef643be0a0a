"""Write on another thread: values are copied, merged to whole chunks, and written while the caller goes on."""

from __future__ import annotations

import warnings
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol

from gpuzarr.devices.contract import Device
from gpuzarr.errors import ClosedError
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.interrupts import ensured
from gpuzarr.line import Line
from gpuzarr.per_process import PROCESS
from gpuzarr.tasks import Task
from gpuzarr.write.merge import MergeBuffer, Region

Accept = Callable[[Any, Any], tuple[Outer | Points, Any]]


class Incomplete(Protocol):
    """What a writer has begun that is not in the store: `OpenShards`, or that and more."""

    def close(self) -> None:
        """Complete it."""
        ...

    def abort(self) -> None:
        """Leave nothing of it."""
        ...


Write = Callable[[Outer | Points, Any], None]


class Writer:
    """Writes regions of an array on another thread, as if in the order of the calls; made by `Array.writer`.

    `accept(selection, value)` gives the elements selected, and an array of the device that broadcasts to them, or
    raises; `write` writes that. `together`: chunks that the store writes at once. Regions that wait for neighbours
    are in `_merging`; `incomplete` is what `write` has begun, such as shards that are not full. On a GPU a write runs
    on a stream of its own, behind the copies and beside what the caller launches next.
    """

    def __init__(
        self,
        accept: Accept,
        write: Write,
        layout: Layout,
        max_bytes: int,
        device: Device,
        together: int,
        incomplete: Incomplete,
    ) -> None:
        self._accept, self._write, self._max_bytes, self._device = accept, write, max_bytes, device
        self._merging, self._incomplete = MergeBuffer(layout, max_bytes // 4, device, together), incomplete
        self._waiting: deque[tuple[Task, int]] = deque()
        self._line = Line()
        self._storing = Storing(write, device, self._incomplete)
        self._is_closed = False
        self._process = PROCESS.value
        self._finalizer = weakref.finalize(self, _dropped, self._storing, self._waiting, self._line, self._process)

    def __setitem__(self, selection: Any, value: Any) -> None:
        self._check_process()
        if self._is_closed:
            raise ClosedError("this writer is closed")
        try:
            self._put(selection, value)
        except Exception:
            raise
        except BaseException:  # an interrupt: what it has cut off is not known
            self._stop()
            raise

    def flush(self) -> None:
        """Wait until everything is in the store. Raises the first error."""
        self._check_process()
        self._or_stop(self._flush)

    def close(self) -> None:
        """Flush, and end the writer: a later write raises ClosedError."""
        self._check_process()
        ensured(self.flush, self._stop)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with nullcontext() if error is None else suppress(Exception):
            self.close()

    @property
    def _held(self) -> int:
        """Bytes of all copies; those that are merged are copied once more then."""
        return sum(size for _, size in self._waiting) + 2 * self._merging.nbytes

    def _copied(self, values: Any, value: Any) -> Any:
        """Copy values in the order of the caller's stream, for which the stream of writers waits.

        Other libraries know nothing of that stream, and may use their memory again at once: the host waits for these.
        """
        with self._device.on():
            copy, mark = values.copy(), self._device.timestamp()
            if self._device.gpu and not isinstance(value, self._device.xp.ndarray):
                self._device.seconds(mark, mark)
        with self._device.after(mark):
            return copy

    def _put(self, selection: Any, value: Any) -> None:
        while self._waiting and self._waiting[0][0].is_done:
            self._or_stop(self._oldest)
        with self._device.on():
            place, values = self._accept(selection, value)
        if values.nbytes > self._max_bytes:
            self._or_stop(self._wait)
            self._or_stop(lambda: self._write(place, values))
            return
        while self._waiting and self._held + values.nbytes > self._max_bytes:
            self._or_stop(self._oldest)
        values = self._copied(values, value)
        if (region := self._merging.region(place, values)) is None:
            self._submit_merging()
            self._submit(place, values.nbytes, lambda: values)
        else:
            for ready in self._merging.add(region):
                self._submit_region(ready)

    def _flush(self) -> None:
        self._wait()
        self._incomplete.close()

    def _wait(self) -> None:
        """Wait until all values are given to the store or to open shards."""
        self._submit_merging()
        while self._waiting:
            self._oldest()

    def _submit(self, place: Any, nbytes: int, values: Callable[[], Any]) -> None:
        if not self._is_closed:
            task = Task(partial(self._storing.store, place, values))
            self._waiting.append((task, nbytes))
            self._line.add(task)

    def _submit_region(self, region: Region) -> None:
        """Write a region. Its pieces are held until then: their memory is of the callers' streams."""
        merging = self._merging
        self._submit(region.place, merging.bytes_of(region), lambda: merging.values(region))

    def _submit_merging(self) -> None:
        for region in self._merging.take():
            self._submit_region(region)

    def _oldest(self) -> None:
        """Wait for the oldest write. After an error the others are not done."""
        self._waiting[0][0].result()
        self._waiting.popleft()

    def _or_stop(self, do: Callable[[], None]) -> None:
        """Do it; after an error the writer takes no more."""
        try:
            do()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        """Begin nothing more, and leave nothing behind. It may be called twice."""
        self._is_closed = True
        for task, _ in self._waiting:
            task.end()
        self._waiting.clear()
        self._merging.take()
        self._incomplete.abort()
        self._finalizer.detach()

    def _check_process(self) -> None:
        """ClosedError in a forked child, which has no part in what its parent writes."""
        if self._process is not PROCESS.value:
            raise ClosedError("this writer is closed: it belongs to the process from which this one was forked")


@dataclass(eq=False)
class Storing:
    """What the thread of a writer does. It does not know the writer, which may be dropped meanwhile."""

    write: Write
    device: Device
    incomplete: Incomplete
    is_broken: bool = False

    def store(self, place: Any, values: Callable[[], Any]) -> None:
        """Write values, unless something went wrong before."""
        if self.is_broken:
            return
        try:
            with self.device.after():
                self.write(place, values())
        except BaseException:
            self.is_broken = True
            raise


def _dropped(storing: Storing, waiting: deque[tuple[Task, int]], line: Line, process: object) -> None:
    """Leave nothing behind of a writer that nobody has closed, or that the end of the process finds.

    It may be called in the middle of anything, so it does not wait: if the thread is at work, it cleans up.
    """
    if process is not PROCESS.value:
        return
    storing.is_broken = True  # what waits is not written
    if all(task.is_done for task, _ in waiting) or line.is_ended:
        storing.incomplete.abort()
    else:
        line.add(Task(storing.incomplete.abort))
    warnings.warn("a writer was dropped that was not closed: not all that it was given is stored", ResourceWarning, 2)
