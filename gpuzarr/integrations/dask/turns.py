"""Turns of reads and writes, so that the threads of dask do not each take the whole memory limit.

A read holds up to its memory limit beyond its result, and dask runs as many at once as it has threads. So the reads of
a process on one device take turns: as many run as the device can keep busy, each with its share of the limit, and
together they hold no more than the limit of one read. The same holds for writes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from queue import SimpleQueue
from typing import TypeVar

from gpuzarr.devices.contract import Device
from gpuzarr.interrupts import BOTTOM, ensured, release_all
from gpuzarr.per_process import PerProcess

T = TypeVar("T")
GPU_TURNS = 2  # one batch after the other keeps a GPU busy; the second hides the end of one read behind the next


class Turns:
    """The turns of one process: for each device and kind of work a queue of tokens, one for each call at once."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], SimpleQueue[int]] = {}

    def queue(self, device: Device, work: str, count: int) -> SimpleQueue[int]:
        """The tokens that are free, `count` at first."""
        key = device.name, work
        return self._of.get(key) or self._of.setdefault(key, _filled(count))


_TURNS = PerProcess(Turns)


def at_once(device: Device) -> int:
    """Reads (or writes) of a process that run on a device at once."""
    return GPU_TURNS if device.gpu else device.threads


def in_turn(device: Device, work: str, limit: int, call: Callable[[int], T]) -> T:
    """Return call(share of `limit`) when fewer than `at_once` calls of this kind run on the device."""
    count = at_once(device)
    return _holding(_TURNS.value.queue(device, work, count), 1, lambda: call(max(limit // count, 1)))


def alone(device: Device, work: str, limit: int, call: Callable[[int], T]) -> T:
    """Return call(limit) when no other call of this kind runs on the device: this one cannot do with a share."""
    count, turns = at_once(device), _TURNS.value
    every = turns.queue(device, work, count)
    # one at a time collects tokens, or two might wait for each other's
    return _holding(turns.queue(device, f"{work} alone", 1), 1, lambda: _holding(every, count, lambda: call(limit)))


def _filled(count: int) -> SimpleQueue[int]:
    made: SimpleQueue[int] = SimpleQueue()
    for token in range(count):
        made.put(token)
    return made


def _holding(queue: SimpleQueue[int], tokens: int, work: Callable[[], T]) -> T:
    """Return work(), holding so many tokens meanwhile."""
    held = [BOTTOM]

    def run() -> T:
        held.extend(map(SimpleQueue.get, repeat(queue, tokens)))  # one call of C, as `gpuzarr.interrupts` wants it
        return work()

    return ensured(run, lambda: release_all(held, queue.put))
