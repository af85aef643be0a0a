"""Write on another thread: values are copied, merged to whole chunks, and written while the caller goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.errors import ClosedError
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.write.merge import MergeBuffer, Region
from gpuzarr.write.open_shards import OpenShards

Accept = Callable[[Any, Any], tuple[Outer | Points, Any]]
Write = Callable[[Outer | Points, Any, OpenShards], None]


class Writer:
    """Writes regions of an array on another thread, as if in the order of the calls; made by `Array.writer`.

    `accept(selection, value)` gives the elements selected, and an array of the device that broadcasts to them, or
    raises; `write` writes that. Regions that wait for their neighbours are in `_merging`, shards that are not full in
    `_open_shards`. On a GPU a write runs on a stream of its own, behind the copies and beside what the caller launches
    next.
    """

    def __init__(self, accept: Accept, write: Write, layout: Layout, max_bytes: int, device: Device) -> None:
        self._accept, self._write, self._max_bytes, self._device = accept, write, max_bytes, device
        self._merging, self._open_shards = MergeBuffer(layout, max_bytes // 4, device), OpenShards()
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "gpuzarr writer")
        self._thread.submit(int)  # it begins now: an interrupt while it does would lose what it was to write
        self._broken = False

    def __setitem__(self, selection: Any, value: Any) -> None:
        if self._thread is None:
            raise ClosedError("this writer is closed")
        while self._waiting and self._waiting[0][0].done():
            self._oldest()
        with self._device.on():
            place, values = self._accept(selection, value)
        if values.nbytes > self._max_bytes:
            self._wait()
            self._write(place, values, self._open_shards)
            return
        while self._waiting and self._held + values.nbytes > self._max_bytes:
            self._oldest()
        values = self._copied(values, value)
        if (region := self._merging.region(place, values)) is None:
            self._submit_merging()
            self._submit(place, values.nbytes, lambda: values)
        else:
            for ready in self._merging.add(region):
                self._submit_region(ready)

    def flush(self) -> None:
        """Wait until everything is in the store. Raises the first error."""
        self._wait()
        self._or_stop(self._open_shards.close)

    def _wait(self) -> None:
        """Wait until all values are given to the store or to open shards."""
        self._submit_merging()
        while self._waiting:
            self._oldest()

    def close(self) -> None:
        """Flush, and end the writer: a later write raises ClosedError."""
        try:
            self.flush()
        finally:
            self._stop()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise

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

    def _submit(self, place: Any, nbytes: int, values: Callable[[], Any]) -> None:
        if self._thread is not None:
            self._waiting.append((self._thread.submit(self._work, place, values), nbytes))

    def _submit_region(self, region: Region) -> None:
        """Write a region. Its pieces are held until then: their memory is of the callers' streams."""
        self._submit(region.place, self._merging.bytes_of(region), lambda: self._merging.values(region))

    def _submit_merging(self) -> None:
        for region in self._merging.take():
            self._submit_region(region)

    def _oldest(self) -> None:
        """Wait for the oldest write; after an error the others are not done, and the writer takes no more."""
        future, _ = self._waiting.popleft()
        self._or_stop(future.result)

    def _or_stop(self, do: Callable[[], None]) -> None:
        try:
            do()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        """Begin nothing more, and leave nothing behind."""
        for future, _ in self._waiting:
            future.cancel()
        self._waiting.clear()
        self._merging.take()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()
        self._open_shards.abort()

    def _work(self, place: Any, values: Callable[[], Any]) -> None:
        if self._broken:
            return
        try:
            with self._device.after():
                self._write(place, values(), self._open_shards)
        except BaseException:
            self._broken = True
            raise
