"""The bits of blocks are unshuffled by C as by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gpuzarr import native
from gpuzarr.cpu import bits
from gpuzarr.formats.hdf5_bitshuffle import shuffled


@pytest.mark.parametrize("elementsize", [1, 2, 3, 4, 7, 8, 12, 16])
@pytest.mark.parametrize("elements, block", [(0, 8), (8, 8), (8, 64), (40, 16), (1024 + 8, 256), (4096, 4096)])
@pytest.mark.parametrize("library", ["C", "NumPy"])
def test_what_was_shuffled(
    elementsize: int, elements: int, block: int, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if library == "NumPy":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("the C library was not compiled")
    values = np.random.default_rng(elements).integers(0, 256, elements * elementsize, np.uint8)
    blocks = [values[at : at + block * elementsize] for at in range(0, len(values), block * elementsize)]
    planes = np.zeros(len(values) + 1, np.uint8)[1:]  # at an odd address
    planes[:] = np.concatenate([shuffled(each, elementsize) for each in blocks]) if blocks else planes
    made = np.zeros(len(values) + 3, np.uint8)
    bits.bitunshuffle(planes, made[1 : len(values) + 1], block * elementsize, elementsize)
    assert np.array_equal(made[1 : len(values) + 1], values) and not made[[0, -2, -1]].any()
