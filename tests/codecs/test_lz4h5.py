"""Chunks of HDF5's lz4: hdf5plugin writes what we decode, on both devices, and reads what we encode."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr import native
from gpuzarr.batch import BytesSpec
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.stores.references.files import store_of_file
from tests.chunks import CPU, batch_on, decoded, whole
from tests.hardware import host_array

h5py = pytest.importorskip("h5py")
hdf5plugin = pytest.importorskip("hdf5plugin")
BLOCKS = (0, 64, 1000, 5000)
RNG = np.random.default_rng(3)
VALUES = {
    "one": np.array([7], "u1"),
    "runs": np.repeat(np.arange(50, dtype="<u2"), 40),
    "noise": RNG.integers(0, 256, 3001, "u1"),
    "both": np.concatenate([np.zeros(3000, "u1"), RNG.integers(0, 256, 2001, "u1")]),
}


def by_hdf5(values: np.ndarray, block: int) -> bytes:
    """The only chunk of a dataset."""
    with h5py.File(io.BytesIO(), "w") as file:
        made = file.create_dataset("a", data=values, chunks=values.shape, **hdf5plugin.LZ4(nbytes=block))
        return bytes(made.id.read_direct_chunk((0,))[1])


@pytest.fixture(params=["C", "Python"])
def library(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Python":
        monkeypatch.setattr(native, "library", lambda: None)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("name", VALUES)
@pytest.mark.usefixtures("library")
def test_hdf5_agrees(name: str, block: int, device: Any) -> None:
    values, codec = VALUES[name], find("imagecodecs_lz4h5", {"blocksize": block})
    stored, spec = by_hdf5(values, block), BytesSpec(values.nbytes)
    assert [bytes(made) for made in decoded(device, codec, spec, stored, stored)] == [values.tobytes()] * 2
    assert bytes(decoded(CPU, codec, BytesSpec(None), stored)[0]) == values.tobytes()
    (made,) = whole(codec.encode(batch_on(CPU, [values.tobytes()]), spec, CPU))
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("a", values.shape, values.dtype, chunks=values.shape, **hdf5plugin.LZ4())
        dataset.id.write_direct_chunk((0,), made)
        np.testing.assert_array_equal(dataset[...], values)


@pytest.mark.usefixtures("library")
def test_headers_that_lie(device: Any) -> None:
    """Of sizes and blocks: each is an error of its chunk."""
    good, codec, spec = by_hdf5(VALUES["both"], 1000), find("imagecodecs_lz4h5", {}), BytesSpec(5001)
    for total, block, first in [
        *((2**63, 1000, None), (5000, 1000, None), (5001, 0, None), (5001, 999, None), (5001, 2**32 - 1, None)),
        *((5001, 1000, 0), (5001, 1000, 2**32 - 1), (5001, 1000, 1000)),
    ]:
        bad = struct.pack(">QI", total, block) + good[12:]
        bad = bad if first is None else bad[:12] + struct.pack(">I", first) + bad[16:]
        with pytest.raises(CodecError) as caught:
            decoded(device, codec, spec, good, bad, good)
        assert caught.value.index == 1
    for bad in (*(good[:cut] for cut in (0, 5, 12, 14, len(good) - 1)), good + b"\0"):
        with pytest.raises(CodecError):
            decoded(device, codec, spec, bad)


def test_chunks_of_no_bytes(device: Any) -> None:
    codec, spec = find("imagecodecs_lz4h5", {}), BytesSpec(0)
    assert whole(codec.encode(batch_on(CPU, [b""]), spec, CPU)) == [bytes(12)]
    assert [bytes(made) for made in decoded(device, codec, spec, bytes(12))] == [b""]
    for bad in (b"", bytes(11), bytes(13), b"\1" * 12):
        with pytest.raises(CodecError):
            decoded(device, codec, spec, bad)


def test_both_devices_say_the_same_of_damage(gpu: Any) -> None:
    rng, good, codec = np.random.default_rng(1), by_hdf5(VALUES["both"], 1000), find("imagecodecs_lz4h5", {})

    def outcome(device: Any, stored: bytes) -> bytes | None:
        try:
            return bytes(decoded(device, codec, BytesSpec(5001), stored)[0])
        except CodecError:
            return None

    for _ in range(150):
        bad = bytearray(good)
        for at in rng.integers(0, len(good), 3):
            bad[at] ^= 1 << int(rng.integers(8))
        assert outcome(CPU, bytes(bad)) == outcome(gpu, bytes(bad))


def test_chunks_that_skip_the_filter(device: Any, tmp_path: Path) -> None:
    values = np.arange(90, dtype="<i4")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("a", data=values, chunks=(20,), **hdf5plugin.LZ4())
        made.id.write_direct_chunk((20,), values[20:40].tobytes(), 1)
    array = gpuzarr.open(store_of_file(tmp_path / "f.h5"), path="a", mode="r", device=device)
    np.testing.assert_array_equal(host_array(array[...]), values)


def test_configurations_that_are_none() -> None:
    for bad in ({"blocksize": -1}, {"blocksize": 2**31}, {"blocksize": "4"}, {"level": "1"}):
        with pytest.raises(MetadataError):
            find("imagecodecs_lz4h5", bad)
