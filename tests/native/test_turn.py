"""Elements copied between arrays of other strides and byte order, as NumPy does it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.cpu import turning
from tests.conftest import examples

pytestmark = pytest.mark.usefixtures("compiled")
DTYPES = ("u1", "i2", "f4", "f8", "?", "c8", "c16", "U1", "S3", "M8[s]")


@st.composite
def views(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of this shape, its axes in any order in memory, with gaps, and some of them backward."""
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.integers(1, 3)) for _ in shape]
    memory = np.zeros([shape[axis] * gap for axis, gap in zip(order, gaps, strict=True)], dtype)
    steps = [gap * draw(st.sampled_from([1, 1, -1])) for gap in gaps]
    view = memory[tuple(slice(None, None, step) for step in steps)]
    return view.transpose(np.argsort(order))


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_any_strides(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 31, 32, 33, 70]), min_size=1, max_size=4)))
    while np.prod(shape) > 1 << 17:
        shape = shape[1:]
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    stored = dtype.newbyteorder(data.draw(st.sampled_from("<>")))
    wanted = data.draw(st.sampled_from([dtype, stored]))
    values, target = data.draw(views(shape, stored)), data.draw(views(shape, wanted))
    values[...] = (np.arange(values.size) % 1009).reshape(shape).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turning, "MIN_BYTES", 0)
        patch.setattr(turning, "MIN_ROWS_BYTES", 0)
        turning.copy(target, values)
    np.testing.assert_array_equal(target, values)
    if (whole := target.base) is not None and dtype.kind != "U":
        assert np.count_nonzero(whole) == np.count_nonzero(values)  # nothing beside it


def test_lines_that_take_each_others_place() -> None:
    values = np.arange(1 << 18, dtype=">u2").reshape(64, 64, 64).T
    target = np.zeros((256, 128, 128), np.uint16)[100:164, 3:67, 64:]
    turning.copy(target, values)
    np.testing.assert_array_equal(target, values)
