"""libzstd, by the functions that numcodecs' extension module exports; each thread keeps its contexts.

numcodecs makes and frees a context for every chunk, which takes 12 to 17 microseconds (measured; a chunk of 16 KiB
takes 41 with it, and 29 without). Where the module does not export libzstd's functions, there is no `decoder`, and
numcodecs' function is used.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from gpuzarr.cpu.functions import ZSTD, Call, Function, address_of
from gpuzarr.errors import CodecError

DecodeSome = Callable[[int, int, int, int], int]
_LEVEL, _CHECKSUM = 100, 201  # of ZSTD_cParameter
_STABLE_OUT, _SESSION = 1001, 1  # ZSTD_d_stableOutBuffer, ZSTD_reset_session_only
MAX_KEPT_ENCODERS = 4  # of a thread
_local = threading.local()


def decoder() -> Function | None:
    """The calling thread's decoder of all frames of a chunk to exactly as many bytes as there is room for."""
    found: Function | None = getattr(_local, "decoder", None)
    if found is None and (library := _library()) is not None:
        decoder = _Decoder(library)
        call = Call(kind=ZSTD, function=address_of(library.ZSTD_decompressDCtx), context=decoder.context, exact=1)
        found = _local.decoder = Function(decoder.decode, call)
    return found


class _Decoder:
    """A decoding context of libzstd, freed with its thread."""

    def __init__(self, library: Any) -> None:
        self.library, self.context = library, library.ZSTD_createDCtx()
        if not self.context:
            raise MemoryError("libzstd has no memory for a decoder")

    def __del__(self) -> None:
        self.library.ZSTD_freeDCtx(self.context)

    def decode(self, target: int, nbytes: int, source: int, size: int) -> int:
        if size == 0:
            raise CodecError("the chunk is empty")
        found: int = self.library.ZSTD_decompressDCtx(self.context, target, nbytes, source, size)
        if found == nbytes:
            return nbytes
        if self.library.ZSTD_isError(found):
            raise CodecError(self.library.ZSTD_getErrorName(found).decode())
        raise CodecError(f"decoded to {found} bytes, expected {nbytes}")


def partial_decoder() -> DecodeSome | None:
    """The calling thread's decoder of the beginning of a frame: decode(target, nbytes, source, size) -> decoded bytes.

    `size` bytes of the frame hold some of its blocks; `target` has room for all its `nbytes` decoded bytes. CodecError
    for damaged blocks.
    """
    found: DecodeSome | None = getattr(_local, "decode_some", None)
    if found is None and (library := _library()) is not None:
        found = _local.decode_some = _Stream(library).decode
    return found


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t))


class _Stream:
    """A decoding context of libzstd that writes directly to its target, freed with its thread."""

    def __init__(self, library: Any) -> None:
        self.library, self.context = library, library.ZSTD_createDCtx()
        if not self.context or library.ZSTD_isError(library.ZSTD_DCtx_setParameter(self.context, _STABLE_OUT, 1)):
            raise CodecError("libzstd has no decoder that writes directly to its target")

    def __del__(self) -> None:
        self.library.ZSTD_freeDCtx(self.context)

    def decode(self, target: int, nbytes: int, source: int, size: int) -> int:
        made, given = _Buffer(target, nbytes, 0), _Buffer(source, size, 0)
        self.library.ZSTD_DCtx_reset(self.context, _SESSION)
        found = self.library.ZSTD_decompressStream(self.context, ctypes.byref(made), ctypes.byref(given))
        if self.library.ZSTD_isError(found):
            raise CodecError(self.library.ZSTD_getErrorName(found).decode())
        return int(made.at)


def encoder(level: int, checksum: bool) -> Function | None:
    """An encoder of the calling thread, of frames with content size, to at most `bound` bytes."""
    library = _library()
    if library is None:
        return None
    kept: dict[tuple[int, bool], _Encoder] = _local.__dict__.setdefault("encoders", {})
    if (made := kept.get((level, checksum))) is None:
        if len(kept) >= MAX_KEPT_ENCODERS:
            kept.clear()
        made = kept[level, checksum] = _Encoder(library, level, checksum)
    call = Call(kind=ZSTD, function=address_of(library.ZSTD_compress2), context=made.context)
    return Function(made.encode, call)


def bound(sizes: Any) -> Any:
    """The most that inputs of these sizes can become: more than ZSTD_COMPRESSBOUND."""
    return sizes + (sizes >> 7) + 512


class _Encoder:
    """A compression context of libzstd, freed with its thread."""

    def __init__(self, library: Any, level: int, checksum: bool) -> None:
        self.library, self.context = library, library.ZSTD_createCCtx()
        if not self.context:
            raise MemoryError("libzstd has no memory for an encoder")
        for name, value in ((_LEVEL, level), (_CHECKSUM, int(checksum))):
            self._checked(library.ZSTD_CCtx_setParameter(self.context, name, value))

    def __del__(self) -> None:
        self.library.ZSTD_freeCCtx(self.context)

    def encode(self, target: int, capacity: int, source: int, size: int) -> int:
        return self._checked(self.library.ZSTD_compress2(self.context, target, capacity, source, size))

    def _checked(self, found: int) -> int:
        if self.library.ZSTD_isError(found):
            raise CodecError(self.library.ZSTD_getErrorName(found).decode())
        return found


@cache
def _library() -> Any:
    """libzstd with the argument types of its functions; None where numcodecs does not export it."""
    import numcodecs.zstd

    address, size = ctypes.c_void_p, ctypes.c_size_t
    try:
        library = ctypes.CDLL(numcodecs.zstd.__file__)
        library.ZSTD_createDCtx.restype, library.ZSTD_createDCtx.argtypes = address, []
        library.ZSTD_freeDCtx.restype, library.ZSTD_freeDCtx.argtypes = size, [address]
        library.ZSTD_decompressDCtx.restype = size
        library.ZSTD_decompressDCtx.argtypes = [address, address, size, address, size]
        library.ZSTD_DCtx_setParameter.restype = library.ZSTD_DCtx_reset.restype = size
        library.ZSTD_DCtx_setParameter.argtypes = [address, ctypes.c_int, ctypes.c_int]
        library.ZSTD_DCtx_reset.argtypes = [address, ctypes.c_int]
        library.ZSTD_decompressStream.restype = size
        library.ZSTD_decompressStream.argtypes = [address, address, address]
        library.ZSTD_createCCtx.restype, library.ZSTD_createCCtx.argtypes = address, []
        library.ZSTD_freeCCtx.restype, library.ZSTD_freeCCtx.argtypes = size, [address]
        library.ZSTD_CCtx_setParameter.restype = size
        library.ZSTD_CCtx_setParameter.argtypes = [address, ctypes.c_int, ctypes.c_int]
        library.ZSTD_compress2.restype = size
        library.ZSTD_compress2.argtypes = [address, address, size, address, size]
        library.ZSTD_isError.restype, library.ZSTD_isError.argtypes = ctypes.c_uint, [size]
        library.ZSTD_getErrorName.restype, library.ZSTD_getErrorName.argtypes = ctypes.c_char_p, [size]
    except (OSError, AttributeError):
        return None
    return library
