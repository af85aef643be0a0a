"""Stores that write arrays themselves, disks that are full, chunks that cannot be encoded: what was there stays."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ChunkError, StoreError
from tests.hardware import host_array

VALUES = (np.arange(1 << 17, dtype="u4") // 7).reshape(4, -1)  # chunks that go one by one


def stored(store: Any, level: int, checksum: bool) -> dict[str, bytes]:
    zstd = {"name": "zstd", "configuration": {"level": level, "checksum": checksum}}
    made = {"shape": VALUES.shape, "chunks": (1, VALUES.shape[1]), "dtype": "u4", "compressors": [zstd]}
    gpuzarr.create_array(store, device="cpu", **made)[...] = VALUES
    return {key: value for key, value in store.items() if key.startswith("c/")}


def test_a_store_that_writes_another_array() -> None:
    """On the same thread, between two chunks: each array has its own level and checksum."""
    inner, outer = stored({}, 9, True), stored({}, 1, False)

    class Store(dict[str, bytes]):
        def __setitem__(self, key: str, value: bytes) -> None:
            assert not key.startswith("c/") or stored({}, 9, True) == inner
            super().__setitem__(key, value)

    assert stored(Store(), 1, False) == outer


def test_a_mapping_whose_disk_is_full() -> None:
    class Store(dict[str, bytes]):
        def __setitem__(self, key: str, value: bytes) -> None:
            if key.startswith("c/2"):
                raise OSError(errno.ENOSPC, "no space")
            super().__setitem__(key, value)

    with pytest.raises(StoreError, match="'c/2/0'") as caught:
        stored(Store(), 1, False)
    assert caught.value.errno == errno.ENOSPC


def test_strings_without_axes(device: Device, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(), chunks=(), dtype="string", fill_value="x", device=device)
    for text in ("y", "x"):
        a[...] = text
        assert str(a[...]) == text and (tmp_path / "c").exists() == (text == "y")


def test_what_a_shard_within_codecs_cannot_encode_is_the_fault_of_its_chunk(device: Device, tmp_path: Path) -> None:
    uneven = {"name": "numcodecs.shuffle", "configuration": {"elementsize": 8}}
    little: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
    inner = {"codecs": [little, {"name": "zstd"}, uneven], "index_codecs": [little], "index_location": "end"}
    shard = {"name": "sharding_indexed", "configuration": {"chunk_shape": [1], **inner}}
    made = {"shape": (12,), "chunks": (4,), "dtype": "u4", "serializer": shard, "compressors": ["zstd"]}
    a = gpuzarr.create_array(tmp_path, fill_value=0, device=device, **made)
    with pytest.raises(ChunkError) as caught:
        a[...] = np.arange(12) // 11
    assert caught.value.chunk == (2,)
    assert (host_array(a[...]) == 0).all()
