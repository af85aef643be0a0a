"""Chunks without a selection: fetched as they are stored, and decoded, by who places them himself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.read.fetch import Memory, decode, fetch
from tests.hardware import host_array

c = zarr.codecs
VALUES = np.random.default_rng(0).integers(0, 50, (40, 60)).astype("i4")
CHUNKS = (8, 16)
LAYOUTS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": [c.ZstdCodec()]},
    "v2 blosc": {"compressors": [numcodecs.Blosc("lz4")], "zarr_format": 2},
    "host codec": {"compressors": [c.numcodecs.BZ2(level=1)]},
    "shards": {"compressors": [c.ZstdCodec()], "shards": (16, 32)},
    "raw shards": {"compressors": None, "shards": (16, 32)},
}


@pytest.fixture
def array(tmp_path: Path, device: Device, request: pytest.FixtureRequest) -> gpuzarr.Array:
    z = zarr.create_array(
        tmp_path / "a", shape=VALUES.shape, dtype="i4", chunks=CHUNKS, fill_value=7, **LAYOUTS[request.param]
    )
    z[:32] = VALUES[:32]  # chunks of the last row of shards (and of chunks) are missing
    return gpuzarr.open_array(tmp_path / "a", device=device)


def chunk_at(coords: np.ndarray) -> np.ndarray:
    """A whole chunk, also beyond the end of the array."""
    whole = np.full((40, 64), 7, "i4")
    whole[:32, :60] = VALUES[:32]
    row, column = coords * CHUNKS
    return whole[row : row + CHUNKS[0], column : column + CHUNKS[1]]


@pytest.mark.parametrize("array", LAYOUTS, indirect=True)
def test_fetched_chunks_decode_to_what_is_stored(array: gpuzarr.Array, device: Device) -> None:
    coords = np.array([(i, j) for i in (4, 1, 0, 3) for j in (3, 0, 2)])
    with device.on():
        fetched = fetch(array, coords, Memory(device))
        assert fetched is not None and fetched.present.tolist() == [i != 4 for i in coords[:, 0]]
        assert len(fetched.encoded) == np.count_nonzero(fetched.present)
        chunks = host_array(decode(array, fetched, array.layout.chain(CHUNKS), coords, device))
        if complete := device.checked():
            complete()
    for chunk, at in zip(chunks, coords[fetched.present], strict=True):
        within = (VALUES.shape - at * CHUNKS).clip(max=CHUNKS)
        wanted = tuple(map(slice, within))
        np.testing.assert_array_equal(chunk[wanted], chunk_at(at)[wanted])


@pytest.mark.parametrize("array", ["raw", "shards"], indirect=True)
def test_too_much_is_not_fetched(array: gpuzarr.Array, device: Device) -> None:
    """Several chunks that would take more than is allowed; a single one is always fetched."""
    coords = np.array([(0, 0), (0, 1), (1, 0)])
    assert fetch(array, coords, Memory(device, max_bytes=100)) is None
    alone = fetch(array, coords[:1], Memory(device, max_bytes=1))
    assert alone is not None and alone.present.all()


@pytest.mark.damaging
@pytest.mark.parametrize("array", ["zstd"], indirect=True)
def test_a_damaged_chunk_is_named(array: gpuzarr.Array, device: Device) -> None:
    file = Path(array.store.root) / "c" / "1" / "2"
    file.write_bytes(file.read_bytes()[:20])
    coords = np.array([(4, 0), (0, 0), (1, 2)])
    fetched = fetch(array, coords, Memory(device))
    assert fetched is not None
    with pytest.raises(gpuzarr.GpuZarrError) as caught, device.on():
        decode(array, fetched, array.layout.chain(CHUNKS), coords, device)
        if complete := device.checked():
            complete()
    if not device.gpu:
        assert caught.value.chunk == (1, 2)  # on a GPU it is known only when the batch is complete
