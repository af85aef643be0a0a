"""What codecs do with each element, a GPU and the C library do to the bit as NumPy, and refuse what that refuses."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.step import Step
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError
from tests.conftest import examples
from tests.hardware import complete, emulated, host_array, on

INTEGERS, FLOATS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), ("f2", "f4", "f8")
ROUNDINGS = ("nearest-even", "towards-zero", "towards-positive", "towards-negative", "nearest-away")
ALL = ("b1", *INTEGERS, *FLOATS)
SHAPES = ((3, 0), (1, 1), (2, 7), (3, 5, 6))
GPU = emulated()


def numbers(dtype: np.dtype, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers of all bits, and small ones; halves, infinities, denormals, extremes and NaNs with any bits."""
    rng, count = np.random.default_rng(seed), int(np.prod(shape))
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    bits = rng.integers(0, 256, (count, dtype.itemsize), np.uint8).reshape(-1).view(dtype)
    with np.errstate(all="ignore"):
        made = np.where(rng.random(count) < 0.5, bits, (rng.integers(-300, 300, count) / 2).astype(dtype))
        if dtype.kind != "i" and dtype.kind != "u":
            edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1.5, 2.5, -0.5, 65504, 65520, 3.4e38, 1e-45])
            made = np.where(rng.random(count) < 0.4, rng.choice(edges.astype(dtype), count), made)
    return made.astype(dtype).reshape(shape)


def outcome(step: Step, direction: str, chunks: Any, device: Any, by_library: bool = False) -> Any:
    """What a codec makes of chunks, or its error: message and index. `by_library`: by the C library where it can."""
    try:
        if by_library:
            return getattr(step, direction)(chunks, device)
        given = chunks if device is CPU else on(device, chunks)
        found = getattr(step.codec, direction)(given, step.spec, device)
        if device is CPU:
            return found
        made = host_array(found).copy()
        complete(device)
        return made
    except CodecError as error:
        return str(error).removeprefix(f"{step.name}: "), error.index
    except UnsupportedError as error:
        return str(error)


def check(step: Step, direction: str, chunks: np.ndarray, gpu: Any) -> None:
    """The outcomes of the GPU and of the C library are that of NumPy, bits of NaNs too."""
    want = outcome(step, direction, chunks, CPU)
    for found in (outcome(step, direction, chunks, gpu), outcome(step, direction, chunks, CPU, by_library=True)):
        compare(found, want)


def compare(found: Any, want: Any) -> None:
    assert isinstance(found, np.ndarray) == isinstance(want, np.ndarray), (want, found)
    if not isinstance(want, np.ndarray):
        assert found == want
        return
    assert (found.dtype, found.shape) == (want.dtype, want.shape)
    word = f"u{want.dtype.itemsize}"
    np.testing.assert_array_equal(*(np.ascontiguousarray(each).view(word) for each in (found, want)))


def both(name: str, given: dict[str, Any], dtype: Any, shape: tuple[int, ...], seed: int, gpu: Any = GPU) -> None:
    """A codec encodes, and decodes any stored bits, as on the CPU."""
    codec = find(name, given, 3)
    spec = ChunkSpec(shape[1:], np.dtype(dtype))
    try:
        stored, step = codec.encoded(spec), Step(codec, spec)
    except MetadataError:
        return
    for direction, of in (("encode", spec), ("decode", stored)):
        why = step.why_host if direction == "decode" else step.why_host_to_encode
        chunks = numbers(of.dtype, shape, seed)
        if why is None:
            check(step, direction, chunks, gpu)
            wide = np.repeat(chunks, 2, axis=-1)[..., ::2]
            check(step, direction, wide, gpu)


@settings(max_examples=examples(120))
@given(st.sampled_from(ALL), st.sampled_from(ALL), st.sampled_from(SHAPES), st.integers(0, 999))
def test_astype(before: str, after: str, shape: tuple[int, ...], seed: int) -> None:
    both("numcodecs.astype", {"decode_dtype": before, "encode_dtype": after}, before, shape, seed)


@pytest.mark.parametrize("after", [*INTEGERS, *FLOATS])
def test_a_bool_is_true_by_any_bit_of_its_byte(after: str) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(2, 128).view(bool)
    step = Step(find("numcodecs.astype", {"encode_dtype": after}, 3), ChunkSpec((128,), values.dtype))
    for found in (outcome(step, "encode", values, GPU), outcome(step, "encode", values, CPU, by_library=True)):
        compare(found, (np.arange(256).reshape(2, 128) > 0).astype(after))


@given(st.sampled_from(FLOATS), st.sampled_from(ALL), st.integers(0, 999), st.data())
def test_what_becomes_of_a_float_does_not_depend_on_its_place(before: str, after: str, seed: int, data: Any) -> None:
    codec = find("numcodecs.astype", {"decode_dtype": before, "encode_dtype": after}, 3)
    values = numbers(np.dtype(before), (1, 50), seed)
    first = data.draw(st.integers(0, 49))
    some = slice(first, data.draw(st.integers(first, 50)))
    made, part = (codec.encode(each, ChunkSpec(each.shape[1:], each.dtype), CPU) for each in (values, values[:, some]))
    np.testing.assert_array_equal(made[:, some], part)


BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
NUMBER = st.one_of(st.integers(-3, 300), st.sampled_from([0.1, 0.5, 1.0, -2.5, 1e-3, 1000.0, 1e10]))


@settings(max_examples=examples(100))
@given(NUMBER, NUMBER, st.sampled_from(INTEGERS + FLOATS), st.sampled_from(ALL), st.data())
def test_fixedscaleoffset(offset: Any, scale: Any, before: str, after: str, data: Any) -> None:
    given = {"offset": offset, "scale": scale or 1, "dtype": before, "astype": after}
    seed, shape = data.draw(st.integers(0, 999)), data.draw(st.sampled_from(SHAPES))
    both("numcodecs.fixedscaleoffset", given, before, shape, seed)


@settings(max_examples=examples(60))
@given(st.integers(-3, 6), st.sampled_from(FLOATS), st.sampled_from(FLOATS), st.integers(0, 999))
def test_quantize(digits: int, before: str, after: str, seed: int) -> None:
    both("numcodecs.quantize", {"digits": digits, "dtype": before, "astype": after}, before, (3, 5, 6), seed)


@settings(max_examples=examples(60))
@given(st.integers(0, 70), st.sampled_from([*INTEGERS, *FLOATS, BFLOAT16]), st.integers(0, 999))
def test_bitround(keepbits: int, dtype: Any, seed: int) -> None:
    both("bitround", {"keepbits": keepbits}, dtype, (3, 5, 6), seed)


@settings(max_examples=examples(150))
@given(st.integers(-9, 300), st.sampled_from([1, 2, -1, 3, 0.5, 100]), st.data())
def test_scale_offset(offset: int, scale: Any, data: Any) -> None:
    dtype = data.draw(st.sampled_from([*INTEGERS, *FLOATS, BFLOAT16]))
    try:
        both("scale_offset", {"offset": offset, "scale": scale}, dtype, (3, 7), data.draw(st.integers(0, 999)))
    except MetadataError:
        assert np.dtype(dtype).kind in "iu"


@settings(max_examples=examples(300))
@given(st.sampled_from(ROUNDINGS), st.sampled_from(["error", "clamp", "wrap"]), st.booleans(), st.data())
def test_cast_value(rounding: str, beyond: str, maps: bool, data: Any) -> None:
    names = [*(np.dtype(d).name for d in INTEGERS + FLOATS), "bfloat16"]
    before, after = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    given = {"data_type": after, "rounding": rounding, "out_of_range": beyond}
    if maps:
        old = ["NaN", 3] if "float" in before else [5]
        given["scalar_map"] = {"encode": [[each, 7] for each in old], "decode": [[7, each] for each in old]}
    dtype = BFLOAT16 if before == "bfloat16" else np.dtype(before)
    try:
        both("cast_value", given, dtype, data.draw(st.sampled_from(SHAPES)), data.draw(st.integers(0, 999)))
    except MetadataError:
        assert beyond == "wrap" and "float" in after


FILTERS = [
    ({"name": "numcodecs.fixedscaleoffset", "configuration": {"offset": 3, "scale": 10, "astype": "u2"}}, True),
    ({"name": "cast_value", "configuration": {"data_type": "float64"}}, False),
    ({"name": "scale_offset", "configuration": {"offset": 1.5, "scale": 4}}, True),
    ({"name": "bitround", "configuration": {"keepbits": 5}}, True),
]
BELOW = [
    [{"name": "bytes", "configuration": {"endian": "big"}}],
    [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "numcodecs.shuffle", "configuration": {}},
     {"name": "numcodecs.zlib", "configuration": {}}],
]  # fmt: skip


@pytest.mark.parametrize("below", BELOW, ids=["big", "shuffle zlib"])
@pytest.mark.parametrize("filter, fuses", FILTERS, ids=lambda each: each["name"] if isinstance(each, dict) else "")
def test_reads_are_those_of_the_cpu(gpu: Any, filter: Any, fuses: bool, below: Any, kernels_run: Any) -> None:
    store: dict[str, bytes] = {}
    codecs = [filter, {"name": "transpose", "configuration": {"order": [1, 0]}}, *below]
    values = np.random.default_rng(1).integers(0, 900, (20, 33)).astype("f4") / 7
    gpuzarr.create_array(store, shape=values.shape, chunks=(6, 8), dtype="f4", codecs=codecs, device=gpu)[...] = values
    on_cpu, a = gpuzarr.open_array(store, device="cpu"), gpuzarr.open_array(store, device=gpu)
    seen = kernels_run(gpu)
    for chosen in (np.s_[...], np.s_[3:17:2, ::-3], ([5, 2, 19], slice(None))):
        del seen[:]
        np.testing.assert_array_equal(host_array(a.oindex[chosen]), on_cpu.oindex[chosen])
        launches = [name for name in seen if name.startswith("place")]
        assert len(launches) == a.last_read.asdict()["batches"] * (1 if fuses else 2)
        np.testing.assert_array_equal(host_array(a.get(..., scale=2)), on_cpu.get(..., scale=2))


def test_what_may_refuse_sees_whole_chunks() -> None:
    codecs = [find("scale_offset", {"offset": 1, "scale": 3}, 3), find("bytes", {"endian": "little"}, 3)]
    chain = Chain.build(codecs, ChunkSpec((4,), np.dtype("i4"), 0))
    assert chain.is_all_on_gpu and chain.memory_order is None
