"""Memory for decoded chunks of one form: slots, which are used again, in slabs that are allocated together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.indexing.boxes import Targets

MAX_SLAB_BYTES = 64 << 20  # a slab is freed when none of its slots is used;
MAX_SHARED_BYTES = 4 << 20  # less where there are other forms, which cannot use what is free of it
_ROWS = 24  # bits of a slot's number that tell its row in the slab


class Slots:
    """Slots for chunks of one shape and dtype on one device. `nbytes`: of all slabs.

    The number of a slot, int64, tells its slab and its row there. Its elements are in C order.
    """

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: np.dtype[Any], slab_bytes: int) -> None:
        self.device, self.shape, self.dtype, self.nbytes, self._slab_bytes = device, shape, dtype, 0, slab_bytes
        self.slot_bytes = prod(shape) * int(dtype.itemsize)
        self._slabs: dict[int, Any] = {}
        self._first = np.zeros(0, np.int64)  # address of each slab
        self._free = np.zeros(0, np.int64)  # ascending: what lies in the first slabs is used first, so the last empty

    def growth(self, n: int) -> int:
        """Bytes of the slabs that `n` more slots would take."""
        return max(n - len(self._free), 0) * self.slot_bytes

    def take(self, n: int) -> np.ndarray:
        """Take `n` slots."""
        while len(self._free) < n:
            self._grow(n - len(self._free))
        taken, self._free = self._free[:n], self._free[n:]
        return taken

    def give(self, slots: np.ndarray) -> None:
        """Give slots back."""
        self._free = np.sort(np.concatenate([self._free, slots]))

    def trim(self) -> None:
        """Free the slabs of which no slot is used."""
        slabs, counts = np.unique(self._free >> _ROWS, return_counts=True)
        empty = [
            slab for slab, free in zip(slabs.tolist(), counts.tolist(), strict=True) if free == len(self._slabs[slab])
        ]
        for slab in empty:
            self.nbytes -= self.slot_bytes * len(self._slabs.pop(slab))
        if empty:
            self._free = self._free[~np.isin(self._free >> _ROWS, empty)]

    def compact(self, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move what is in the last of the `used` slots to free ones before them, so that slabs become empty, and free
        those. Returns the slots that were left, ascending, and to which each went. Nobody may read any meanwhile."""
        used, count = np.sort(used)[::-1], min(len(used), len(self._free))
        count = int(np.count_nonzero(self._free[:count] < used[:count]))
        left, taken = used[:count], self._free[:count]
        with self.device.after(None, "loading"):
            for old, new in zip(self.arrays(left), self.arrays(taken), strict=True):
                new[...] = old
            complete(self.device)
        self._free = np.sort(np.concatenate([self._free[count:], left]))
        self.trim()
        return left[::-1], taken[::-1]

    def addresses(self, slots: np.ndarray) -> np.ndarray:
        """The addresses of slots, int64."""
        found: np.ndarray = self._first[slots >> _ROWS] + (slots & ((1 << _ROWS) - 1)) * self.slot_bytes
        return found

    def arrays(self, slots: np.ndarray) -> Iterator[Any]:
        """The slots as arrays."""
        rows = (slots & ((1 << _ROWS) - 1)).tolist()
        return (self._slabs[slab][row, ...] for slab, row in zip((slots >> _ROWS).tolist(), rows, strict=True))

    def targets(self, slots: np.ndarray) -> tuple[Targets, np.ndarray]:
        """What is decoded into slots, and the number of each in that."""
        slabs, rows = slots >> _ROWS, slots & ((1 << _ROWS) - 1)
        if (slabs == slabs[0]).all():
            slab = self._slabs[int(slabs[0])]
            return Targets(slab, slab), rows
        return Targets(list(self.arrays(slots))), np.arange(len(slots))

    def _grow(self, n: int) -> None:
        rows = min(n, max(self._slab_bytes // max(self.slot_bytes, 1), 1), 1 << _ROWS)
        number = next(i for i in count() if i not in self._slabs)
        with self.device.after(None, "loading"):
            slab = self._slabs[number] = self.device.array((rows, *self.shape), self.dtype)
        self.nbytes += self.slot_bytes * rows
        if number == len(self._first):
            self._first = np.append(self._first, 0)
        self._first[number] = 0 if self.dtype.hasobject else self.device.address(slab)
        self._free = np.sort(np.concatenate([self._free, (number << _ROWS) + np.arange(rows)]))


def complete(device: Device) -> None:
    """Wait for everything on the current stream of a device."""
    end = device.timestamp()
    device.seconds(end, end)
