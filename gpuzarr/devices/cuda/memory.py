"""Memory of one GPU's batches, and the pipeline that runs them. Below this are only buffers, so tests need no GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch, allocated
from gpuzarr.devices.cuda.pinned import Pinned
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.pipeline import PREFETCH_DEPTH, Launch, Load, Pipeline
from gpuzarr.devices.trace import BatchMemory, CurrentBatch, MemoryUse, Trace
from gpuzarr.line import Line


@dataclass(frozen=True)
class GpuMemory:
    """Pinned buffers of one GPU, and the account of what all its reads and writes hold.

    `pins` keeps the free buffers, `current` finds the batch of the calling thread, `held` counts the bytes of all
    batches.
    """

    pins: Pinned
    current: CurrentBatch = field(default_factory=CurrentBatch)
    held: MemoryUse = field(default_factory=MemoryUse)

    def pin(self, nbytes: int, kind: str = "pinned") -> np.ndarray:
        """A pinned buffer of at least `nbytes` for the current batch; outside of batches one that is not used again."""
        if (memory := self.current.memory) is None:
            return self.pins.allocate(max(nbytes, 1))
        buffer = self.pins.take(nbytes)
        memory.add_pinned(buffer, kind)
        return buffer

    def pinned_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """See `Device.pinned_buffer`."""
        return allocated(sizes, lambda nbytes: self.pin(self.current.pinned_size(nbytes))[:nbytes])

    def decoded_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """See `Device.decoded_buffer`. Outside of batches it is not pinned: to lock pages takes longer than to copy."""
        if self.current.memory is None:
            return allocated(sizes, lambda nbytes: np.empty(nbytes, np.uint8))
        return allocated(sizes, lambda nbytes: self.pin(nbytes, "decoded")[:nbytes])

    def hold(self, array: Any, nbytes: int) -> None:
        """Hold device memory that another stream uses until the current batch, if any, is complete."""
        if self.current.memory is not None:
            self.current.memory.hold(array, nbytes)

    @contextmanager
    def scoped_scratch(self, synchronize: Callable[[], object]) -> Iterator[None]:
        """See `Device.scoped_scratch`. `synchronize()` waits for the current stream."""
        if (memory := self.current.memory) is None:
            yield
            return
        nested, done = memory.nested(), False
        try:
            with self.current.use(nested):
                yield
                synchronize()
                done = True
        finally:
            nested.close(reuse=done)

    def pipeline(
        self,
        load: Load,
        launch: Launch,
        trace: Trace,
        line: Line,
        drain: Callable[[], None] = lambda: None,
        lane: Callable[[int], AbstractContextManager[None]] = lambda number: nullcontext(),
    ) -> Pipeline:
        """Pipeline for one read or write. See `Pipeline` for `drain` and `lane`.

        A trace with a higher limit of pinned memory lets `pins` keep more buffers, for the next one like it.
        """
        most = trace.limit if trace.pinned_limit is None else trace.pinned_limit
        self.pins.max_kept_bytes = max(self.pins.max_kept_bytes, most or 0)
        overlap = trace.overlap or Overlap(PREFETCH_DEPTH)
        new_memory = partial(BatchMemory, trace, self.held, self.pins.give)
        return Pipeline(load, launch, line, overlap, self.current, new_memory, drain, lane, trace.write_behind_depth)
