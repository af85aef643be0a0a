"""c-blosc, by the functions that numcodecs' extension module exports, called on one thread.

On the main thread numcodecs would decode by a thread pool of its own, beside ours: on 2 cores this took 119 ms instead
of 95, and 50 MiB more memory (226 MB of blosc-lz4, chunks of 1 MiB). Where the module does not export c-blosc's
functions, there is no `decoder`, and numcodecs' function is used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from gpuzarr.cpu.chunkwise import Decode
from gpuzarr.errors import CodecError

Compress = Callable[[int, int, int, int, int, str, int, int, int], int]


@cache
def decoder() -> Decode | None:
    """decode(target, nbytes, source, size): addresses and sizes in host memory.

    The caller must have checked in the header that the chunk has `size` bytes and decodes to `nbytes`.
    """
    import numcodecs.blosc

    address, size = ctypes.c_void_p, ctypes.c_size_t
    try:
        decompress = ctypes.CDLL(numcodecs.blosc.__file__).blosc_decompress_ctx
    except (OSError, AttributeError):
        return None
    decompress.restype, decompress.argtypes = ctypes.c_int, [address, address, size, ctypes.c_int]

    def decode(target: int, nbytes: int, source: int, _: int) -> None:
        if (found := decompress(source, target, nbytes, 1)) != nbytes:
            raise CodecError(f"the chunk is damaged (c-blosc returns {found}, expected {nbytes} bytes)")

    return decode


@cache
def compressor() -> Compress | None:
    """compress(target, capacity, source, nbytes, typesize, cname, clevel, shuffle, blocksize): bytes of the frame.

    `capacity`: of the target, nbytes + 16, which any frame fits.
    """
    import numcodecs.blosc

    address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    try:
        run = ctypes.CDLL(numcodecs.blosc.__file__).blosc_compress_ctx
    except (OSError, AttributeError):
        return None
    run.restype = number
    run.argtypes = [number, number, size, size, address, address, size, ctypes.c_char_p, size, number]

    def compress(
        target: int,
        capacity: int,
        source: int,
        nbytes: int,
        typesize: int,
        cname: str,
        clevel: int,
        shuffle: int,
        block: int,
    ) -> int:
        made: int = run(clevel, shuffle, typesize, nbytes, source, target, capacity, cname.encode(), block, 1)
        if made <= 0:
            raise CodecError(f"c-blosc cannot compress {nbytes} bytes by {cname!r} (it returns {made})")
        return made

    return compress
