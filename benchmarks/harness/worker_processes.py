"""Batches that worker processes read ahead: torch's DataLoader, and the same without torch.

As `DataLoader(samples, batch_size=None, num_workers=2, prefetch_factor=2, multiprocessing_context="spawn",
persistent_workers=True)`: batches are dealt to processes in turn, each has so many to do, their results come in shared
memory, in order. The one without torch uses that memory again, which saves what torch pays for new pages.
"""

from __future__ import annotations

import atexit
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Protocol

import numpy as np

WORKERS, PREFETCH = 2, 2
Item = tuple[int, np.ndarray]  # the number of an epoch, and the origins of a batch


class Samples(Protocol):
    """A dataset whose items are batches; picklable, for it is used in the workers."""

    def __getitem__(self, item: Item) -> np.ndarray: ...


def with_torch(samples: Samples, batches: Sequence[np.ndarray]) -> Callable[[int], Iterator[np.ndarray]]:
    """An epoch, by its number, read by the workers of torch's DataLoader."""
    from torch.utils.data import DataLoader

    sampler = Dealt(batches)
    loader: Any = DataLoader(
        samples,  # type: ignore[arg-type]
        batch_size=None,
        sampler=sampler,
        num_workers=WORKERS,
        prefetch_factor=PREFETCH,
        multiprocessing_context="spawn",
        persistent_workers=True,
    )

    def epoch(number: int) -> Iterator[np.ndarray]:
        sampler.epoch = number
        return (batch.numpy() for batch in loader)

    return epoch


@dataclass
class Dealt:
    """A sampler of items, in their order."""

    batches: Sequence[np.ndarray]
    epoch: int = 0

    def __iter__(self) -> Iterator[Item]:
        return ((self.epoch, origins) for origins in self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def without_torch(samples: Samples, batches: Sequence[np.ndarray]) -> Callable[[int], Iterator[np.ndarray]]:
    """An epoch, by its number, read by processes of our own; a batch is valid until the next one is taken."""
    spawn = multiprocessing.get_context("spawn")
    ends = [spawn.Pipe() for _ in range(WORKERS)]
    workers = [Worker(near, {}) for near, _ in ends]
    processes = [spawn.Process(target=work, args=(far, samples), daemon=True) for _, far in ends]
    for process, (_, far) in zip(processes, ends, strict=True):
        process.start()
        far.close()
    atexit.register(end, workers, processes)
    return lambda number: in_order(workers, ((number, origins) for origins in batches))


@dataclass(frozen=True)
class Worker:
    """The near end of a pipe to one, and the shared memory that was seen from it, by name."""

    pipe: Any
    memory: dict[str, SharedMemory]

    def take(self) -> np.ndarray:
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        name, shape, dtype = answer
        if name not in self.memory:
            self.memory[name] = SharedMemory(name)
        return np.ndarray(shape, dtype, self.memory[name].buf)


def end(workers: Sequence[Worker], processes: Sequence[Any]) -> None:
    """Let workers free their memory before this process ends."""
    for worker in workers:
        worker.pipe.close()
    for process in processes:
        process.join()


def in_order(workers: Sequence[Worker], items: Iterable[Item]) -> Iterator[np.ndarray]:
    """The batches, dealt to the workers in turn."""
    items, busy = iter(items), deque[Worker]()

    def deal(worker: Worker) -> None:
        if (item := next(items, None)) is not None:
            worker.pipe.send(item)
            busy.append(worker)

    for _ in range(PREFETCH):
        for worker in workers:
            deal(worker)
    try:
        while busy:
            batch = busy[0].take()
            deal(busy.popleft())
            yield batch
    finally:  # of an epoch that is ended early
        for worker in busy:
            worker.take()


def work(pipe: Any, samples: Samples) -> None:
    """What a worker does until its pipe ends: a ring of shared memory holds the batch in use, and those behind it."""
    ring: list[SharedMemory] = []
    number = 0
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            break
        try:
            batch = samples[item]
        except Exception as error:
            pipe.send(error)
            continue
        if len(ring) <= PREFETCH:
            ring.append(SharedMemory(create=True, size=batch.nbytes))
        place = ring[number % len(ring)]
        np.ndarray(batch.shape, batch.dtype, place.buf)[...] = batch
        pipe.send((place.name, batch.shape, batch.dtype.str))
        number += 1
    for place in ring:
        place.close()
        place.unlink()
