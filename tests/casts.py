"""Comparing numbers that were cast."""

import numpy as np


def assert_same(found, wanted):
    """The same dtype, shape and bits; NaNs may have any."""
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if found.dtype.kind not in "biu":
        nan = wanted != wanted
        np.testing.assert_array_equal(found != found, nan)
        found, wanted = found[~nan], wanted[~nan]
    size = found.dtype.itemsize
    np.testing.assert_array_equal(found.view(f"u{size}"), wanted.view(f"u{size}"))
