"""delta: to the bit as numcodecs and NumPy, on every device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs.delta import Delta
from gpuzarr.devices.contract import Device
from tests.chunks import CPU, spec_of
from tests.emulator import Emulated
from tests.hardware import host_array

PAIRS = [
    *(("i1", "i1"), ("u1", "u1"), ("i2", "i2"), ("u4", "u4"), ("i8", "i8"), ("u8", "u8"), ("i4", "i1"), ("u2", "i4")),
    *(("i2", "i8"), ("u8", "u1"), ("u1", "u8"), ("i8", "u4"), ("f4", "f4"), ("f8", "f8"), ("f2", "f2"), ("f8", "f4")),
    *(("f4", "f8"), ("c8", "c8"), ("c16", "c16"), ("c16", "c8"), ("c8", "c16")),
]
BOOLS = [("?", "?"), ("?", "u1"), ("?", "i4"), ("i4", "?")]
SIZES = (0, 1, 2, 31, 255, 257, 4095, 20_001)


def numbers(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Integers of any bits, so that sums wrap; floats of moderate size."""
    rng, of = np.random.default_rng(seed), np.dtype(dtype)
    if of.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if of.kind in "iu":
        return rng.integers(0, 256, (*shape, of.itemsize), np.uint8).view(of).reshape(shape)
    part = np.dtype(f"f{of.itemsize // 2}") if of.kind == "c" else of
    return (rng.standard_normal((*shape, 2 if of.kind == "c" else 1)) * 100).astype(part).view(of).reshape(shape)


def on(device: Device, values: np.ndarray) -> Any:
    return device.upload(values) if device.gpu else values


def bits(values: np.ndarray) -> bytes:
    """But which of two NaNs a sum of complex numbers is, NumPy itself leaves open: it depends on how many they are."""
    if values.dtype.kind == "c":
        parts = values.view(f"f{values.dtype.itemsize // 2}")
        return np.where(np.isnan(parts), np.float32(np.nan), parts).tobytes()
    return values.tobytes()


def laws(values: np.ndarray, dtype: str, astype: str, device: Device) -> None:
    """`values` (n, ...): what the device makes of them, and of that again, is what numcodecs does, to the bit."""
    codec, peer, spec = Delta(np.dtype(dtype), np.dtype(astype)), numcodecs.Delta(dtype, astype), spec_of(values)
    assert not device.gpu or codec.why_host(spec) is None
    with np.errstate(all="ignore"):
        made = host_array(codec.encode(on(device, values), spec, device))
        stored = [peer.encode(np.ascontiguousarray(chunk)) if chunk.size else chunk for chunk in values]
    assert made.dtype == np.dtype(astype) and made.shape == (len(values), *codec.encoded(spec).shape)
    for one, other in zip(made, stored, strict=True):
        assert bits(one) == bits(np.asarray(other, astype))
    with np.errstate(all="ignore"):
        back = host_array(codec.decode(on(device, made), spec, device))
        sums = [peer.decode(chunk.copy()) if chunk.size else chunk for chunk in made]
    assert back.dtype == spec.dtype and back.shape == values.shape
    if dtype == "?":  # numcodecs decodes a running "or"
        assert (back == values).all()
        return
    for one, other in zip(back, sums, strict=True):
        assert bits(one) == bits(np.asarray(other, dtype))


@pytest.mark.parametrize("dtype, astype", [*PAIRS, *BOOLS[:3]], ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_as_numcodecs(dtype: str, astype: str, size: int, device: Device) -> None:
    values = numbers(dtype, (3 if size < 5000 else 1, size))
    values[:, :1] = 1  # numcodecs takes no first element that `astype` does not hold
    laws(values, dtype, astype, device)


def test_many_segments_of_many_chunks(threads: Device) -> None:
    """In three orders of blocks and threads."""
    for dtype, astype in (("i4", "i4"), ("u8", "i1"), ("?", "?")):
        values = numbers(dtype, (2, 30_000))
        values[:, 0] = 1
        laws(values, dtype, astype, threads)


@pytest.mark.parametrize("dtype, astype", [("i2", "i2"), ("f4", "f4"), ("c8", "c8"), ("?", "?")])
def test_chunks_that_are_not_contiguous(dtype: str, astype: str, device: Device) -> None:
    codec, values = Delta(np.dtype(dtype), np.dtype(astype)), numbers(dtype, (3, 6, 10))
    for view in (values[:, :, ::2], values.transpose(0, 2, 1)):
        spec, given = spec_of(view), on(device, values)
        there = given[:, :, ::2] if view.shape[1] == 6 else given.transpose(0, 2, 1)
        made = codec.encode(there, spec, device)
        want = codec.encode(view, spec, CPU)
        assert host_array(made).tobytes() == want.tobytes()
        twice = made.repeat(2, axis=2)[:, :, ::2]
        assert host_array(codec.decode(twice, spec, device)).tobytes() == codec.decode(want, spec, CPU).tobytes()


SPECIAL = {
    "f2": [0x0000, 0x8000, 0x7C00, 0xFC00, 0x7E01, 0xFE02, 0x7C03, 0x0001, 0x7BFF, 0xFBFF, 0x3C00, 0xBC01],
    "f4": [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00001, 0xFFC00002, 0x7F800003, 1, 0x7F7FFFFF, 0x3F800000],
    "f8": [0, 1 << 63, 0x7FF << 52, 0xFFF << 52, 0x7FF8000000000001, 0xFFF8000000000002, 0x7FF4000000000000, 1],
}
PARTS = [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("f8", "f4"), ("c8", "c8"), ("c16", "c8")]


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(PARTS), st.lists(st.integers(0, 11), max_size=20), st.integers(0, 2**32 - 1))
def test_numbers_that_are_none(emulated_pair: Any, pair: tuple[str, str], picks: list[int], seed: int) -> None:
    """NaN, infinity, -0.0, and the smallest and largest numbers; some of them among plain ones."""
    dtype, astype = pair
    part = f"f{np.dtype(dtype).itemsize // 2}" if dtype[0] == "c" else dtype
    special = np.array(SPECIAL[part], part.replace("f", "u")).view(part)
    plain = numbers(part, (600,), seed)
    for place, pick in enumerate(picks):
        plain[(seed + 37 * place) % 600] = special[pick % len(special)]
    values = np.concatenate([special[[pick % len(special) for pick in picks]], plain])
    values = values[: len(values) // 2 * 2].view(dtype)
    for device in emulated_pair:
        laws(values[None], dtype, astype, device)


@pytest.fixture(scope="module")
def emulated_pair() -> list[Any]:
    return [CPU, Emulated()]


@given(st.sampled_from(["i4", "u1"]), st.binary(max_size=40))
def test_hostile_differences_are_sums(emulated_pair: Any, dtype: str, data: bytes) -> None:
    """Bytes of bools that are no bools are True."""
    stored = np.frombuffer(data, np.uint8)[None].view(bool)
    for codec in (Delta(np.dtype(dtype), np.dtype(bool)), Delta(np.dtype(bool), np.dtype(bool))):
        spec = ChunkSpec((len(data),), codec.dtype, np.zeros((), codec.dtype)[()])
        one, other = (host_array(codec.decode(on(d, stored), spec, d)).tobytes() for d in emulated_pair)
        assert one == other


def test_what_a_gpu_cannot_hold_is_left_to_the_host() -> None:
    for dtype, astype in (("M8[s]", "M8[s]"), ("f8", "i4"), ("f2", "f4"), ("c8", "f4"), ("m8[s]", "i8")):
        codec = Delta(np.dtype(dtype), np.dtype(astype))
        assert "not written for the GPU" in str(codec.why_host(ChunkSpec((2,), np.dtype("i8"))))
    times = ChunkSpec((2,), np.dtype("M8[s]"))
    assert Delta(np.dtype("i8"), np.dtype("i8")).why_host(times) == "the GPU has no datetime64[s]"


OF_ZARR = zarr.codecs.numcodecs
LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "v3": ("i4", {"filters": [OF_ZARR.Delta(dtype="<i4")], "compressors": [OF_ZARR.Zlib(level=1)]}),
    "v3, narrow": ("i4", {"filters": [OF_ZARR.Delta(dtype="<i4", astype="<i2")], "compressors": None}),
    "v3, float": ("f4", {"filters": [OF_ZARR.Delta(dtype="<f4")], "compressors": [zarr.codecs.ZstdCodec()]}),
    "v2": ("i8", {"zarr_format": 2, "filters": [numcodecs.Delta("<i8")], "compressors": numcodecs.Zstd(1)}),
    "v2, big": (">i2", {"zarr_format": 2, "filters": [numcodecs.Delta(">i2")], "compressors": numcodecs.Zlib(1)}),
    "v2, other size": ("u8", {"zarr_format": 2, "filters": [numcodecs.Delta("<u2")], "compressors": None}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_arrays_of_zarr_python(name: str, tmp_path: Path, device: Any) -> None:
    dtype, layout = LAYOUTS[name]
    values = (np.arange(60 * 70).reshape(60, 70) * 37 % 1009).astype(dtype)
    zarr.create_array(tmp_path / "a", shape=(60, 70), chunks=(16, 32), dtype=dtype, **layout)[...] = values
    want = np.asarray(zarr.open_array(tmp_path / "a", mode="r")[...])
    a = gpuzarr.open_array(tmp_path / "a", mode="r+", device=device)
    assert host_array(a[...]).tobytes() == want.astype(want.dtype.newbyteorder("=")).tobytes()
    assert (host_array(a[5:40:3, ::-1]) == want[5:40:3, ::-1]).all()
    assert not device.gpu or a.explain().gpu_decode == ("no" if name == "v2, other size" else "yes")
    a[:20] = values[40:]
    written = np.asarray(zarr.open_array(tmp_path / "a", mode="r")[:20])
    np.testing.assert_allclose(written, want[40:], rtol=1e-5)


@pytest.mark.parametrize("dtype, astype", [("i2", "i8"), ("i8", "i1"), ("f4", "f8")])
def test_memory_is_planned_for_wide_differences(dtype: str, astype: str, tmp_path: Path, gpu: Any) -> None:
    values = (np.arange(24 * 64 * 128) % 100).astype(dtype).reshape(24, 64, 128)
    filters = [{"name": "numcodecs.delta", "configuration": {"dtype": dtype, "astype": astype}}]
    layout: dict[str, Any] = {"chunks": (2, 50, 63), "filters": filters, "compressors": "zstd"}
    gpuzarr.create_array(tmp_path / "a", data=values, **layout)
    a = gpuzarr.open_array(tmp_path / "a", device=gpu, memory_limit="900KiB")
    assert (host_array(a[...]) == values).all()
    assert a.last_read.asdict()["peak_bytes"] <= a.explain().planned_bytes <= a.explain().memory_limit
    a = gpuzarr.open_array(tmp_path / "a", mode="r+", device=gpu, memory_limit="1400KiB")
    a[...] = values[::-1].copy()
    assert a.last_write.asdict()["peak_bytes"] <= a.explain_write().planned_bytes <= a.explain_write().memory_limit
    assert (gpuzarr.open_array(tmp_path / "a", device="cpu")[...] == values[::-1]).all() and gpu.held.total == 0
