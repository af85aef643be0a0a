"""A write of a part of a shard copies the other inner chunks: never more bytes than the shard has, whatever it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.attack.rounds import FACTOR, rounds
from tests.hardware import host_array
from tests.hostile import LITTLE, document, shards

CHUNKS, EMPTY = 256, 2**64 - 1


def crafted(path: Path, entries: np.ndarray, body: bytes) -> gpuzarr.Array:
    """An array of one shard of inner chunks of 4096 bytes, raw ones, with this index."""
    (path / "c").mkdir(parents=True)
    shape = (CHUNKS * 4096,)
    (path / "zarr.json").write_bytes(document([shards([4096], [LITTLE])], shape=shape))
    (path / "c/0").write_bytes(body + entries.astype("<u8").tobytes())
    return gpuzarr.open_array(path, mode="r+")


def test_entries_of_the_same_bytes_are_not_multiplied(tmp_path: Path) -> None:
    same = np.tile(np.array([0, 4096]), (CHUNKS, 1))
    shifted = np.stack([np.arange(CHUNKS), np.full(CHUNKS, 4096)], axis=1)
    twice = np.full((CHUNKS, 2), EMPTY, np.uint64)
    twice[[3, 200]] = 100, 4096
    for number, entries in enumerate((same, shifted, twice)):
        path = tmp_path / str(number)
        array = crafted(path, entries, bytes(8192))
        before = (path / "c/0").read_bytes()
        with pytest.raises(gpuzarr.ChunkError, match="same bytes") as caught:
            array[:4096] = 1
        assert caught.value.codec == "sharding_indexed" and caught.value.key == "c/0"
        assert (path / "c/0").read_bytes() == before and len(list((path / "c").iterdir())) == 1
        assert not host_array(array[4096:8192]).any()


def test_any_index(tmp_path: Path) -> None:
    """The new shard has at most the bytes of the old one and of what was written; or the write is refused."""
    rng, written = np.random.default_rng(3), 0
    for number in rounds("crafted shard indexes", range(20 * FACTOR)):
        entries = np.full((CHUNKS, 2), EMPTY, np.uint64)
        some = rng.choice(CHUNKS, int(rng.integers(1, 6)), replace=False)
        entries[some, 0] = 4096 * rng.integers(0, 8, len(some)) + rng.integers(0, 2) * rng.integers(0, 5000, len(some))
        entries[some, 1] = 4096
        array = crafted(tmp_path / str(number), entries, bytes(40_000))
        file = tmp_path / str(number) / "c/0"
        old = file.stat().st_size
        try:
            array[:4096] = 1
        except gpuzarr.ChunkError:
            assert file.stat().st_size == old
        else:
            written += 1
            assert file.stat().st_size <= old + 4096
    assert written


def test_gaps_and_another_order_are_no_overlap(tmp_path: Path, device: Device) -> None:
    entries = np.full((CHUNKS, 2), EMPTY, np.uint64)
    entries[5], entries[1], entries[9] = (0, 4096), (5000, 4096), (9096, 4096)
    crafted(tmp_path / "a", entries, np.arange(14_000).astype("u1").tobytes())
    array = gpuzarr.open_array(tmp_path / "a", mode="r+", device=device)
    array[:4096] = 1
    assert [int(host_array(array[4096 * i : 4096 * i + 1])[0]) for i in (0, 1, 5, 9)] == [1, 5000 % 256, 0, 9096 % 256]
