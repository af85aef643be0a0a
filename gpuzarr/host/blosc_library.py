"""c-blosc itself, as it lies in numcodecs' own extension module, called on one thread.

numcodecs gives a chunk that the main thread decodes to a pool of its own, beside ours: on 2 cores that
took 119 ms where this takes 95, and 50 MiB more memory (226 MB of blosc-lz4, chunks of 1 MiB). Where the
module does not show c-blosc's functions, there is no `decoder`, and numcodecs' own function is used.
"""

from __future__ import annotations

import ctypes
from functools import cache

from gpuzarr.errors import CodecError
from gpuzarr.host.chunkwise import Decode


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
