"""Programs of elements in C: at any address, of any number of elements. Values: tests/gpu/test_element_programs.py."""

from __future__ import annotations

import numpy as np
import pytest

from gpuzarr.batch import ChunkSpec, address
from gpuzarr.codecs import find
from gpuzarr.codecs.step import Step
from gpuzarr.cpu.programs import Loop
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes.element_program import Program
from gpuzarr.errors import CodecError

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


def test_what_is_refused_anywhere_is_for_the_codec_to_say():
    codec, spec = find("cast_value", {"data_type": "int16"}, 3), ChunkSpec((2000,), np.dtype("f4"))
    loop = Loop.of(codec.program(spec, "encode"))
    assert loop is not None
    values = np.arange(2000, dtype="f4")[None]
    np.testing.assert_array_equal(loop.of_batch(values), values)
    for place, bad in ((0, np.nan), (700, 40000), (1999, -np.inf)):
        wrong = values.copy()
        wrong[0, place] = bad
        assert loop.of_batch(wrong) is None
        with pytest.raises(CodecError, match="cast_value"):
            Step(codec, spec).encode(wrong, CPU)


def test_the_first_number_that_replaces_counts_and_what_is_replaced_is_not_refused():
    pairs = [["NaN", 9], [0, 8], ["NaN", 7], [1e9, 6]]
    codec = find("cast_value", {"data_type": "uint8", "scalar_map": {"encode": pairs}}, 3)
    loop = Loop.of(codec.program(ChunkSpec((5,), np.dtype("f8")), "encode"))
    assert loop is not None
    made = loop.of_batch(np.array([np.nan, 0, 1e9, 5, -0.0]))
    assert made is not None and made.tolist() == [9, 8, 6, 5, 8]
