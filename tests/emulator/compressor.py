"""nvCOMP's compression functions, implemented by CPU codecs. They overwrite all memory that nvCOMP may write to."""

from __future__ import annotations

import zlib
from typing import Any

import cramjam
import numpy as np

from gpuzarr.cpu.gdeflate_library import Encoder

SUCCESS, INVALID_VALUE, ALIGNMENT, TOO_LARGE = 0, 10, 17, 18
NAMES = ("LZ4", "Snappy", "Deflate", "Gzip", "Gdeflate", "Zstd")
ALIGNMENTS = {
    "LZ4": (1, 1, 2),
    "Snappy": (1, 1, 1),
    "Zstd": (4, 1, 1),
    "Deflate": (1, 8, 8),
    "Gzip": (1, 8, 8),
    "Gdeflate": (1, 4, 8),
}
MAX_INPUT_BYTES = {"LZ4": 1 << 24, "Snappy": 1 << 24, "Zstd": 1 << 24}


def memory(address: int, count: int, dtype: Any = np.uint8) -> np.ndarray:
    """Array over `count` items of memory at an address."""
    kind = np.ctypeslib.as_ctypes_type(dtype)
    return np.ctypeslib.as_array((kind * count).from_address(address)) if count else np.empty(0, dtype)


def capacity(form: str, nbytes: int) -> int:
    """Bytes of a target: at least what each CPU codec needs, and about what the real library answers."""
    return {
        "LZ4": -(-(nbytes + nbytes // 255 + 1) // 8) * 8 + 16,
        "Snappy": nbytes + nbytes // 6 + 32,
        "Zstd": nbytes + nbytes // 4096 + 64,
        "Deflate": -(-nbytes * 2264 // 8000) * 8 + 256,
        "Gdeflate": 2 * nbytes + 288,
        "Gzip": 74176 * max(1, -(-nbytes // 32768)),
    }[form]


class Compressor:
    """Functions `nvcompBatched*Compress*`, by the end of their names."""

    def _GetRequiredAlignments(self, form: str, options: Any, answer: Any) -> int:
        found = answer._obj
        found.source, found.target, found.scratch = ALIGNMENTS[form]
        return SUCCESS

    def _GetMaxOutputChunkSize(self, form: str, largest: int, options: Any, answer: Any) -> int:
        answer._obj.value = capacity(form, largest)
        return SUCCESS if largest <= MAX_INPUT_BYTES.get(form, 1 << 31) else TOO_LARGE

    def _GetTempSize(
        self, form: str, count: int, largest: int, options: Any, answer: Any, total: int, stream: int
    ) -> int:
        times = {"LZ4": 0, "Snappy": 0, "Zstd": 3, "Deflate": 9, "Gzip": 6, "Gdeflate": 9}[form]
        answer._obj.value = times * count * largest + (32 << 10) * count
        return SUCCESS

    def _Async(
        self, form: str, sources: int, sizes: int, largest: int, count: int, scratch: int, scratch_bytes: int,
        targets: int, actual: int, options: Any, statuses: int, stream: int,
    ) -> int:  # fmt: skip
        if not (sources and sizes and targets and actual and statuses):
            return INVALID_VALUE
        source_alignment, target_alignment, scratch_alignment = ALIGNMENTS[form]
        if scratch % scratch_alignment or largest > MAX_INPUT_BYTES.get(form, 1 << 31):
            return ALIGNMENT
        memory(scratch, scratch_bytes).fill(0x77)
        table = np.stack([memory(place, count, np.uint64) for place in (sources, sizes, targets)], axis=1)
        found, status = memory(actual, count, np.uint64), memory(statuses, count, np.int32)
        for i, (source, size, target) in enumerate(table.tolist()):
            if source % source_alignment or target % target_alignment or size > largest:
                return ALIGNMENT
            status[i], found[i] = self.one(form, memory(source, size), memory(target, capacity(form, largest)), options)
        return SUCCESS

    def one(self, form: str, source: np.ndarray, target: np.ndarray, options: Any) -> tuple[int, int]:
        """Encode one stream: its status and bytes."""
        assert form in ("Deflate", "Gzip", "Gdeflate") or options.first == 0, "no option of this format is used"
        stream = ENCODERS[form](source.tobytes(), options.first)
        target.fill(0x66)
        target[: len(stream)] = np.frombuffer(stream, np.uint8)
        return SUCCESS, len(stream)


def _zstd(data: bytes, effort: int) -> bytes:
    from numcodecs.zstd import compress  # its frames have the decoded size in their headers

    return bytes(compress(data, 1))


def _deflate(data: bytes, effort: int, window: int) -> bytes:
    stream = zlib.compressobj(max(effort, 1), zlib.DEFLATED, window)
    return stream.compress(data) + stream.flush()


ENCODERS = {
    "LZ4": lambda data, effort: bytes(cramjam.lz4.compress_block(data, store_size=False)),
    "Snappy": lambda data, effort: bytes(cramjam.snappy.compress_raw(data)),
    "Zstd": _zstd,
    "Gdeflate": lambda data, effort: Encoder(max(effort, 1)).encode(np.frombuffer(data, np.uint8)),
    "Deflate": lambda data, effort: _deflate(data, effort, -15),
    "Gzip": lambda data, effort: _deflate(data, effort, 31),
}
