"""Every method makes what one makes by hand, on every device, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuzarr import native
from gpuzarr.cpu import downsample as on_cpu
from gpuzarr.devices.cpu import CPU, Cpu
from gpuzarr.errors import ArgumentError
from gpuzarr.gpu import downsample as on_gpu
from gpuzarr.pyramids.downsample import METHODS, downsample
from tests import hardware
from tests.conftest import examples
from tests.pyramids.by_hand import BFLOAT16, FLOATS, INTEGERS, assert_same_bits, expected, factors_of, is_float, views

LAWS = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["compiled", "interpreted", "emulated", "cuda"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A device: the CPU with the C library and with NumPy, and GPUs."""
    if request.param == "compiled" and native.library() is None:
        pytest.skip("no C compiler when gpuzarr was installed")
    if request.param == "interpreted":
        monkeypatch.setattr(native, "library", lambda: None)
    return hardware.DEVICES.get(request.param, partial(Cpu, 2))()


def made(device: Any, values: np.ndarray, *args: Any) -> np.ndarray:
    return hardware.host_array(downsample(hardware.on(device, values), *args[:2], device, *args[2:])).view(np.ndarray)


@LAWS
@given(data=st.data(), view=views(), method=st.sampled_from(METHODS))
def test_by_hand(way: Any, data: st.DataObject, view: Any, method: str) -> None:
    """Also with limits so low that modes and medians are sorted, and work is divided."""
    factors, values = data.draw(factors_of(view.values.shape)), view.values
    background = None
    if method == "mode" and values.size:
        background = data.draw(st.sampled_from([None, values.reshape(-1)[0]]))
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans()):
            patch.setattr(on_cpu, "PIECE_BYTES", 64)
            for name, limit in (("MAX_COMPARED", 3), ("MAX_LAUNCHED", 5), ("MAX_ROWS_BYTES", 100)):
                patch.setattr(on_gpu, name, limit)
        given = view.of(hardware.on(way, view.memory))
        found = hardware.host_array(downsample(given, factors, method, way, background)).view(np.ndarray)
    wanted = expected(values, factors, method, background)
    if method == "nearest":
        assert found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()
    else:
        assert_same_bits(found, wanted)


@LAWS
@given(data=st.data(), view=views(most=2000), method=st.sampled_from(METHODS))
def test_like_tensorstore(data: st.DataObject, view: Any, method: str) -> None:
    ts = pytest.importorskip("tensorstore")
    values = np.ascontiguousarray(view.values)  # the order of whose sums is that of C
    if is_float(values.dtype) and method != "mean":
        values = np.where(values == values, values, values.dtype.type(1))
    factors = data.draw(factors_of(values.shape))
    known = "stride" if method == "nearest" else method
    wanted = ts.downsample(ts.array(values), factors, known).read().result()
    found = downsample(values, factors, method, CPU)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    assert ((found == wanted) | ((found != found) & (wanted != wanted))).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS], ids=str)
def test_more_windows_than_are_made_at_once(compiled: Any, dtype: np.dtype, method: str) -> None:
    """In C and by NumPy, for each of the loops in C."""
    noise = np.random.default_rng(3).integers(-20, 20, (6, 20011)).astype(dtype)
    noise[:, 3000:9000] = 7
    for values in (noise, noise.T, noise[:, ::3], noise[:, ::-1]):
        for factors in ((2, 2), (2, 1), (1, 3), (6, 9), (6, 13)):
            factors = factors if values.shape[0] == 6 else factors[::-1]
            by_library = downsample(values, factors, method, CPU)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(native, "library", lambda: None)
                assert_same_bits(by_library, downsample(values, factors, method, CPU))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u8", "f4"])
def test_large_factors(way: Any, dtype: str, method: str) -> None:
    values = np.random.default_rng(4).integers(0, 90, (70, 65, 8)).astype(dtype)
    values[:64, :64, 0] = 5
    assert_same_bits(made(way, values, (64, 64, 8), method), expected(values, (64, 64, 8), method))


def test_sums_beyond_an_integer(way: Any) -> None:
    for dtype in INTEGERS:
        most, least = np.iinfo(dtype).max, np.iinfo(dtype).min
        for values in ([most] * 40000, [least] * 40000, [most, least] * 20000, [most] * 39999 + [least]):
            given = np.array(values, dtype)
            assert_same_bits(made(way, given, (40000,), "mean"), expected(given, (40000,), "mean"))


def test_one_launch(emulated_kernels: tuple[Any, list[str]]) -> None:
    device, seen = emulated_kernels
    values = device.upload(np.arange(7 * 5 * 9 * 3, dtype=np.uint16).reshape(7, 5, 9, 3))
    for method, kernel in {"mean": "mean", "mode": "mode", "max": "extreme", "median": "median"}.items():
        del seen[:]
        downsample(values, (2, 2, 3, 2), method, device)
        assert seen == [f"downsample_{kernel}_2"]


@pytest.fixture
def emulated_kernels(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """The emulated device, and the kernels that it has run."""
    device, seen = hardware.emulated(), list[str]()
    right: Callable[..., Any] = device.kernel
    monkeypatch.setattr(device, "kernel", lambda file, name, *width: (seen.append(name), right(file, name, *width))[1])
    return device, seen


@pytest.mark.parametrize("values", [np.zeros((0, 4), "f4"), np.zeros((3, 0), "u8"), np.array(7, "i2"), np.array(2.5)])
def test_without_windows_or_axes(way: Any, values: np.ndarray) -> None:
    for method in METHODS:
        found = made(way, values, [2] * values.ndim, method)
        assert_same_bits(found, values if values.size else np.zeros([-(-n // 2) for n in values.shape], values.dtype))


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_complex_numbers(way: Any, dtype: str) -> None:
    values = np.random.default_rng(1).standard_normal((5, 7, 2)).view("c16")[..., 0].astype(dtype)
    found = made(way, values, (2, 3), "mean")
    for part in ("real", "imag"):
        wanted = expected(getattr(values, part), (2, 3), "mean")
        assert_same_bits(np.ascontiguousarray(getattr(found, part)), wanted)
    np.testing.assert_array_equal(made(way, values, (2, 3), "nearest"), values[::2, ::3])
    with pytest.raises(ArgumentError, match=f"'max' takes no elements of {np.dtype(dtype)}"):
        made(way, values, (2, 3), "max")
    assert_same_bits(made(way, values[0, 0], (), "mean").real.copy(), values[0, 0].real.copy())


def test_elements_that_are_no_numbers() -> None:
    records = np.array([(1, 2.0), (3, 4.0), (5, 6.0)], [("a", "i4"), ("b", "f8")])
    for values in (records, np.array(["a", "b", "c"]), np.array([1, 2, 3], "M8[s]"), np.array(["a", None, 3], object)):
        found = downsample(values, [2], "nearest", CPU)
        assert found.dtype == values.dtype and found.tolist() == values[::2].tolist()
        with pytest.raises(ArgumentError, match="'nearest' does"):
            downsample(values, [2], "mode", CPU)


@pytest.mark.parametrize("library", ["compiled", "interpreted"])
def test_other_byte_orders_and_odd_addresses(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "interpreted":
        monkeypatch.setattr(native, "library", lambda: None)
    values = np.arange(48, dtype="f8").reshape(6, 8)
    odd = np.frombuffer(b"." + values.tobytes(), "u1")[1:].view("f8").reshape(6, 8)
    packed = np.zeros((6, 8), [("a", "u1"), ("b", "f8")])
    packed["b"] = values
    for method in METHODS:
        wanted = downsample(values, (2, 2), method, CPU)
        for other in (values.astype(">f8"), odd, packed["b"]):
            found = downsample(other, (2, 2), method, CPU)
            assert found.dtype == other.dtype and found.tolist() == wanted.tolist()


def test_a_background_is_one_value(way: Any) -> None:
    values = np.array([0, 0, 0, 9, 0, 0, 0, 0, 0, 3, 3, 4], "u2")
    assert made(way, values, [4], "mode", 0).tolist() == [9, 0, 3]
    assert made(way, values.astype("f4"), [4], "mode", -0.0).tolist() == [9, 0, 3]
    some = np.array([np.nan, -0.0, 0.0, np.nan], "f4")
    assert made(way, some, [4], "mode", 0).tolist() == [0] and made(way, some, [4], "mode", np.nan).tolist() == [0]
    assert made(way, np.array([0.1, 0.1, 2], BFLOAT16), [3], "mode", 0.1).tolist() == [2]


@pytest.mark.parametrize(
    "factors, method, background, said",
    [
        ((2,), "mean", None, "factors: "),
        ((2, 0), "mean", None, "2 integers of 1 or more"),
        ((2, 1.5), "mean", None, "factors: "),
        (2, "mean", None, "factors: "),
        ((2, 2), "average", None, "'average' is none of mean, mode"),
        ((2, 2), "max", 0, "background: it is for the method 'mode'"),
        ((2, 2), "mode", -1, "-1 is no value of uint8"),
        ((2, 2), "mode", 256, "256 is no value of uint8"),
        ((2, 2), "mode", 2**80, "is no value of uint8"),
        ((2, 2), "mode", 0.5, "0.5 is no value of uint8"),
        ((2, 2), "mode", "x", "'x' is no value of uint8"),
        ((2, 2), "mode", [1, 2], "is no value of uint8"),
    ],
)
def test_bad_calls(factors: Any, method: str, background: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        downsample(np.zeros((4, 4), np.uint8), factors, method, CPU, background)
