"""Programs of elements in C: at any address, of any number of elements. Values: tests/gpu/test_element_programs.py."""

from __future__ import annotations

import numpy as np
import pytest

from gpuzarr.batch import address
from gpuzarr.cpu.programs import Loop
from gpuzarr.dtypes.element_program import Program

PROGRAMS = {
    "one instruction": (Program.of(np.dtype("i2")).converted(np.dtype("f8")), lambda x: x.astype("f8")),
    "several": (Program.of(np.dtype("f4")).rounded().converted(np.dtype("u1")), lambda x: np.around(x).astype("u1")),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 3000])
def test_elements_at_any_address(name, count):
    program, expected = PROGRAMS[name]
    loop, values = Loop.of(program), (np.arange(count) % 250).astype(program.source)
    assert loop is not None
    for before, after in ((0, 0), (1, 0), (0, 3), (5, 1)):
        source = np.zeros(values.nbytes + 16, np.uint8)
        source[before : before + values.nbytes] = values.view(np.uint8)
        made = expected(values)
        target = np.full(made.nbytes + 16, 77, np.uint8)
        assert loop.at(address(target) + after, address(source) + before, count)
        assert target[after : after + made.nbytes].tobytes() == made.tobytes()
        assert (target[:after] == 77).all() and (target[after + made.nbytes :] == 77).all()


def test_arrays_of_either_byte_order_and_any_strides():
    loop = Loop.of(PROGRAMS["one instruction"][0])
    assert loop is not None
    values = np.arange(-30, 30, dtype="i2").reshape(5, 12)
    for given in (values, values.astype(">i2"), values.T, values[:, ::-2], values[:0]):
        made = loop.of_batch(given)
        assert made is not None and made.dtype == "f8"
        np.testing.assert_array_equal(made, given)
    assert loop.of_batch(values.astype("i4")) is None


def test_what_is_not_done_in_c_has_no_loop():
    dtype = np.dtype("f4")
    assert Loop.of(None) is None and Loop.of(Program.of(dtype)) is None
    assert Loop.of(Program.of(dtype).computed(np.add, np.nan)) is None  # of two NaNs the one in front stays
    assert Loop.of(Program.of(np.dtype("f2")).converted(dtype)) is None
