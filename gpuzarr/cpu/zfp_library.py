"""libzfp, by its functions in zfpy's extension module. Unlike zfpy, they tell how much of a chunk they read.

Source: `zfp_decompress` of zfp 1.0 returns the bytes of the stream, in whole words, that it has read.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from gpuzarr.batch import address
from gpuzarr.errors import CodecError

_FULL_HEADER = 7
_TYPES = {"int32": 1, "int64": 2, "float32": 3, "float64": 4}
_ADDRESS, _SIZE, _UINT, _DOUBLE = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_double
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "stream_open": (_ADDRESS, [_ADDRESS, _SIZE]),
    "stream_close": (None, [_ADDRESS]),
    "zfp_stream_open": (_ADDRESS, [_ADDRESS]),
    "zfp_stream_close": (None, [_ADDRESS]),
    "zfp_stream_rewind": (None, [_ADDRESS]),
    "zfp_stream_set_reversible": (None, [_ADDRESS]),
    "zfp_stream_set_accuracy": (_DOUBLE, [_ADDRESS, _DOUBLE]),
    "zfp_stream_set_precision": (_UINT, [_ADDRESS, _UINT]),
    "zfp_stream_set_rate": (_DOUBLE, [_ADDRESS, _DOUBLE, _UINT, _UINT, ctypes.c_int]),
    "zfp_read_header": (_SIZE, [_ADDRESS, _ADDRESS, _UINT]),
    "zfp_decompress": (_SIZE, [_ADDRESS, _ADDRESS]),
    "zfp_field_free": (None, [_ADDRESS]),
    "zfp_field_set_pointer": (None, [_ADDRESS, _ADDRESS]),
    **{f"zfp_field_{axes}d": (_ADDRESS, [_ADDRESS, _UINT, *[_SIZE] * axes]) for axes in range(1, 5)},
}


@cache
def library() -> Any:
    """libzfp, its functions with their types; None where they cannot be called."""
    import zfpy

    try:
        found = ctypes.CDLL(zfpy.__file__)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return found


def decode(zfp: Any, padded: np.ndarray, target: np.ndarray, mode: str | None, options: dict[str, Any]) -> int:
    """Decode a chunk to `target`; return how many of its bytes were read, with the header, in whole words.

    `zfp`: what `library` returns. `padded`: the chunk, then any bytes, as many as zfp may read beyond a damaged one.
    `target`: C-contiguous, of 1 to 4 axes, with the number of elements that the header declares, if there is one.
    `mode`, with its parameter in `options`: named as in the Zarr extension `zfp`; None if the chunk has a header.
    """
    stream = zfp.stream_open(address(padded), len(padded))
    of = zfp.zfp_stream_open(stream)
    kind, axes = _TYPES[target.dtype.name], target.ndim
    field = getattr(zfp, f"zfp_field_{axes}d")(address(target), kind, *reversed(target.shape))
    try:
        zfp.zfp_stream_rewind(of)
        if mode is None:
            if not zfp.zfp_read_header(of, field, _FULL_HEADER):
                raise CodecError("the zfp header is damaged")
        elif mode == "reversible":
            zfp.zfp_stream_set_reversible(of)
        elif mode == "fixed_rate":
            zfp.zfp_stream_set_rate(of, options["rate"], kind, axes, 0)
        elif mode == "fixed_precision":
            zfp.zfp_stream_set_precision(of, int(options["precision"]))
        else:
            zfp.zfp_stream_set_accuracy(of, options["tolerance"])
        read: int = zfp.zfp_decompress(of, field)
    finally:
        zfp.zfp_field_free(field)
        zfp.zfp_stream_close(of)
        zfp.stream_close(stream)
    if not read:
        raise CodecError("zfp cannot decode the chunk")
    return read
