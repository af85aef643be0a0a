"""GDeflate on the CPU: libdeflate's functions, which `libnvcomp_cpu` in nvCOMP's package exports. One call a page.

libdeflate's decoder is not told where a page ends, and reads on beyond a damaged one. So each page is copied to memory
where set bits follow it. No block can begin in these, since block type 3 is invalid. So only a block that began in the
page reads them, and of it at most 15 bits for each decoded byte (120 KiB) and the code lengths can be missing.
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
from gpuzarr.formats.gdeflate import MAX_STORED_BYTES, PAGE_BYTES

_PADDING_BYTES = 256 << 10  # of set bits after a page: twice what may be read
_local = threading.local()


class _Page(ctypes.Structure):
    """libdeflate_gdeflate_in_page and libdeflate_gdeflate_out_page."""

    _fields_ = (("data", ctypes.c_void_p), ("nbytes", ctypes.c_size_t))


@cache
def _library() -> Any:
    """The library, its functions with their types. UnsupportedError if it is not installed."""
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
            f"codec 'zarrs.gdeflate' needs nvCOMP's package, even without a GPU ({error}): "
            "pip install nvidia-libnvcomp-cu13, or nvidia-libnvcomp-cu12 for CUDA 12"
        ) from error
    return library


class _Decoder:
    """libdeflate's decoder, and the memory that pages are decoded from; one a thread, freed when the thread ends."""

    def __init__(self, library: Any) -> None:
        self.library, self.context = library, library.libdeflate_alloc_gdeflate_decompressor()
        if not self.context:
            raise MemoryError("libdeflate could not allocate a decoder")
        self.memory = np.full(MAX_STORED_BYTES + _PADDING_BYTES, 0xFF, np.uint8)

    def __del__(self) -> None:
        self.library.libdeflate_free_gdeflate_decompressor(self.context)

    def decode(self, page: np.ndarray, target: np.ndarray) -> None:
        copied = self.memory[MAX_STORED_BYTES - len(page) : MAX_STORED_BYTES]
        copied[:] = page
        source, made = _Page(address(copied), len(page)), ctypes.c_size_t()
        arguments = ctypes.byref(source), 1, address(target), len(target), ctypes.byref(made)
        if self.library.libdeflate_gdeflate_decompress(self.context, *arguments) or made.value != len(target):
            raise CodecError(f"a page is damaged, or does not decode to {len(target)} bytes")


def decode_page(page: np.ndarray, target: np.ndarray) -> None:
    """Decode a page of MIN_STORED_BYTES to MAX_STORED_BYTES bytes to exactly `target`. CodecError if it is damaged."""
    decoder: _Decoder | None = getattr(_local, "decoder", None)
    if decoder is None:
        decoder = _local.decoder = _Decoder(_library())
    decoder.decode(page, target)


class Encoder:
    """libdeflate's encoder of pages, for one thread at a time. `level`: 0 (no compression) to 12."""

    def __init__(self, level: int) -> None:
        self.library = _library()
        self.context = self.library.libdeflate_alloc_gdeflate_compressor(level)
        if not self.context:
            raise MemoryError("libdeflate could not allocate an encoder")
        self.room = np.empty(MAX_STORED_BYTES, np.uint8)

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
