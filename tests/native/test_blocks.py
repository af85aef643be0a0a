"""Blocks of HDF5's bitshuffle: C makes of any elements the bytes that NumPy makes, and gets them back."""

from __future__ import annotations

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec
from gpuzarr.codecs import find
from gpuzarr.cpu import lz4_library, zstd_library
from gpuzarr.formats.hdf5_bitshuffle import encoded
from tests.chunks import CPU, batch_on, decoded, whole

pytestmark = pytest.mark.usefixtures("compiled")
COUNTS = (1, 7, 8, 40, 127, 128, 136, 1023, 4999)  # elements: fewer than a group of 8, than 16 groups, and more


@pytest.mark.parametrize("elementsize", [1, 2, 3, 4, 7, 8, 12, 16, 31])
@pytest.mark.parametrize("elements", [0, 8, 200, 4096])
@pytest.mark.parametrize("cname", ["none", "lz4", "zstd"])
def test_c_and_numpy_agree(elementsize: int, elements: int, cname: str) -> None:
    configuration = {"elementsize": elementsize, "block_elements": elements, "cname": cname}
    codec = find("gpuzarr.hdf5_bitshuffle", configuration)
    for count in COUNTS if cname == "none" else COUNTS[::4]:
        values = np.random.default_rng(count).integers(0, 99, count * elementsize, np.uint8).tobytes()
        want = encoded(values, elementsize, elements, cname)
        spec = BytesSpec(len(values))
        assert list(map(bytes, whole(codec.encode(batch_on(CPU, [values, values]), spec, CPU)))) == [want, want]
        assert [bytes(made) for made in decoded(CPU, codec, spec, want, want)] == [values, values]
        assert bytes(decoded(CPU, codec, BytesSpec(None), want)[0]) == values


@pytest.mark.parametrize("cname", ["lz4", "zstd"])
def test_a_compressor_that_c_cannot_call(cname: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python decompresses and encodes then."""
    codec, values = find("gpuzarr.hdf5_bitshuffle", {"elementsize": 2, "cname": cname}), bytes(range(256)) * 99
    (want,) = whole(codec.encode(batch_on(CPU, [values]), BytesSpec(len(values)), CPU))
    monkeypatch.setattr(lz4_library, "_function", lambda name: None)
    monkeypatch.setattr(zstd_library, "_library", lambda: None)
    monkeypatch.setattr(zstd_library, "_local", type("Local", (), {})())
    assert codec.decode_function() is None and codec.chunk_encoder() is None
    assert bytes(whole(codec.encode(batch_on(CPU, [values]), BytesSpec(len(values)), CPU))[0]) == want
    assert bytes(decoded(CPU, codec, BytesSpec(len(values)), want)[0]) == values
