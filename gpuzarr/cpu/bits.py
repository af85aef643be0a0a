"""Unshuffle the bits of blocks on the host: by the C library, or by NumPy where there is none."""

from __future__ import annotations

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address
from gpuzarr.formats.hdf5_bitshuffle import unshuffled

_RUN_BYTES = 1 << 18  # of blocks that NumPy unshuffles together, in a core's cache


def bitunshuffle(planes: np.ndarray, target: np.ndarray, block: int, elementsize: int) -> None:
    """Unshuffle blocks of `block` bytes, of which the last may be shorter.

    Both arrays are contiguous, uint8 and equally long. A block has a multiple of 8 elements of `elementsize` bytes,
    laid out as `formats.hdf5_bitshuffle` says.
    """
    if (library := native.library()) is not None:
        library.gpuzarr_bitunshuffle(address(planes), address(target), len(target), block, elementsize)
        return
    full = len(target) // block * block
    run = max(1, _RUN_BYTES // block) * block
    for at in range(0, full, run):
        end = min(at + run, full)
        target[at:end] = unshuffled(planes[at:end].reshape(-1, block), elementsize).reshape(-1)
    if full < len(target):
        target[full:] = unshuffled(planes[full:].reshape(1, -1), elementsize)[0]
