"""Streams of LZF: h5py writes what we decode and reads what we encode, and C does what Python does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import native
from gpuzarr.batch import BytesSpec
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats import lzf
from gpuzarr.stores.references.files import store_of_file
from tests.chunks import CPU, batch_on, decoded, whole
from tests.hardware import host_array

h5py = pytest.importorskip("h5py")
OF_HDF5 = find(lzf.NAME, {"header": False})
RNG = np.random.default_rng(3)
VALUES = {
    "runs": np.repeat(np.arange(50, dtype="<u2"), 400),
    "zeros": np.zeros(30_000, "u1"),
    "steps": np.cumsum(RNG.integers(0, 2, 9000)).astype("<u4"),
    "far": np.concatenate([RNG.integers(0, 256, 8190, "u1")] * 3),  # repeats that are nearly too far away
    "both": np.concatenate([np.zeros(3000, "u1"), RNG.integers(0, 256, 2001, "u1")]),
}


@pytest.fixture(params=["C", "Python"])
def library(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Python":
        monkeypatch.setattr(native, "library", lambda: None)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.usefixtures("library")
def test_hdf5_agrees(name: str) -> None:
    values, spec = VALUES[name], BytesSpec(VALUES[name].nbytes)
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("a", data=values, chunks=values.shape, compression="lzf")
        skipped, stored = dataset.id.read_direct_chunk((0,))
        assert not skipped
        assert [bytes(made) for made in decoded(CPU, OF_HDF5, spec, stored, stored)] == [values.tobytes()] * 2
        assert bytes(decoded(CPU, OF_HDF5, BytesSpec(None), stored)[0]) == values.tobytes()
        (made,) = whole(OF_HDF5.encode(batch_on(CPU, [values.tobytes()]), spec, CPU))
        assert len(made) < 1.2 * len(stored)
        dataset[...] = 0
        dataset.id.write_direct_chunk((0,), made)
        np.testing.assert_array_equal(dataset[...], values)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(1, 300)), max_size=12), st.booleans())
@pytest.mark.usefixtures("compiled")
def test_c_makes_what_python_makes(parts: list[tuple[bytes, int]], header: bool) -> None:
    values, codec = (
        b"".join(part * (times // (1 + len(part)) + 1) for part, times in parts),
        find(lzf.NAME, {"header": header}),
    )
    spec = BytesSpec(len(values))
    (made,) = whole(codec.encode(batch_on(CPU, [values]), spec, CPU))
    assert made == len(values).to_bytes(4, "little") * header + lzf.encoded(values)
    assert bytes(decoded(CPU, codec, spec, made)[0]) == values == lzf.decoded(made[4 * header :], len(values))
    assert lzf.decoded_size(made[4 * header :]) == len(values)


@pytest.mark.parametrize(
    "stream, nbytes",
    [
        *((b"\x02abc", 2), (b"\x02abc", 4), (b"\x02ab", 3), (b"\x02abc\x00", 3), (b"", 1)),  # too many, or too few
        *((b"\x00a\x20\x01", 4), (b"\x00a\x3f\xff", 4), (b"\x20\x00", 3)),  # from before the beginning
        *((b"\x00a\x20", 4), (b"\x00a\xe0", 10), (b"\x00a\xe0\x01", 11), (b"\x00a\xe0\xff\x00", 9)),  # cut, or too long
    ],
)
@pytest.mark.usefixtures("library")
def test_streams_that_are_damaged(stream: bytes, nbytes: int) -> None:
    good = lzf.encoded(bytes(nbytes))
    with pytest.raises(CodecError) as caught:
        decoded(CPU, OF_HDF5, BytesSpec(nbytes), good, stream, good)
    assert caught.value.index == 1


def test_repeats_that_overlap(library: None) -> None:
    for distance in (1, 2, 3, 15, 16, 17, 31):
        for n in (3, 8, 9, 16, 17, 264):
            plain = bytes(range(65, 65 + distance))
            long = bytes([n - 9]) if n >= 9 else b""
            stream = bytes([distance - 1]) + plain + bytes([min(n - 2, 7) << 5]) + long + bytes([distance - 1]) + b"\0z"
            want = plain + (plain * n)[:n] + b"z"
            assert bytes(decoded(CPU, OF_HDF5, BytesSpec(len(want)), stream)[0]) == want


def test_chunks_that_skip_the_filter(device: Any, tmp_path: Path) -> None:
    values = np.arange(90, dtype="<i4") // 20
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("a", data=values, chunks=(20,), compression="lzf")
        made.id.write_direct_chunk((20,), values[20:40].tobytes(), 1)
    array = gpuzarr.open(store_of_file(tmp_path / "f.h5"), path="a", mode="r", device=device)
    np.testing.assert_array_equal(host_array(array[...]), values)


def test_configurations_that_are_none() -> None:
    with pytest.raises(MetadataError):
        find(lzf.NAME, {"header": 1})
