"""Copies between the host and a GPU, by CuPy.

Inside a batch only the functions that are returned wait. Copies to the device and copies of encoded chunks back to the
host each have their own stream, so that both directions of the bus are used at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.devices.cuda.pinned import no_memory_is_told, rounded
from gpuzarr.devices.cuda.streams import Streams
from gpuzarr.devices.trace import BatchMemory, CurrentBatch, backing_bytes

MAX_POOLED_DOWNLOAD_BYTES = 1 << 20  # CuPy's pool of pinned memory frees nothing; larger downloads go past it


@dataclass(frozen=True)
class Copies:
    """Copies to and from one GPU. It must be the current GPU when these functions are called.

    `pin(nbytes, kind)`: pinned memory of the current batch. `waited(event, filled)`: `filled`, after a wait for the
    event. `on()`: a context in which the GPU is the current one.
    """

    xp: Any
    current: CurrentBatch
    streams: Streams
    pin: Callable[..., np.ndarray]
    waited: Callable[[Any, Any], Any]
    on: Callable[[], AbstractContextManager[None]]
    _copying: threading.Lock = field(default_factory=threading.Lock, repr=False)  # so that times are those of one copy

    def upload(self, data: np.ndarray) -> Any:
        """See `Device.upload`. Inside a batch the host does not wait for the copy.

        Chunks as they are stored are copied on the copying stream. What the host decoded is copied on the current one:
        it need not wait there behind the chunks of later batches, and its memory is scratch, of one batch at a time.
        Outside of batches the host waits, because `data` may be pinned memory that the caller writes to next.
        """
        data = np.asarray(data, data.dtype.newbyteorder("="), order="C")
        memory = self.current.memory
        kind = None if memory is None else memory.pinned_kind(data)
        if kind == "pinned":
            copy = shaped(self.upload_target(data.nbytes), data)
            self.upload_part(data, copy)
            self.await_uploads()
            return copy
        self.current.count(sent=data.nbytes)
        self.current.add_scratch(data.nbytes)
        copy, stream = self.xp.empty(data.shape, data.dtype), self._stream()
        copy.set(self._pinned_copy(data) if memory is not None and kind is None else data, stream)
        return self.waited(stream, copy) if memory is None else copy

    def _pinned_copy(self, data: np.ndarray) -> np.ndarray:
        """Copy to pinned memory: from other memory, the copy to the device would wait for all earlier work."""
        pinned = shaped(self.pin(data.nbytes, "tables"), data)
        pinned[...] = data
        return pinned

    def upload_target(self, nbytes: int) -> Any:
        """See `Device.upload_target`. The allocation belongs to the copying stream, so the batch holds it until it is
        complete: else the next copy could overwrite it while it is read. Its size is rounded so that CuPy's pool can
        reuse it for the next batch.
        """
        with self.streams["copying"]:
            allocation = self.xp.empty(rounded(nbytes), np.uint8)
        self._memory.hold(allocation, len(allocation))
        return allocation[:nbytes]

    def upload_part(self, source: np.ndarray, target: Any) -> None:
        """See `Device.upload_part`. Copies on the copying stream."""
        copying, memory = self.streams["copying"], self._memory
        with copying, self._copying:
            begin = copying.record()
            target.set(source, copying)
            memory.uploads = copying.record()
        memory.trace.count(sent=source.nbytes)
        memory.trace.add_time("copy", begin, memory.uploads)

    def await_uploads(self) -> None:
        """See `Device.await_uploads`."""
        if self._memory.uploads is not None:
            self._stream().wait_event(self._memory.uploads)

    @property
    def _memory(self) -> BatchMemory:
        """Memory of the calling thread's batch: all that is copied beside other work belongs to one."""
        assert self.current.memory is not None
        return self.current.memory

    def download_async(self, data: Any) -> Callable[[], np.ndarray]:
        """See `Device.download_async`."""
        self.current.count(fetched=data.nbytes)
        is_pooled = data.nbytes <= MAX_POOLED_DOWNLOAD_BYTES
        allocation = self._pooled(data.nbytes) if is_pooled else self.pin(data.nbytes)
        host: np.ndarray = np.frombuffer(allocation, data.dtype, data.size).reshape(data.shape)
        stream = self._stream()
        self._contiguous(data).get(stream=stream, out=host, blocking=False)
        return partial(self.waited, self._end(stream), host)

    def _contiguous(self, data: Any) -> Any:
        """`data`, or a contiguous copy of it. `ascontiguousarray` would make one axis where there is none."""
        return data if data.flags.c_contiguous else self.xp.ascontiguousarray(data)

    def _pooled(self, nbytes: int) -> Any:
        """Pinned memory of CuPy's pool, which frees none and reuses it only for the same size."""
        with no_memory_is_told(self.xp.cuda, nbytes):
            return self.xp.cuda.alloc_pinned_memory(rounded(nbytes))

    def copy_back(self, data: Any) -> Callable[..., np.ndarray]:
        """See `Device.copy_back`. The copy is made on the leaving stream.

        The batch holds `data` until it is complete: the current stream, to which the memory belongs, could reuse it
        while it is copied.
        """
        data, memory = self._contiguous(data), self.current.memory
        if memory is None or not data.nbytes:
            return partial(self._fetched, data)
        memory.hold(data, backing_bytes(data))
        return partial(self._leave, data, memory, self._stream().record())

    def _fetched(self, data: Any, count: int | None = None) -> np.ndarray:
        with self.on():
            return self.download_async(data[:count])()

    def _leave(self, data: Any, memory: BatchMemory, launched: Any, count: int | None = None) -> np.ndarray:
        """Copy the first `count` items to the host, after the event `launched`, and wait for them."""
        with self.on(), self.current.use(memory):
            some, leaving = data[:count], self.streams["leaving"]
            self.current.count(fetched=some.nbytes)
            host = shaped(self.pin(some.nbytes), some)
            leaving.wait_event(launched)
            begin = leaving.record()
            some.get(stream=leaving, out=host, blocking=False)
            end = self._end(leaving)
            memory.trace.add_time("copy", begin, end)
            copy: np.ndarray = self.waited(end, host)
            return copy

    def _end(self, stream: Any) -> Any:
        """An event at the end of a stream. Where batches complete on threads, waits sleep: others need the cores."""
        memory = self.current.memory
        return stream.record(self.xp.cuda.Event(block=memory is not None and memory.trace.write_behind_depth > 0))

    def _stream(self) -> Any:
        return self.xp.cuda.get_current_stream()


def shaped(allocation: Any, data: Any) -> Any:
    """View of the first bytes of `allocation` as an array with the shape and dtype of `data`."""
    return allocation[: data.nbytes].view(data.dtype).reshape(data.shape)
