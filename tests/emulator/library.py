"""nvCOMP's functions, implemented by CPU codecs, with the same pointer tables, statuses and sizes."""

from __future__ import annotations

import zlib
from functools import partial
from typing import Any

import cramjam
import numpy as np

from gpuzarr.cpu.gdeflate_library import decode_page
from tests.emulator.compressor import ALIGNMENT, INVALID_VALUE, NAMES, SUCCESS, Compressor, memory

CANNOT_DECOMPRESS = 12
OF_WORDS = ("Deflate", "Gdeflate")  # which want streams at multiples of 4 bytes


class Library:
    """The library that `devices.nvcomp` calls. It needs as much scratch as the real one, and overwrites all of it."""

    compressor = Compressor()

    def __getattr__(self, name: str) -> Any:
        for form in NAMES:
            for way, answers in (("Decompress", self), ("Compress", self.compressor)):
                prefix = f"nvcompBatched{form}{way}"
                if name.startswith(prefix):
                    return partial(getattr(answers, f"_{name.removeprefix(prefix)}"), form)
        raise AttributeError(name)

    def _GetRequiredAlignments(self, form: str, options: Any, answer: Any) -> int:
        found = answer._obj
        found.source, found.target, found.scratch = {
            "Deflate": (4, 1, 1),
            "Gdeflate": (4, 1, 1),
            "Zstd": (1, 1, 8),
        }.get(form, (1, 1, 1))
        return SUCCESS

    def _GetTempSize(
        self, form: str, count: int, largest: int, options: Any, answer: Any, total: int, stream: int
    ) -> int:
        answer._obj.value = int(3.05 * min(total, count * largest)) + 6900 * count if form == "Zstd" else 0
        return SUCCESS

    def _Async(
        self, form: str, sources: int, sizes: int, capacities: int, actual: int, count: int,
        scratch: int, scratch_bytes: int, targets: int, options: Any, statuses: int, stream: int,
    ) -> int:  # fmt: skip
        if not (sources and sizes and capacities and actual and targets and statuses):
            return INVALID_VALUE
        if form == "Zstd" and scratch % 8:
            return ALIGNMENT
        memory(scratch, scratch_bytes).fill(0x77)
        table = [memory(place, count, np.uint64) for place in (sources, sizes, capacities, targets)]
        found, status = memory(actual, count, np.uint64), memory(statuses, count, np.int32)
        for i, (source, size, capacity, target) in enumerate(np.stack(table, axis=1).tolist()):
            if form in OF_WORDS and source % 4:
                return ALIGNMENT
            status[i], found[i] = self._one(form, memory(source, size), memory(target, capacity))
        return SUCCESS

    def _one(self, form: str, source: np.ndarray, target: np.ndarray) -> tuple[int, int]:
        target.fill(0x66)
        try:
            decoded = DECODERS[form](source.tobytes(), len(target))
        except Exception:  # each codec has its own kind; here a corrupt stream is a status
            return CANNOT_DECOMPRESS, 0
        if len(decoded) > len(target):
            return CANNOT_DECOMPRESS, 0
        target[: len(decoded)] = np.frombuffer(decoded, np.uint8)
        return SUCCESS, len(decoded)


def _inflate(source: bytes, capacity: int, window: int) -> bytes:
    stream = zlib.decompressobj(window)
    decoded = stream.decompress(source, capacity + 1)
    if not stream.eof and len(decoded) <= capacity:
        raise ValueError("the stream does not end")
    return decoded


def _zstd(source: bytes, capacity: int) -> bytes:
    target = bytearray(capacity)
    return bytes(target[: cramjam.zstd.decompress_into(source, target)])


def _lz4(source: bytes, capacity: int) -> bytes:
    target = bytearray(capacity)
    return bytes(target[: cramjam.lz4.decompress_block_into(source, target)])


def _snappy(source: bytes, capacity: int) -> bytes:
    target = bytearray(capacity)
    return bytes(target[: cramjam.snappy.decompress_raw_into(source, target)])


def _gdeflate(source: bytes, capacity: int) -> bytes:
    target = np.empty(capacity, np.uint8)
    decode_page(np.frombuffer(source, np.uint8), target)
    return target.tobytes()


DECODERS = {
    "Gdeflate": _gdeflate,
    "LZ4": _lz4,
    "Snappy": _snappy,
    "Zstd": _zstd,
    "Deflate": lambda source, capacity: _inflate(source, capacity, -15),
    "Gzip": lambda source, capacity: _inflate(source, capacity, 31),
}
