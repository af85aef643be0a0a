"""c-blosc, by the functions that numcodecs' extension module exports, called on one thread.

On the main thread numcodecs would decode by a thread pool of its own, beside ours: on 2 cores this took 119 ms instead
of 95, and 50 MiB more memory (226 MB of blosc-lz4, chunks of 1 MiB). Where the module does not export c-blosc's
functions, there is no `decoder`, and numcodecs' function is used.
"""

from __future__ import annotations

import ctypes
from functools import cache, partial
from typing import Any

from gpuzarr.cpu.functions import BLOSC_DECODE, BLOSC_ENCODE, Call, Function, address_of
from gpuzarr.errors import CodecError


@cache
def decoder() -> Function | None:
    """The decoder. The caller must have checked in the header that the chunk has as many bytes, and decodes to as many.

    None where the module does not export c-blosc's functions.
    """
    if (library := _library()) is None:
        return None
    decompress = library.blosc_decompress_ctx

    def decode(target: int, nbytes: int, source: int, _: int) -> int:
        if (found := decompress(source, target, nbytes, 1)) != nbytes:
            raise CodecError(f"the chunk is damaged (c-blosc returns {found}, expected {nbytes} bytes)")
        return nbytes

    return Function(decode, Call(kind=BLOSC_DECODE, function=address_of(decompress), exact=1))


def encoder(cname: str, level: int, shuffle: int, element: int, block: int) -> Function | None:
    """An encoder to at most 16 bytes more, which any frame fits. `element`: bytes of an element; of a chunk that has no
    whole number of them, 1."""
    if (library := _library()) is None:
        return None
    parameters = {"level": level, "shuffle": shuffle, "element": element, "block": block}
    call = Call(kind=BLOSC_ENCODE, function=address_of(library.blosc_compress_ctx), name=cname.encode(), **parameters)
    return Function(partial(_encode, library.blosc_compress_ctx, call), call)


def _encode(compress: Any, of: Call, target: int, capacity: int, source: int, nbytes: int) -> int:
    element = of.element if nbytes and nbytes % of.element == 0 else 1
    made: int = compress(of.level, of.shuffle, element, nbytes, source, target, capacity, of.name, of.block, 1)
    if made <= 0:
        raise CodecError(f"c-blosc cannot compress {nbytes} bytes by {of.name.decode()!r} (it returns {made})")
    return made


@cache
def _library() -> Any:
    """c-blosc with the argument types of its functions; None where numcodecs does not export it."""
    import numcodecs.blosc

    address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    try:
        library = ctypes.CDLL(numcodecs.blosc.__file__)
        library.blosc_decompress_ctx.restype = library.blosc_compress_ctx.restype = number
        library.blosc_decompress_ctx.argtypes = [address, address, size, number]
        library.blosc_compress_ctx.argtypes = [
            *(number, number, size, size, address, address, size, ctypes.c_char_p, size, number)
        ]
    except (OSError, AttributeError):
        return None
    return library
