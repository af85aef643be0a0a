"""Read on other threads: results are handed over in order, while the next ones are on their way."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol

from gpuzarr.checks import iterated
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ClosedError, NoMemoryError
from gpuzarr.interrupts import ensured
from gpuzarr.line import Line
from gpuzarr.per_process import PROCESS
from gpuzarr.read.ahead import Ahead
from gpuzarr.tasks import Task, end_all

GPU_THREADS = 2  # of a reader: one reads from the store, while what another has read is decoded; a CPU does both


class Request(Protocol):
    """A result that is wanted."""

    @property
    def nbytes(self) -> int:
        """Bytes of the result."""
        ...


class Requests(Protocol):
    """How selections become results."""

    def request(self, selection: Any) -> Any:
        """The `Request` that a selection means, or an error."""
        ...

    def allocate(self, request: Any) -> Any:
        """Memory of the device for a result, ordered on the current stream. NoMemoryError if there is none."""
        ...

    def read(self, requests: Sequence[Any], memory: Sequence[Any]) -> Sequence[Any]:
        """Read results together, each into its memory, and return them."""
        ...


class Reader:
    """Iterates over results, of which other threads read the next ones; made by `Array.reader`.

    A read has one result, or several small ones. `_coming` has the reads that are not handed over, in order, and
    `_ready` the results of the last one that was. `_end` comes behind all of them: an error, or StopIteration. On a
    GPU results lie in memory of the caller's stream, and are filled on a stream of readers.
    """

    def __init__(self, requests: Requests, selections: Iterable[Any], ahead: Ahead, device: Device) -> None:
        self._selections = iterated(selections, "a reader takes an iterable of selections")
        self._length = len(selections) if isinstance(selections, Sized) else None
        self._requests, self._ahead, self._device = requests, ahead, device
        self._next: Request | None = None
        self._end: Exception | None = None
        self._coming: deque[tuple[Task, list[int]]] = deque()
        self._ready: deque[tuple[Any, int]] = deque()
        self._line = Line(GPU_THREADS if device.gpu else 1)
        self._reading = Reading(requests, device)
        self._is_closed = False
        self._process = PROCESS.value
        self._finalizer = weakref.finalize(self, _dropped, self._reading, self._process)

    def __iter__(self) -> Reader:
        return self

    def __next__(self) -> Any:
        self._check_open()
        try:
            value = self._take()
            self._begin()
            return value
        except StopIteration:
            self._release()
            raise
        except BaseException:  # an interrupt, too: what it has cut off is not known
            self._stop()
            raise

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("the selections of this reader have no length")
        return self._length

    def close(self) -> None:
        """End the reader: no more is read, what waits is freed, and iteration raises ClosedError."""
        if self._process is PROCESS.value:
            ensured(self._stop, self._stop)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _take(self) -> Any:
        """Wait for the next result. StopIteration, or the error in its place, if there is none."""
        while not self._ready:
            self._begin(handed=1)
            if not self._coming:
                raise self._end or StopIteration
            self._hand_over()
        value, nbytes = self._ready.popleft()
        self._ahead.take(nbytes)
        return value

    def _hand_over(self) -> None:
        """Wait for the results of the oldest read. After an error none of the others is wanted."""
        task, sizes = self._coming[0]
        results, error = task.result()
        self._coming.popleft()
        self._ahead.hand_over()
        self._ready.extend(zip(results, sizes, strict=False))
        if error is not None:
            self._end, self._next = error, None
            end_all(task for task, _ in self._coming)
            self._coming.clear()

    def _begin(self, handed: int = 0) -> None:
        """Begin all reads that there is room for. `handed`: of results that are waited for, and so not ahead."""
        ahead = self._ahead
        while ahead.may_begin(handed) and (request := self._peek()) is not None and ahead.has_room(request.nbytes):
            requests, memory, begun = self._allocate(bool(handed))
            if not requests:
                break
            task, sizes = Task(partial(self._reading.results, requests, memory, begun)), [r.nbytes for r in requests]
            self._coming.append((task, sizes))
            ahead.begin(sizes)
            self._line.add(task)

    def _peek(self) -> Request | None:
        """The next result that is wanted; None if there are no more."""
        if self._next is None and self._end is None:
            try:
                self._next = self._requests.request(next(self._selections))
            except StopIteration:
                self._end = StopIteration()
            except Exception as error:
                self._end = _without_frame(error)
        return self._next

    def _allocate(self, is_waited_for: bool) -> tuple[list[Request], list[Any], Any]:
        """Take the results that are read together next, with memory for each, and a timestamp behind all of it.

        Where memory is short there are fewer, or none. That is an error only if the caller has to wait for it.
        """
        requests, memory, room = list[Request](), list[Any](), self._ahead.together_bytes
        with self._device.on():
            try:
                while len(requests) < self._ahead.together and (request := self._peek()) is not None:
                    room -= request.nbytes
                    if requests and room < 0:
                        break
                    memory.append(self._requests.allocate(request))
                    requests.append(request)
                    self._next = None
            except NoMemoryError as error:
                if is_waited_for and not requests and not self._coming:
                    self._end, self._next = _without_frame(error), None
            return requests, memory, self._device.timestamp()

    def _check_open(self) -> None:
        """ClosedError where this reader was closed, and in a forked child, which does not share its thread."""
        if self._process is not PROCESS.value:
            raise ClosedError("this reader is closed: it belongs to the process from which this one was forked")
        if self._is_closed:
            raise ClosedError("this reader is closed")

    def _stop(self) -> None:
        """Take no more, and leave nothing behind. It may be called twice."""
        self._is_closed = True
        self._release()

    def _release(self) -> None:
        self._reading.is_ended = True
        end_all(task for task, _ in self._coming)
        self._coming.clear()
        self._ready.clear()
        self._selections, self._next, self._end = iter(()), None, None
        self._finalizer.detach()


@dataclass(eq=False)
class Reading:
    """What the threads of a reader do. They do not know the reader, which may be dropped meanwhile."""

    requests: Requests
    device: Device
    is_ended: bool = False

    def results(self, requests: list[Any], memory: list[Any], begun: Any) -> tuple[Sequence[Any], Exception | None]:
        """Read results together. Return those before the first that has an error, and the error.

        The results are complete then, so that work on any stream may use them.
        """
        if self.is_ended:
            return [], None
        with self.device.after(begun, "reading"):
            try:
                return self._complete(requests, memory), None
            except Exception as error:
                return ([], error) if len(requests) == 1 else self._one_by_one(requests, memory)

    def _one_by_one(self, requests: list[Any], memory: list[Any]) -> tuple[Sequence[Any], Exception | None]:
        results = list[Any]()
        try:
            for request, place in zip(requests, memory, strict=True):
                results += self._complete([request], [place])
        except Exception as error:
            return results, error
        return results, None

    def _complete(self, requests: list[Any], memory: list[Any]) -> Sequence[Any]:
        results = self.requests.read(requests, memory)
        end = self.device.timestamp()
        self.device.seconds(end, end)
        return results


def _without_frame(error: Exception) -> Exception:
    """An error without the frame that caught it, which refers to the reader."""
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def _dropped(reading: Reading, process: object) -> None:
    """Leave nothing behind of a reader that nobody has closed. It may be called in the middle of anything: it does not
    wait."""
    if process is PROCESS.value:
        reading.is_ended = True  # what waits is not read
