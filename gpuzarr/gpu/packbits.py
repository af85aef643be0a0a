"""Pack a few bits of each element, and unpack them, on the GPU: kernels/packbits.cu and packbits_write.cu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.gpu.tables import THREADS, table, threads_for

KERNELS = (("packbits.cu", "unpackbits", None),)
_MAX_ROWS = 65535  # of a grid in y
_GROUPS = 4  # of 8 bytes, or 8 parts, that a thread takes, at least


@dataclass(frozen=True)
class Bits:
    """Which bits of an element are stored, and how.

    `parts` of a chunk, `bytes` each, of which `width` bits from bit `first` on are stored. `is_signed`: the bits above
    these are as the highest of them. `highest_first`: a byte begins with the highest bit, and a part is stored as one
    bit, whether it is not 0.
    """

    parts: int
    bytes: int
    width: int
    first: int
    is_signed: bool = False
    highest_first: bool = False

    @property
    def packed(self) -> int:
        """Bytes that hold the bits of a chunk."""
        return -(-self.parts * self.width // 8)

    @property
    def padding(self) -> int:
        """Bits behind the last one."""
        return -self.parts * self.width % 8

    def unpack(self, sources: np.ndarray, device: Device) -> Any:
        """The parts of all chunks, whose bits are at addresses `sources` (uint64): their bytes, uint8 (m,)."""
        row = self.parts * self.bytes
        made = device.empty(len(sources) * row)
        if len(made):
            targets = np.uint64(device.address(made)) + np.arange(len(sources), dtype=np.uint64) * np.uint64(row)
            more = np.uint32(self.is_signed), np.uint32(self.highest_first)
            self._launch(device, "packbits.cu", "unpackbits", sources, targets, -(-row // 8), more)
        return made

    def pack(self, batch: Any, targets: np.ndarray, device: Device) -> None:
        """Write the bits of a batch (n, ...) of such parts to addresses `targets` (uint64)."""
        given = device.xp.ascontiguousarray(batch).reshape(-1)
        if given.nbytes:
            numbers = np.arange(len(targets), dtype=np.uint64)
            sources = np.uint64(device.address(given)) + numbers * np.uint64(self.parts * self.bytes)
            more = (np.uint32(self.highest_first),)
            self._launch(device, "packbits_write.cu", "packbits", sources, targets, -(-self.parts // 8), more)

    def _launch(
        self, device: Device, file: str, name: str, sources: np.ndarray, targets: np.ndarray, groups: int, more: Any
    ) -> None:
        shape = len(sources), min(-(-groups // (_GROUPS * THREADS)), _MAX_ROWS)
        sizes = np.uint64(self.packed), np.uint64(self.parts)
        bits = np.uint32(self.bytes), np.uint32(self.width), np.uint32(self.first)
        arguments = (table(device, sources, targets), *sizes, *bits, *more, np.uint32(len(sources)))
        device.kernel(file, name)(shape, (THREADS,), arguments)

    def check_padding(self, places: np.ndarray, device: Device, problem: str) -> None:
        """Register an error for the first chunk whose byte at its address in `places` is not `padding`."""
        if len(places):
            count = len(places)
            arguments = (table(device, places), np.uint32(self.padding), np.uint32(count))
            flag = device.check(np.arange(count), problem)
            device.kernel("packbits.cu", "bad_padding")(threads_for(count), (THREADS,), (*arguments, flag))

    def write_padding(self, places: np.ndarray, device: Device) -> None:
        """Write `padding` to the addresses `places`."""
        if len(places):
            arguments = (table(device, places), np.uint32(self.padding), np.uint32(len(places)))
            device.kernel("packbits_write.cu", "padding")(threads_for(len(places)), (THREADS,), arguments)
