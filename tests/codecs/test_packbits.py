"""packbits, that of Zarr and that of numcodecs: every device makes the same bytes, elements and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.errors import ChunkError, CodecError, MetadataError
from tests.chunks import CPU, encoded_batch, spec_of, v2
from tests.emulator import Emulated
from tests.hardware import complete, host_array

DTYPES = ["?", "u1", "i1", "u2", "i2", "f2", "i4", "f4", "u8", "i8", "f8", "c8", "c16"]
SIZES = (0, 1, 7, 8, 9, 255, 2049, 20_003)
PADDINGS = ("none", "first_byte", "last_byte")


def elements(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Elements of any bits; bools are 0 or 1."""
    of = np.dtype(dtype)
    made = np.random.default_rng(seed).integers(0, 2 if of.kind == "b" else 256, (*shape, of.itemsize), np.uint8)
    return made.view(of).reshape(shape)


def plainly(value: np.ndarray, first: int, last: int) -> bytes:
    """The bits of a chunk packed by arithmetic of Python, by the rule of the extension."""
    parts = value.reshape(-1).view(f"f{value.dtype.itemsize // 2}") if value.dtype.kind == "c" else value.reshape(-1)
    width, bits = last - first + 1, 0
    for place, number in enumerate(parts.view(f"u{parts.dtype.itemsize}").tolist()):
        bits |= (number >> first & ((1 << width) - 1)) << place * width
    return bits.to_bytes(-(-parts.size * width // 8), "little")


def on(device: Device, values: np.ndarray) -> Any:
    return device.upload(values) if device.gpu else values


def stored_of(made: EncodedBatch, device: Device) -> list[bytes]:
    data = device.download(made.data) if device.gpu else made.data
    return [data[start : start + size].tobytes() for start, size in zip(made.starts, made.sizes, strict=True)]


def batch_of(chunks: list[bytes], device: Device) -> EncodedBatch:
    """At every alignment."""
    given = encoded_batch(*chunks, gap=3)
    return EncodedBatch(on(device, given.data), given.starts, given.sizes)


def laws(codec: Any, values: np.ndarray, bits: tuple[int, int], device: Device) -> None:
    spec = spec_of(values)
    assert not device.gpu or codec.why_host(spec) is None
    stored = stored_of(codec.encode(on(device, values), spec, device), device)
    want = [plainly(value, *bits) for value in values]
    around = {"none": (0, 0), "first_byte": (1, 0), "last_byte": (0, 1)}[codec.padding_encoding]
    assert [chunk[around[0] : len(chunk) - around[1]] for chunk in stored] == want
    assert stored == stored_of(codec.encode(values, spec, CPU), CPU)
    back = host_array(codec.decode(batch_of(stored, device), spec, device))
    complete(device)
    again = codec.decode(batch_of(stored, CPU), spec, CPU)
    assert back.dtype == again.dtype == spec.dtype and back.shape == values.shape
    assert back.tobytes() == again.tobytes()
    if bits == (0, {"?": 0}.get(values.dtype.char, 8 * values.dtype.itemsize // (1 + (values.dtype.kind == "c")) - 1)):
        assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_bits(dtype: str, size: int, device: Device) -> None:
    parts = 2 if dtype[0] == "c" else 1
    whole = 1 if dtype == "?" else 8 * np.dtype(dtype).itemsize // parts
    for padding in PADDINGS if size < 5000 else PADDINGS[1:2]:
        values = elements(dtype, (3, size) if size < 5000 else (1, size // parts))
        laws(find("packbits", {"padding_encoding": padding}), values, (0, whole - 1), device)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(DTYPES[1:]), st.integers(0, 63), st.integers(0, 63), st.integers(0, 70), st.integers(0, 99))
def test_some_bits(both: Any, dtype: str, first: int, width: int, size: int, seed: int) -> None:
    whole = 8 * np.dtype(dtype).itemsize // (2 if dtype[0] == "c" else 1)
    first %= whole
    last = first + width % (whole - first)
    for device in both:
        laws(
            find("packbits", {"first_bit": first, "last_bit": last}),
            elements(dtype, (2, size), seed),
            (first, last),
            device,
        )


@pytest.fixture(scope="module")
def both() -> list[Any]:
    return [CPU, Emulated()]


def test_bfloat16(device: Device) -> None:
    values = elements("u2", (2, 33)).view(ml_dtypes.bfloat16)
    codec, spec = find("packbits", {"padding_encoding": "last_byte", "first_bit": 4}), spec_of(values)
    given = device.upload(values.view(np.uint16)).view(values.dtype) if device.gpu else values
    stored = stored_of(codec.encode(given, spec, device), device)
    assert stored == stored_of(codec.encode(values, spec, CPU), CPU)
    made = codec.decode(batch_of(stored, device), spec, device).view(np.uint16)
    assert (host_array(made) == values.view(np.uint16) & 0xFFF0).all()


def test_what_a_gpu_cannot_hold_is_left_to_the_host() -> None:
    for dtype in (np.dtype("M8[s]"), np.dtype(ml_dtypes.int4)):
        assert not fits_gpu(dtype)
        assert "the GPU has no" in str(find("packbits", {}).why_host(spec_of(np.zeros((1, 2), dtype))))


@pytest.mark.parametrize("padding", PADDINGS[1:])
def test_a_wrong_number_of_padding_bits_names_its_chunk(padding: str, device: Device) -> None:
    codec, values = find("packbits", {"padding_encoding": padding}), elements("?", (4, 13))
    spec, good = spec_of(values), stored_of(codec.encode(values, spec_of(values), CPU), CPU)
    for wrong in (0, 4, 255):
        bad = bytearray(good[2])
        bad[0 if padding == "first_byte" else -1] = wrong
        for chunks, index in (([*good[:2], bytes(bad), bytes(bad)], 2), ([bytes(bad), *good], 0)):
            with pytest.raises(CodecError, match="packbits: the number of padding bits is not 3") as caught:
                codec.decode(batch_of(chunks, device), spec, device)
                complete(device)
            assert caught.value.index == index
    with pytest.raises(CodecError, match="a chunk of 2 bytes, expected 3") as caught:
        codec.decode(batch_of([good[0], good[1][:-1]], device), spec, device)
    assert caught.value.index == 1


@pytest.mark.parametrize("dtype", ["?", "u1", "i1"])
@pytest.mark.parametrize("size", SIZES)
def test_as_numcodecs(dtype: str, size: int, device: Device) -> None:
    values = elements(dtype, (3, size))
    values[:, ::3] = 0
    codec, peer, spec = v2("packbits"), numcodecs.PackBits(), spec_of(values)
    assert not device.gpu or codec.why_host(spec) is None
    stored = host_array(codec.encode(on(device, values), spec, device))
    assert stored.shape == (3, *codec.encoded(spec).shape)
    for one, value in zip(stored, values, strict=True):
        assert one.tobytes() == (bytes(peer.encode(value.astype(bool))) if size else b"\0")
    back = host_array(codec.decode(on(device, stored), spec, device))
    complete(device)
    assert back.dtype == spec.dtype and (back == (values != 0)).all()
    if size % 8:
        stored[1, 0] += 1
        with pytest.raises(CodecError, match="the number of padding bits is not") as caught:
            codec.decode(on(device, stored), spec, device)
            complete(device)
        assert caught.value.index == 1


def test_chunks_that_are_not_contiguous(device: Device) -> None:
    values = elements("?", (3, 6, 10))
    given = on(device, values)
    for view, there in ((values[:, :, ::2], given[:, :, ::2]), (values.transpose(0, 2, 1), given.transpose(0, 2, 1))):
        spec, ours, theirs = spec_of(view), find("packbits", {}), v2("packbits")
        assert stored_of(ours.encode(there, spec, device), device) == stored_of(ours.encode(view, spec, CPU), CPU)
        made = theirs.encode(there, spec, device)
        assert (host_array(made) == theirs.encode(view, spec, CPU)).all()
        twice = made.repeat(2, axis=1)[:, ::2]
        assert (host_array(theirs.decode(twice, spec, device)) == view).all()


OF_ZARR = zarr.codecs.numcodecs
LAYOUTS: dict[str, dict[str, Any]] = {
    "v3": {"filters": [OF_ZARR.PackBits()], "compressors": [zarr.codecs.ZstdCodec()]},
    "v2": {"zarr_format": 2, "filters": [numcodecs.PackBits()], "compressors": numcodecs.Zlib(1)},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_arrays_of_zarr_python(name: str, tmp_path: Path, device: Any) -> None:
    values = elements("?", (60, 70))
    zarr.create_array(tmp_path / "a", shape=(60, 70), chunks=(15, 33), dtype="?", **LAYOUTS[name])[...] = values
    a = gpuzarr.open_array(tmp_path / "a", mode="r+", device=device)
    assert (host_array(a[...]) == values).all() and (host_array(a[5:40:3, ::-1]) == values[5:40:3, ::-1]).all()
    assert not device.gpu or a.explain().gpu_decode == "yes"
    a[:20] = values[40:]
    assert (np.asarray(zarr.open_array(tmp_path / "a", mode="r")[:20]) == values[40:]).all()


def test_an_array_with_damage(tmp_path: Path, device: Any) -> None:
    codecs = [{"name": "packbits", "configuration": {"padding_encoding": "first_byte"}}, "crc32c"]
    a = gpuzarr.create_array(tmp_path / "a", data=elements("?", (30, 33)), chunks=(15, 33), codecs=codecs)
    chunk = tmp_path / "a" / "c" / "1" / "0"
    payload = b"\7" + chunk.read_bytes()[1:-4]
    chunk.write_bytes(bytes(find("crc32c", {}).encode(encoded_batch(payload), None, CPU)[0]))
    with pytest.raises(ChunkError, match="key 'c/1/0', codec packbits"):
        gpuzarr.open_array(tmp_path / "a", device=device)[...]
    with pytest.raises(MetadataError, match="padding_encoding"):
        find("packbits", {"padding_encoding": "middle"})
    assert a.shape == (30, 33)
