"""Buffers of zarr-python as the target of a read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from zarr.core.buffer.cpu import NDBuffer

import gpuzarr
from gpuzarr.devices.cpu import CPU

VALUES = np.arange(12, dtype="i4").reshape(3, 4)


@pytest.mark.parametrize("selection", [..., slice(1, 3), (slice(None), 2)], ids=str)
def test_values_are_read_into_a_buffer(selection: Any) -> None:
    wanted = VALUES[selection]
    buffer = NDBuffer.from_numpy_array(np.zeros_like(wanted))
    gpuzarr.array(VALUES, device=CPU).get_basic_selection(selection, out=buffer)
    assert np.array_equal(buffer.as_numpy_array(), wanted)


def test_a_buffer_that_does_not_fit_is_refused() -> None:
    with pytest.raises(gpuzarr.SelectionError):
        gpuzarr.array(VALUES, device=CPU).get_basic_selection(..., out=NDBuffer.from_numpy_array(np.zeros(3, "i4")))
