"""Compute checksums of many chunks on the host, and compare those that are stored before or behind chunks."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable
from functools import cache
from importlib import import_module

import numpy as np

from gpuzarr import native
from gpuzarr.batch import EncodedBatch, address
from gpuzarr.cpu.functions import address_of
from gpuzarr.errors import CodecError

SIZE = 4  # bytes of a checksum
_MODULUS = 65535
_WORDS = 1 << 16  # that are multiplied by their places at once: no sum overflows


def crc32(chunks: EncodedBatch) -> np.ndarray:
    """The CRC-32 of each chunk, uint32 (n,)."""
    return _each(chunks, zlib.crc32)


def adler32(chunks: EncodedBatch) -> np.ndarray:
    """The Adler-32 of each chunk, uint32 (n,)."""
    return _each(chunks, zlib.adler32)


def crc32c(chunks: EncodedBatch, library: Callable[[np.ndarray], int]) -> np.ndarray:
    """The CRC-32C of each chunk, uint32 (n,); by google-crc32c's function of C, or by `library`, its one of Python."""
    place = 0 if native.library() is None else _crc32c_function()
    return _by_function(chunks, place) if place else _each(chunks, library)


def fletcher32(chunks: EncodedBatch) -> np.ndarray:
    """The Fletcher-32 of each chunk as HDF5 and numcodecs have it, uint32 (n,): see kernels/fletcher32.cu."""
    library = native.library()
    return (
        _each(chunks, _fletcher32) if library is None else _by_function(chunks, address_of(library.gpuzarr_fletcher32))
    )


def jenkins_lookup3(chunks: EncodedBatch, initval: int, prefix: bytes) -> np.ndarray:
    """Jenkins' lookup3 hash of each chunk behind `prefix`, uint32 (n,)."""
    if (library := native.library()) is None:
        from numcodecs.jenkins import jenkins_lookup3 as hashed

        before = np.frombuffer(prefix, np.uint8)
        return _each(chunks, lambda chunk: hashed(np.concatenate([before, chunk]), initval))
    found, places, sizes = np.empty(len(chunks), np.uint32), chunks.places, np.ascontiguousarray(chunks.sizes)
    columns = address(places), address(sizes), prefix, len(prefix), initval, address(found)
    library.gpuzarr_jenkins_lookup3(len(found), *columns)
    return found


def compare(name: str, chunks: EncodedBatch, payload: EncodedBatch, at_end: bool, found: np.ndarray) -> None:
    """Compare checksums of payloads with the stored ones, little-endian, before or behind them in their chunks.

    CodecError for the first that differs.
    """
    at = payload.starts + payload.sizes if at_end else chunks.starts
    expected = chunks.data[at[:, None] + np.arange(SIZE)].view("<u4")[:, 0]
    if np.count_nonzero(bad := found != expected):
        i = int(np.argmax(bad))
        raise CodecError(f"{name}: the checksum is {found[i]:#010x}, and {expected[i]:#010x} is stored", i)


def _each(chunks: EncodedBatch, checksum: Callable[[np.ndarray], int]) -> np.ndarray:
    return np.array([checksum(chunks[i]) for i in range(len(chunks))], np.uint32)


def _by_function(chunks: EncodedBatch, function: int) -> np.ndarray:
    """By the function of C at this address, uint32_t f(const void *, size_t)."""
    library = native.library()
    found, places, sizes = np.empty(len(chunks), np.uint32), chunks.places, np.ascontiguousarray(chunks.sizes)
    library.gpuzarr_checksums(function, len(found), address(places), address(sizes), address(found))
    return found


@cache
def _crc32c_function() -> int:
    """The address of google-crc32c's function of C, 0 where it is not to be had."""
    try:
        module = import_module("google_crc32c._crc32c")
        return address_of(ctypes.CDLL(module.__file__).crc32c_value)
    except (ImportError, OSError, AttributeError):
        return 0


def _fletcher32(chunk: np.ndarray) -> int:
    words = np.append(chunk, np.zeros(chunk.size % 2, np.uint8)).view(">u2").astype(np.uint64)
    first = second = 0
    for begin in range(0, len(words), _WORDS):
        some = words[begin : begin + _WORDS]
        second += first * len(some) + int((some * np.arange(len(some), 0, -1, dtype=np.uint64)).sum())
        first += int(some.sum())
    first, second = ((of - 1) % _MODULUS + 1 if of else 0 for of in (first, second))
    return second << 16 | first
