"""c-blosc itself, as it lies in numcodecs' own extension module, called on one thread.

numcodecs gives a chunk that the main thread decodes to a pool of its own, beside ours: on 2 cores that
took 119 ms where this takes 95, and 50 MiB more memory (226 MB of blosc-lz4, chunks of 1 MiB). Where the
module does not show c-blosc's functions, there is no `decoder`, and numcodecs' own function is used.
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
    """decode(target, nbytes, source, size), addresses and bytes of host memory.

    The header must have been checked: that the chunk is `size` bytes and decodes to `nbytes`.
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
            raise CodecError(f"the chunk is damaged (c-blosc gives {found}, where {nbytes} bytes are due)")

    return decode


@cache
def compressor() -> Compress | None:
    """compress(target, room, source, nbytes, typesize, cname, clevel, shuffle, blocksize): the bytes of the frame.

    `room` is nbytes + 16, in which every frame fits.
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
        room: int,
        source: int,
        nbytes: int,
        typesize: int,
        cname: str,
        clevel: int,
        shuffle: int,
        block: int,
    ) -> int:
        made: int = run(clevel, shuffle, typesize, nbytes, source, target, room, cname.encode(), block, 1)
        if made <= 0:
            raise CodecError(f"c-blosc cannot compress {nbytes} bytes by {cname!r} (it gives {made})")
        return made

    return compress
