"""Compute checksums of many ranges on the GPU, and compare them with stored ones.

CRC-32 (of gzip), CRC-32C, Adler-32, Fletcher-32 and Jenkins' lookup3. Functions `..._of` take a table of the ranges
that is on the device: addresses, then sizes, uint64; `longest` is the most bytes that one has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.tables import THREADS, addresses, grid, table, threads_for

CRC32 = 0xEDB88320  # polynomials, reflected
CRC32C = 0x82F63B78
LITTLE, BIG = 0x3210, 0x0123  # byte order of a stored checksum, as PRMT selects it
_LANES = 256
_WARP = 32  # threads
_SEGMENT = 64 << 10  # bytes a block of threads


def crc32(device: Device, places: np.ndarray, sizes: np.ndarray, polynomial: int) -> Any:
    """The CRC of each range of bytes, a uint32 array of the device."""
    return crc32_of(device, table(device, places, sizes), int(sizes.max(initial=0)), polynomial)


def crc32_of(device: Device, ranges: Any, longest: int, polynomial: int) -> Any:
    """`crc32` of ranges in a table on the device."""
    count, segment = len(ranges) // 2, _segment(longest)
    crc = device.filled(4 * count, 0).view(np.uint32)
    arguments = (ranges, device.upload(_powers(polynomial)), np.uint64(segment), crc, np.uint32(count))
    device.kernel("crc32.cu", "crc32")(grid(np.full(count, longest), segment), (_LANES,), arguments)
    return crc


def adler32(device: Device, places: np.ndarray, sizes: np.ndarray) -> Any:
    """The Adler-32 of each range of bytes, a uint32 array of the device."""
    return adler32_of(device, table(device, places, sizes), int(sizes.max(initial=0)))


def adler32_of(device: Device, ranges: Any, longest: int) -> Any:
    """`adler32` of ranges in a table on the device."""
    count, sums = len(ranges) // 2, _sums(device, "adler32.cu", "adler32_sums", ranges, longest)
    adler = device.empty(4 * count).view(np.uint32)
    arguments = (ranges, sums, adler, np.uint32(count))
    device.kernel("adler32.cu", "adler32_join")(threads_for(count), (THREADS,), arguments)
    return adler


def fletcher32_of(device: Device, ranges: Any, longest: int) -> Any:
    """The Fletcher-32 of each range of bytes, as HDF5 has it; a uint32 array of the device."""
    count, sums = len(ranges) // 2, _sums(device, "fletcher32.cu", "fletcher32_sums", ranges, longest)
    fletcher = device.empty(4 * count).view(np.uint32)
    device.kernel("fletcher32.cu", "fletcher32_join")(
        threads_for(count), (THREADS,), (sums, fletcher, np.uint32(count))
    )
    return fletcher


def jenkins_lookup3_of(device: Device, ranges: Any, initval: int, prefix: bytes) -> Any:
    """Jenkins' lookup3 of each range of bytes behind `prefix`, a uint32 array of the device."""
    count = len(ranges) // 2
    made = device.empty(4 * count).view(np.uint32)
    before = device.upload(np.frombuffer(prefix or b"\0", np.uint8))
    arguments = (ranges, before, np.uint64(len(prefix)), np.uint32(initval), made, np.uint32(count))
    device.kernel("jenkins_lookup3.cu", "jenkins_lookup3")((count,), (_WARP,), arguments)
    return made


def _sums(device: Device, file: str, name: str, ranges: Any, longest: int) -> Any:
    """Two sums of each range, of which a checksum is made; uint64."""
    count = len(ranges) // 2
    sums = device.filled(16 * count, 0).view(np.uint64)
    arguments = (ranges, np.uint64(_SEGMENT), sums, np.uint32(count))
    device.kernel(file, name)(grid(np.full(count, longest), _SEGMENT), (THREADS,), arguments)
    return sums


def compare(device: Device, values: Any, stored: np.ndarray, order: int, chunk: np.ndarray, problem: str) -> None:
    """Register an error for the first of `values` that differs from the four bytes at its address in `stored`."""
    count = len(stored)
    arguments = (values, table(device, stored), np.uint32(order), np.uint32(count), device.check(chunk, problem))
    device.kernel("check.cu", "bad_checksum")(threads_for(count), (THREADS,), arguments)


def verify(
    chunks: EncodedBatch, payload: EncodedBatch, at_end: bool, device: Device,
    checksum: Callable[[Device, Any, int], Any], problem: str,
) -> None:  # fmt: skip
    """Compare the checksum of each payload with the 4 bytes (little-endian) before or behind it in its chunk."""
    if not len(chunks):
        return
    stored = addresses(chunks, device)
    if at_end:
        stored = stored + payload.sizes.astype(np.uint64)
    ranges = table(device, addresses(payload, device), payload.sizes)
    values = checksum(device, ranges, int(payload.sizes.max(initial=0)))
    compare(device, values, stored, LITTLE, np.arange(len(chunks)), problem)


def _segment(longest: int) -> int:
    """Bytes for each block of threads: 64 KiB, or more where a range would need more blocks than a grid has rows."""
    need = -(-longest // 65535)
    return max(_SEGMENT, -(-need // 1024) * 1024)


def _multiply(a: int, b: int, polynomial: int) -> int:
    """Product of two polynomials modulo `polynomial`, reflected: bit 31 is x^0."""
    product = 0
    for i in range(32):
        if a & (0x80000000 >> i):
            product ^= b
        b = (b >> 1) ^ (polynomial if b & 1 else 0)
    return product


@cache
def _powers(polynomial: int) -> np.ndarray:
    """The table of powers that kernels/crc32.cu describes, uint32."""
    squares = [0x00800000]  # x^8
    for _ in range(63):
        squares.append(_multiply(squares[-1], squares[-1], polynomial))
    step = squares[10]  # x^8192
    steps = [_multiply(value << (8 * v), step, polynomial) for v in range(4) for value in range(256)]
    lanes = [squares[2]]  # x^32
    for _ in range(_LANES - 1):
        lanes.append(_multiply(lanes[-1], squares[2], polynomial))
    return np.array([*steps, *lanes[::-1], polynomial, *squares], np.uint32)
