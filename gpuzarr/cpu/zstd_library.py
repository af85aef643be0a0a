"""libzstd, by the functions that numcodecs' extension module exports; each thread keeps its contexts.

numcodecs makes and frees a context for every chunk, which takes 12 to 17 microseconds (measured; a chunk of 16 KiB
takes 41 with it, and 29 without). Where the module does not export libzstd's functions, there is no `decoder`, and
numcodecs' function is used.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from gpuzarr.cpu.chunkwise import Decode, EncodeTo
from gpuzarr.errors import CodecError

DecodeSome = Callable[[int, int, int, int], int]
_LEVEL, _CHECKSUM = 100, 201  # of ZSTD_cParameter
_STABLE_OUT, _SESSION = 1001, 1  # ZSTD_d_stableOutBuffer, ZSTD_reset_session_only
_local = threading.local()


def decoder() -> Decode | None:
    """The calling thread's decoder: decode(target, nbytes, source, size), addresses and sizes in host memory.

    It decodes all frames of the source to exactly `nbytes` bytes, or raises CodecError.
    """
    found: Decode | None = getattr(_local, "decode", None)
    if found is None and (library := _library()) is not None:
        found = _local.decode = _Decoder(library).decode
    return found


class _Decoder:
    """A decoding context of libzstd, freed with its thread."""

    def __init__(self, library: Any) -> None:
        self.library, self.context = library, library.ZSTD_createDCtx()
        if not self.context:
            raise MemoryError("libzstd has no memory for a decoder")

    def __del__(self) -> None:
        self.library.ZSTD_freeDCtx(self.context)

    def decode(self, target: int, nbytes: int, source: int, size: int) -> None:
        if size == 0:
            raise CodecError("the chunk is empty")
        found = self.library.ZSTD_decompressDCtx(self.context, target, nbytes, source, size)
        if found == nbytes:
            return
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


def encoder(level: int, checksum: bool) -> EncodeTo | None:
    """The calling thread's encoder: encode(target, capacity, source, size) -> bytes of a frame with content size."""
    library = _library()
    if library is None:
        return None
    if not hasattr(_local, "encoder"):
        _local.encoder = _Encoder(library)
    return partial(_local.encoder.encode, (level, int(checksum)))


def bound(sizes: Any) -> Any:
    """The most that inputs of these sizes can become: more than ZSTD_COMPRESSBOUND."""
    return sizes + (sizes >> 7) + 512


class _Encoder:
    """A compression context of libzstd, freed with its thread. `parameters`: those that were set last."""

    def __init__(self, library: Any) -> None:
        self.library, self.context = library, library.ZSTD_createCCtx()
        self.parameters: tuple[int, int] | None = None
        if not self.context:
            raise MemoryError("libzstd has no memory for an encoder")

    def __del__(self) -> None:
        self.library.ZSTD_freeCCtx(self.context)

    def _set(self, parameters: tuple[int, int]) -> None:
        self.parameters = None
        for name, value in zip((_LEVEL, _CHECKSUM), parameters, strict=True):
            self._checked(self.library.ZSTD_CCtx_setParameter(self.context, name, value))
        self.parameters = parameters

    def encode(self, parameters: tuple[int, int], target: int, capacity: int, source: int, size: int) -> int:
        """Set level and checksum, if they changed since the last call on this thread, and encode."""
        if parameters != self.parameters:
            self._set(parameters)
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
