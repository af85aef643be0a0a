"""`gpuzarr.dtype`: its objects, and those of zarr-python, say the same and make the same arrays."""

from __future__ import annotations

import doctest
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr.dtype

import gpuzarr
import gpuzarr.dtype

pytestmark = pytest.mark.filterwarnings("ignore")  # zarr-python warns of data types without a specification
ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
NUMBERS = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (16, 32, 64)]
NUMBERS += ["Float16", "Float32", "Float64", "Complex64", "Complex128"]
ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("Bool", "Int8", "UInt8", "VariableLengthUTF8", "VariableLengthBytes", *NUMBERS)),
    *((name, {"endianness": "big"}) for name in NUMBERS),
    *((name, {"unit": "s", "scale_factor": 10}) for name in ("DateTime64", "TimeDelta64")),
    ("DateTime64", {"unit": "ns", "endianness": "big"}),
    ("FixedLengthUTF32", {"length": 4}),
    ("FixedLengthUTF32", {"length": 4, "endianness": "big"}),
    ("NullTerminatedBytes", {"length": 3}),
    ("RawBytes", {"length": 3}),
]
SPECS = ["i4", "string", str, "U4", "V4", "S3", ">M8[10s]", np.float32, "float16", np.dtype(">f8"), bool]
SPECS += [{"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 10}}]
IS_NEW = pytest.mark.skipif(ZARR < (3, 2), reason="this zarr-python says it as it did before")
QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "dtype": lambda kind: str(kind.to_native_dtype()),
    "v2": lambda kind: kind.to_json(zarr_format=2),
    "v3": lambda kind: kind.to_json(zarr_format=3),
    "size": lambda kind: getattr(kind, "item_size", None) if "Variable" not in repr(kind) else None,
    "of numpy": lambda kind: type(kind).from_native_dtype(kind.to_native_dtype()),
    "of v2": lambda kind: type(kind).from_json(kind.to_json(zarr_format=2), zarr_format=2),
    "of v3": lambda kind: type(kind).from_json(kind.to_json(zarr_format=3), zarr_format=3),
}


def answer(question: Callable[[Any], Any], kind: Any) -> str:
    return repr(question(kind))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("name", "given"), ARGUMENTS, ids=str)
def test_an_object_says_what_that_of_zarr_python_says(name: str, given: dict[str, Any], question: str) -> None:
    ours, theirs = (getattr(module, name)(**given) for module in (gpuzarr.dtype, zarr.dtype))
    assert answer(QUESTIONS[question], ours) == answer(QUESTIONS[question], theirs)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("name", "given"), ARGUMENTS, ids=str)
def test_an_array_of_it_has_its_dtype(name: str, given: dict[str, Any], zarr_format: Any) -> None:
    """And the default scalar survives a document."""
    for module in (gpuzarr.dtype, zarr.dtype):
        kind = getattr(module, name)(**given)
        a = gpuzarr.create_array({}, shape=3, dtype=kind, zarr_format=zarr_format)
        assert a.dtype.str.lstrip("<>|") == kind.to_native_dtype().str.lstrip("<>|")
    ours = getattr(gpuzarr.dtype, name)(**given)
    value = ours.default_scalar()
    back = ours.from_json_scalar(ours.to_json_scalar(value, zarr_format=zarr_format), zarr_format=zarr_format)
    assert repr(back) == repr(value)
    assert pickle.loads(pickle.dumps(ours)) == ours and hash(ours) == hash(type(ours)(**given))


@IS_NEW
def test_records_say_what_those_of_zarr_python_say() -> None:
    for name in ("Struct", "Structured"):
        ours, theirs = (
            getattr(of, name)(fields=(("a", of.Int8()), ("b", of.Float32(endianness="big"))))
            for of in (gpuzarr.dtype, zarr.dtype)
        )
        for question in QUESTIONS.values():
            assert answer(question, ours) == answer(question, theirs)
        assert gpuzarr.zeros(3, dtype=ours).dtype == np.dtype([("a", "i1"), ("b", "f4")])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_parse_dtype_finds_what_zarr_python_finds(spec: Any) -> None:
    assert repr(gpuzarr.dtype.parse_dtype(spec, zarr_format=3)) == repr(zarr.dtype.parse_dtype(spec, zarr_format=3))


def test_wrong_arguments_are_refused_at_once() -> None:
    of = gpuzarr.dtype
    for wrong in (
        lambda: of.DateTime64(unit="x"),
        lambda: of.DateTime64(unit="s", scale_factor=0),
        lambda: of.FixedLengthUTF32(length=0),
        lambda: of.RawBytes(length=-1),
        lambda: of.Int16(endianness="middle"),
        lambda: of.parse_dtype("no type", zarr_format=3),
        lambda: of.parse_dtype("i4", zarr_format=4),
        lambda: of.Int8().cast_scalar("x"),
        lambda: of.Int8().from_json_scalar("x", zarr_format=3),
        lambda: of.Int8().to_json(zarr_format=1),
    ):
        with pytest.raises(gpuzarr.ArgumentError):
            wrong()
    for other in (
        lambda: of.Int8.from_native_dtype(np.dtype("i2")),
        lambda: of.Int8.from_json("int16", zarr_format=3),
        lambda: of.Int8.from_json({"name": "<i2", "object_codec_id": None}, zarr_format=2),
    ):
        with pytest.raises(gpuzarr.errors.DataTypeValidationError):
            other()
    with pytest.raises(gpuzarr.UnsupportedError, match="dtype='bfloat16' is taken as it is"):
        of.parse_dtype("bfloat16", zarr_format=3)


def test_scalars_are_cast() -> None:
    of = gpuzarr.dtype
    assert of.Float32().cast_scalar(3) == np.float32(3) and of.Float32().to_json_scalar(np.nan, zarr_format=3) == "NaN"
    assert of.VariableLengthUTF8().cast_scalar("a") == "a" and of.VariableLengthBytes().cast_scalar(b"a") == b"a"
    assert (
        isinstance(of.Int8(), of.ZDType)
        and isinstance(zarr.dtype.Int8(), of.ZDType)
        and not isinstance("i4", of.ZDType)
    )


def test_the_examples_run() -> None:
    assert doctest.testmod(gpuzarr.dtype, extraglobs={"gpuzarr": gpuzarr}) == (0, 3)
