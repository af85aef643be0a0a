"""Chunks of HDF5's bitshuffle: hdf5plugin writes what we decode, on both devices, and reads what we encode."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.batch import BytesSpec
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError, FewReadersWarning, MetadataError
from gpuzarr.stores.references.files import store_of_file
from tests.chunks import CPU, batch_on, decoded, whole
from tests.hardware import host_array

h5py = pytest.importorskip("h5py")
hdf5plugin = pytest.importorskip("hdf5plugin")
CNAMES = ("none", "lz4", "zstd")
SIZES = (1, 7, 8, 129, 5003)  # elements: fewer than 8 at the end, and several blocks


def values_of(dtype: str, count: int) -> np.ndarray:
    item, rng = np.dtype(dtype).itemsize, np.random.default_rng(count)
    steps = np.cumsum(rng.integers(-2, 3, count)).astype("<i8")
    data = np.zeros((count, item), np.uint8)
    width = min(8, item)
    data[:, :width] = steps.view(np.uint8).reshape(count, 8)[:, :width]
    return data.reshape(-1).view(dtype)


def by_hdf5(values: np.ndarray, cname: str, elements: int) -> bytes:
    """The only chunk of a dataset."""
    options = dict(hdf5plugin.Bitshuffle(nelems=elements, cname=cname))
    with h5py.File(io.BytesIO(), "w") as file:
        made = file.create_dataset("a", data=values, chunks=values.shape, **options)
        return bytes(made.id.read_direct_chunk((0,))[1])


def codec_of(dtype: str, cname: str, elements: int = 0) -> Any:
    item = np.dtype(dtype).itemsize
    return find("gpuzarr.hdf5_bitshuffle", {"elementsize": item, "block_elements": elements, "cname": cname})


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4", ">i8", "<c16", "S5", "V3"])
@pytest.mark.parametrize("cname", CNAMES)
def test_hdf5_agrees(dtype: str, cname: str, device: Any) -> None:
    for count, elements in [(count, elements) for count in SIZES for elements in (0, 64)]:
        values = values_of(dtype, count)
        stored, codec, spec = (
            by_hdf5(values, cname, elements),
            codec_of(dtype, cname, elements),
            BytesSpec(values.nbytes),
        )
        for made in decoded(device, codec, spec, stored, stored):
            assert bytes(made) == values.tobytes(), (count, elements)
        assert bytes(decoded(CPU, codec, BytesSpec(None), stored)[0]) == values.tobytes()


@pytest.mark.parametrize("cname", CNAMES)
def test_hdf5_reads_what_we_encode(cname: str) -> None:
    for count in SIZES:
        values = values_of("<i4", count)
        (stored,) = whole(codec_of("<i4", cname).encode(batch_on(CPU, [values.tobytes()]), BytesSpec(4 * count), CPU))
        with h5py.File(io.BytesIO(), "w") as file:
            options = dict(hdf5plugin.Bitshuffle(cname=cname))
            made = file.create_dataset("a", values.shape, values.dtype, chunks=values.shape, **options)
            made.id.write_direct_chunk((0,), stored)
            np.testing.assert_array_equal(made[...], values)


@pytest.mark.parametrize("cname", ["lz4", "zstd"])
def test_headers_that_lie(cname: str, device: Any) -> None:
    """Of sizes and blocks: each is an error of its chunk before anything is decoded by it."""
    values = values_of("<i4", 5003)
    good, codec, spec = by_hdf5(values, cname, 0), codec_of("<i4", cname), BytesSpec(4 * 5003)
    for total, block, first in [
        *((2**63, 8192, None), (20011, 8192, None), (20012, 0, None), (20012, 8191, None)),
        *((20012, 2**32 - 1, None), (20012, 32, None), (20012, 8192, 0), (20012, 8192, 2**32 - 1)),
    ]:
        bad = struct.pack(">QI", total, block) + good[12:]
        bad = bad if first is None else bad[:12] + struct.pack(">I", first) + bad[16:]
        with pytest.raises(CodecError) as caught:
            decoded(device, codec, spec, good, bad, good)
        assert caught.value.index == 1
    for cut in (0, 5, 12, 14, len(good) - 1):
        with pytest.raises(CodecError):
            decoded(device, codec, spec, good[:cut])


@pytest.mark.parametrize("cname", CNAMES)
def test_both_devices_say_the_same_of_damage(cname: str, gpu: Any) -> None:
    rng, values = np.random.default_rng(1), values_of("<i2", 300)
    good, codec = by_hdf5(values, cname, 64), codec_of("<i2", cname, 64)

    def outcome(device: Any, stored: bytes) -> bytes | None:
        try:
            return bytes(decoded(device, codec, BytesSpec(600), stored)[0])
        except CodecError:
            return None

    for _ in range(150):
        bad = bytearray(good)
        for at in rng.integers(0, len(good), 3):
            bad[at] ^= 1 << int(rng.integers(8))
        assert outcome(CPU, bytes(bad)) == outcome(gpu, bytes(bad))


@pytest.mark.parametrize("cname", CNAMES)
def test_chunks_that_skip_the_filter(cname: str, device: Any, tmp_path: Path) -> None:
    values = values_of("<i4", 90)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        options = dict(hdf5plugin.Bitshuffle(cname=cname))
        made = file.create_dataset("a", data=values, chunks=(20,), **options)
        made.id.write_direct_chunk((20,), values[20:40].tobytes(), 1)
    array = gpuzarr.open(store_of_file(tmp_path / "f.h5"), path="a", mode="r", device=device)
    np.testing.assert_array_equal(host_array(array[...]), values)
    assert not device.gpu or "GPU decode: yes" in str(array.explain(...))


def test_configurations_that_are_none() -> None:
    for bad in ({"elementsize": 0}, {"elementsize": "4"}, {"block_elements": 7}, {"cname": "zlib"}):
        with pytest.raises(MetadataError):
            find("gpuzarr.hdf5_bitshuffle", bad)


def test_a_new_array_warns_that_only_gpuzarr_reads_it(tmp_path: Path) -> None:
    with pytest.warns(FewReadersWarning, match="no other library"):
        gpuzarr.create_array(tmp_path / "a", shape=8, dtype="i4", compressors="gpuzarr.hdf5_bitshuffle")
