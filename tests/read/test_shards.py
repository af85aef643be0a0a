"""Shards of every make: as a layout, nested, and as one codec among others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import parse
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.stores.local.objects import LocalObjects
from gpuzarr.stores.local.store import LocalStore
from tests import nasty
from tests.hardware import host_array

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
BIG = {"name": "bytes", "configuration": {"endian": "big"}}
ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
GZIP = {"name": "gzip", "configuration": {"level": 1}}
CRC = {"name": "crc32c"}
SHAPE, SHARD = (10, 12), (4, 6)


def sharding(inner: tuple[int, ...], codecs: list[Any], index: list[Any] | None = None, location: str = "end") -> Any:
    index_codecs = [LITTLE, CRC] if index is None else index
    configuration = {"chunk_shape": inner, "codecs": codecs, "index_codecs": index_codecs, "index_location": location}
    return {"name": "sharding_indexed", "configuration": json.loads(json.dumps(configuration))}


CHAINS = {
    "end": [sharding((2, 3), [LITTLE, ZSTD])],
    "start": [sharding((2, 3), [LITTLE, ZSTD], location="start")],
    "raw": [sharding((2, 3), [LITTLE])],
    "big-endian index without checksum": [sharding((2, 2), [LITTLE, GZIP], [BIG])],
    "nested": [sharding((4, 3), [sharding((2, 1), [LITTLE, ZSTD])])],
    "nested, start in end": [sharding((2, 6), [sharding((1, 3), [BIG, CRC], location="start")])],
    "transpose inside": [sharding((2, 3), [{"name": "transpose", "configuration": {"order": [1, 0]}}, LITTLE, ZSTD])],
    "codecs around": [sharding((2, 3), [LITTLE, ZSTD]), GZIP, CRC],
    "nested, codecs around the inner one": [sharding((4, 3), [sharding((2, 1), [LITTLE, ZSTD]), CRC])],
    "transpose before": [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        sharding((3, 4), [LITTLE, ZSTD]),
    ],
}


def document(codecs: list[Any], shape: tuple[int, ...] = SHAPE, shard: tuple[int, ...] = SHARD) -> dict[str, Any]:
    return nasty.array(shape, shard, codecs, data_type="int32", fill_value=5, attributes={})


def store(codecs: list[Any]) -> tuple[dict[str, bytes], np.ndarray]:
    """An array that our own encoder wrote; a shard in the middle is missing, and so are some inner chunks."""
    want = np.arange(120, dtype="i4").reshape(SHAPE)
    want[4:8, :6] = 5
    want[:2, :3] = 5
    found = {"zarr.json": json.dumps(document(codecs)).encode()}
    chain = Chain.build(parse(codecs), ChunkSpec(SHARD, np.dtype("i4"), np.int32(5)))
    padded = np.full((12, 12), 5, "i4")
    padded[:10] = want
    for i in range(3):
        for j in range(2):
            if (i, j) != (1, 0):
                chunk = padded[4 * i : 4 * i + 4, 6 * j : 6 * j + 6]
                found[f"c/{i}/{j}"] = chain.encode(chunk[None], CPU)[0].tobytes()
    return found, want


@pytest.mark.parametrize("name", CHAINS)
def test_read(name: str, device: Device) -> None:
    files, want = store(CHAINS[name])
    a = gpuzarr.open_array(files, device=device)
    np.testing.assert_array_equal(host_array(a[...]), want)
    np.testing.assert_array_equal(host_array(a[3:9, 2:11:3]), want[3:9, 2:11:3])
    np.testing.assert_array_equal(host_array(a.vindex[[0, 9, 4], [1, 11, 4]]), want[[0, 9, 4], [1, 11, 4]])


@pytest.mark.parametrize("name", [name for name in CHAINS if "around" not in name])
def test_peers_read_what_we_encode(name: str, tmp_path: Path) -> None:
    files, want = store(CHAINS[name])
    for key, data in files.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(data)
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{tmp_path}/"}}
    ts = pytest.importorskip("tensorstore")
    np.testing.assert_array_equal(ts.open(spec, read=True).result().read().result(), want)
    if name != "transpose before":  # which zarr-python refuses
        np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], want)


def test_shards_and_chunks_are_told() -> None:
    a = gpuzarr.open_array(store(CHAINS["nested"])[0], device="cpu")
    assert (a.shards, a.chunks, a.cdata_shape, a.nchunks) == (SHARD, (2, 1), (5, 12), 60)
    b = gpuzarr.open_array(store(CHAINS["codecs around"])[0], device="cpu")
    assert (b.shards, b.chunks) == (None, SHARD)


WRONG = {
    "an index of no fixed size": [sharding((2, 3), [LITTLE], [LITTLE, ZSTD])],
    "inner chunks that do not divide": [sharding((3, 3), [LITTLE])],
    "too many axes": [sharding((2, 3, 1), [LITTLE])],
    "inner chunks of nothing": [sharding((0, 3), [LITTLE])],
    "no array->bytes inside": [sharding((2, 3), [ZSTD])],
    "another place for the index": [sharding((2, 3), [LITTLE], location="middle")],
    "inner shards that do not divide": [sharding((4, 3), [sharding((3, 1), [LITTLE])])],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_metadata(name: str) -> None:
    with pytest.raises(gpuzarr.MetadataError):
        gpuzarr.open_array({"zarr.json": json.dumps(document(WRONG[name])).encode()}, device="cpu")


class Remote(LocalObjects):
    """Files as a remote store has them: which version a file is, is known only when it was read."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.known: list[Any] = []
        self.was_read: bool = False

    def versions(self, known: Any = ()) -> list[Any]:
        now = super().versions()
        self.known = [new if self.was_read or old is None else old for old, new in zip(known, now, strict=True)]
        return self.known

    def changed(self) -> bool:
        return bool(self.known) and self.known != super().versions()

    def read(self, *arguments: Any) -> Any:
        self.was_read = True
        return super().read(*arguments)


@pytest.mark.parametrize("chunks", [(4, 4), (64, 64)])  # batch by batch, chunk by chunk
def test_a_store_may_learn_of_a_new_version_after_the_read(
    chunks: tuple[int, int], tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (chunks[0] * 4, chunks[1] * 4)
    values = np.arange(np.prod(shape), dtype="i4").reshape(shape)
    z = zarr.create_array(tmp_path / "a", shape=shape, dtype="i4", chunks=chunks, shards=(chunks[0] * 2, chunks[1] * 2))
    z[...] = values
    monkeypatch.setattr(LocalStore, "open", lambda self, keys, threads=1: Remote(self, keys, threads))
    a = gpuzarr.open_array(tmp_path / "a", device=device)
    np.testing.assert_array_equal(host_array(a[...]), values)
    z[...] = values[::-1] % 1000
    np.testing.assert_array_equal(host_array(a[1:5, 1:5]), values[::-1][1:5, 1:5] % 1000)
    np.testing.assert_array_equal(host_array(a[...]), values[::-1] % 1000)
