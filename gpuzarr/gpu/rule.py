"""How elements are cast on a GPU, as arguments of kernels/place_cast.cu. `dtypes.cast.Cast` says what is done."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.dtypes.cast import Cast, is_float

FILE = "place_cast.cu"
WIDTHS = (1, 2, 4, 8)  # bytes of an element of the chunks, for each of which the kernel is compiled by itself
_BOOL, _UNSIGNED, _SIGNED, _FLOAT16, _BFLOAT16, _FLOAT32, _FLOAT64 = range(7)
_FLOATS = {"float16": _FLOAT16, "bfloat16": _BFLOAT16, "float32": _FLOAT32, "float64": _FLOAT64}
_ALL_BITS = 2**64 - 1


def arguments(cast: Cast) -> tuple[np.generic, ...]:
    """The last arguments of the kernel, from `from` on. Both dtypes are such as a GPU holds."""
    scale = 1.0 if cast.scale is None else cast.scale
    offset = -0.0 if cast.offset is None else cast.offset  # to which -0.0 may be added, too
    words = _kind(cast.source), _kind(cast.dtype), 0 if cast.work is None else cast.work.itemsize
    return *map(np.uint32, words), np.float64(scale), np.float64(offset), *map(np.uint64, _compared(cast))


def _kind(dtype: np.dtype[Any]) -> int:
    return _FLOATS[dtype.name] if is_float(dtype) else {"b": _BOOL, "u": _UNSIGNED, "i": _SIGNED}[dtype.kind]


def _compared(cast: Cast) -> tuple[int, int]:
    """The bits of an element that becomes NaN, and the mask of those that count; bits that none has, if none does."""
    if cast.nan_of is None:
        return 1, 0
    if not is_float(cast.source):
        return int(cast.nan_of) & _ALL_BITS, _ALL_BITS
    if cast.nan_of == 0:
        return 0, (1 << (8 * cast.source.itemsize - 1)) - 1  # without the sign
    return int.from_bytes(np.full(1, cast.nan_of, cast.source).tobytes(), "little"), _ALL_BITS
