"""Copy elements between arrays of other strides, also to the other byte order, by the C library.

NumPy follows the order of the target, and reads a line of the source's memory for each element (measured: a chunk of
64 x 64 x 64 big-endian uint16 in Fortran order, into a volume: 0.39 ms; here 0.15).
"""

from __future__ import annotations

import ctypes

import numpy as np

from gpuzarr import native

MIN_BYTES = 1 << 12  # that are worth a call
_MAX_AXES = 64


def copy(target: np.ndarray, values: np.ndarray) -> None:
    """Do target[...] = values, for arrays of the same shape that share no memory."""
    library, dtype = native.library(), values.dtype
    is_alike = dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype.newbyteorder("=") == target.dtype
    is_many = values.nbytes >= MIN_BYTES and 0 < values.ndim <= _MAX_AXES
    if library is None or not is_alike or not is_many or (dtype.isnative and values.strides[-1] == dtype.itemsize):
        target[...] = values
        return
    numbers = ctypes.c_int64 * values.ndim
    library.gpuzarr_turn(
        values.ndim,
        numbers(*values.shape),
        numbers(*values.strides),
        numbers(*target.strides),
        dtype.itemsize,
        not dtype.isnative,
        values.__array_interface__["data"][0],
        target.__array_interface__["data"][0],
    )
