"""Copies between host memory and a GPU, by CuPy. Not yet run on a GPU.

Within a batch nothing here waits but the functions that are returned: what the host has goes to the device on a stream
of its own, and so does what a batch has encoded on its way back, so that both directions of the bus are used at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.devices.cuda.pinned import rounded
from gpuzarr.devices.cuda.streams import Streams
from gpuzarr.devices.trace import BatchMemory, CurrentBatch, behind_view

FEW = 1 << 20  # bytes; what is fetched and is more lies in pinned memory that can be let go


@dataclass(frozen=True)
class Copies:
    """Of one GPU, which is the current one within `on()`, and when these functions are called.

    `pin(nbytes, kind)` gives pinned memory of the thread's batch; `waited(event, filled)`: `filled`, after the event.
    """

    xp: Any
    current: CurrentBatch
    streams: Streams
    pin: Callable[..., np.ndarray]
    waited: Callable[[Any, Any], Any]
    on: Callable[[], AbstractContextManager[None]]

    def upload(self, data: np.ndarray) -> Any:
        """A copy on the device, in the order of the current stream. Within a batch the host does not wait for it.

        Outside of batches it does: `data` may be pinned, of somebody who writes to it when this returns.
        """
        data = np.asarray(data, data.dtype.newbyteorder("="), order="C")
        batch_memory = self.current.batch_memory
        self.current.count(sent=data.nbytes)
        if batch_memory is not None and batch_memory.pinned(data):
            return self._upload_beside(data, batch_memory)
        self.current.scratch(data.nbytes)
        there, stream = self.xp.empty(data.shape, data.dtype), self._current()
        there.set(data if batch_memory is None else self._pinned_copy(data), stream)
        return self.waited(stream, there) if batch_memory is None else there

    def _pinned_copy(self, data: np.ndarray) -> np.ndarray:
        """From memory that is not pinned, the copy to the device would wait for all that was launched before."""
        pinned = shaped(self.pin(data.nbytes, "tables"), data)
        pinned[...] = data
        return pinned

    def _upload_beside(self, data: np.ndarray, batch_memory: BatchMemory) -> Any:
        """On the copying stream; the current one waits for it.

        The memory is that stream's, so the batch keeps it until it is settled: else the next copy could overwrite it
        while it is still read. Its size is rounded, so that CuPy's pool has the next batch's without asking CUDA.
        """
        copying = self.streams["copying"]
        with copying:
            memory = self.xp.empty(rounded(data.nbytes), np.uint8)
            there = shaped(memory, data)
            begin = copying.record()
            there.set(data, copying)
            end = copying.record()
        batch_memory.keep(memory, len(memory))
        batch_memory.trace.add_time("copy", begin, end)
        self._current().wait_event(end)
        return there

    def download_async(self, data: Any) -> Callable[[], np.ndarray]:
        """A copy in host memory, in the order of the current stream; the function that is returned waits for it."""
        self.current.count(fetched=data.nbytes)
        memory = self._few(data.nbytes) if data.nbytes <= FEW else self.pin(data.nbytes)
        host: np.ndarray = np.frombuffer(memory, data.dtype, data.size).reshape(data.shape)
        stream = self._current()
        self.xp.ascontiguousarray(data).get(stream=stream, out=host, blocking=False)
        return partial(self.waited, self._end(stream), host)

    def _few(self, nbytes: int) -> Any:
        """Pinned memory of CuPy's pool, which never lets go of any, and uses it again only for the same size."""
        return self.xp.cuda.alloc_pinned_memory(rounded(nbytes))

    def copy_back(self, data: Any) -> Callable[..., np.ndarray]:
        """See devices.Device.bring. The copy is on the leaving stream.

        The batch keeps `data` until it is settled: its memory is the current stream's, which could use it again while
        it is still copied.
        """
        data, batch_memory = self.xp.ascontiguousarray(data), self.current.batch_memory
        if batch_memory is None or not data.nbytes:
            return partial(self._fetched, data)
        batch_memory.keep(data, behind_view(data))
        return partial(self._leave, data, batch_memory, self._current().record())

    def _fetched(self, data: Any, count: int | None = None) -> np.ndarray:
        with self.on():
            return self.download_async(data[:count])()

    def _leave(self, data: Any, batch_memory: BatchMemory, launched: Any, count: int | None = None) -> np.ndarray:
        with self.on(), self.current.of(batch_memory):
            some, leaving = data[:count], self.streams["leaving"]
            self.current.count(fetched=some.nbytes)
            host = shaped(self.pin(some.nbytes), some)
            leaving.wait_event(launched)
            begin = leaving.record()
            some.get(stream=leaving, out=host, blocking=False)
            end = self._end(leaving)
            batch_memory.trace.add_time("copy", begin, end)
            there: np.ndarray = self.waited(end, host)
            return there

    def _end(self, stream: Any) -> Any:
        """An event. Where batches are settled on threads, who waits for it sleeps: the others need the cores."""
        batch_memory = self.current.batch_memory
        return stream.record(
            self.xp.cuda.Event(block=batch_memory is not None and batch_memory.trace.write_behind_depth > 0)
        )

    def _current(self) -> Any:
        return self.xp.cuda.get_current_stream()


def shaped(memory: Any, data: Any) -> Any:
    """The beginning of `memory`, bytes, as an array like `data`."""
    return memory[: data.nbytes].view(data.dtype).reshape(data.shape)
