"""libdeflate's GDeflate, as `libnvcomp_cpu` in nvCOMP's package exports it. One page is one call.

The decoder does not see where a page ends: a damaged one makes it read on. So a page is copied to where set bits
follow it. These begin no block, since there is none of type 3: what is read of them belongs to a block that began in
the page, and takes at most 15 bits for a decoded byte, 120 KiB, and its code lengths.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

import numpy as np

from gpuzarr.batch import address
from gpuzarr.devices.nvcomp.files import installed
from gpuzarr.errors import CodecError, UnsupportedError
from gpuzarr.formats.gdeflate import MAX_STORED, PAGE_BYTES

_SET_BYTES = 256 << 10  # behind a page: twice what may be read
_local = threading.local()


class _Page(ctypes.Structure):
    """libdeflate_gdeflate_in_page, and ..._out_page."""

    _fields_ = (("data", ctypes.c_void_p), ("nbytes", ctypes.c_size_t))


@cache
def _library() -> Any:
    """The library, with the argument types of its functions. UnsupportedError where it is not installed."""
    try:
        library = ctypes.CDLL(next(iter(installed("libnvcomp_cpu.so.*")), "libnvcomp_cpu.so.6"))
        place, size = ctypes.c_void_p, ctypes.c_size_t
        for name, result, arguments in (
            ("alloc_gdeflate_compressor", place, (ctypes.c_int,)),
            ("free_gdeflate_compressor", None, (place,)),
            ("alloc_gdeflate_decompressor", place, ()),
            ("free_gdeflate_decompressor", None, (place,)),
            ("gdeflate_compress", size, (place, place, size, place, size)),
            ("gdeflate_decompress", ctypes.c_int, (place, place, size, place, size, place)),
        ):
            function = getattr(library, f"libdeflate_{name}")
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise UnsupportedError(
            f"codec 'zarrs.gdeflate' needs nvCOMP's package, also without a GPU ({error}): "
            "pip install nvidia-libnvcomp-cu13, or nvidia-libnvcomp-cu12 where CUDA 12 is used"
        ) from error
    return library


class _Decoder:
    """A decoder, and the memory that pages are decoded from; freed with its thread."""

    def __init__(self, library: Any) -> None:
        self.library, self.context = library, library.libdeflate_alloc_gdeflate_decompressor()
        if not self.context:
            raise MemoryError("libdeflate has no memory for a decoder")
        self.memory = np.full(MAX_STORED + _SET_BYTES, 0xFF, np.uint8)

    def __del__(self) -> None:
        self.library.libdeflate_free_gdeflate_decompressor(self.context)

    def decode(self, page: np.ndarray, target: np.ndarray) -> None:
        copied = self.memory[MAX_STORED - len(page) : MAX_STORED]
        copied[:] = page
        source, made = _Page(address(copied), len(page)), ctypes.c_size_t()
        arguments = ctypes.byref(source), 1, address(target), len(target), ctypes.byref(made)
        if self.library.libdeflate_gdeflate_decompress(self.context, *arguments) or made.value != len(target):
            raise CodecError(f"a page is damaged, or does not become {len(target)} bytes")


def decode_page(page: np.ndarray, target: np.ndarray) -> None:
    """Decode one page, of LEAST_STORED to MAX_STORED bytes, to exactly the target. CodecError where it is damaged."""
    decoder: _Decoder | None = getattr(_local, "decoder", None)
    if decoder is None:
        decoder = _local.decoder = _Decoder(_library())
    decoder.decode(page, target)


class Encoder:
    """An encoder of pages at a level of 0 (which only stores) to 12, for one thread at a time."""

    def __init__(self, level: int) -> None:
        self.library = _library()
        self.context = self.library.libdeflate_alloc_gdeflate_compressor(level)
        if not self.context:
            raise MemoryError("libdeflate has no memory for an encoder")
        self.room = np.empty(MAX_STORED, np.uint8)

    def __del__(self) -> None:
        if hasattr(self, "context"):
            self.library.libdeflate_free_gdeflate_compressor(self.context)

    def encode(self, page: np.ndarray) -> bytes:
        """Encode one page of 1 to PAGE_BYTES bytes."""
        if not 0 < len(page) <= PAGE_BYTES:
            raise CodecError(f"a page has 1 to {PAGE_BYTES} bytes, not {len(page)}")
        target = _Page(address(self.room), len(self.room))
        source = address(page), len(page)
        made = self.library.libdeflate_gdeflate_compress(self.context, *source, ctypes.byref(target), 1)
        if not made:
            raise CodecError(f"libdeflate cannot compress a page of {len(page)} bytes")
        return self.room[:made].tobytes()
