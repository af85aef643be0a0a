"""Files larger than can be right, sparse ones too, are refused by their length before a byte of them is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest

import gpuzarr
from gpuzarr.checks import MAX_DOCUMENT_BYTES
from gpuzarr.devices.contract import Device
from gpuzarr.stores.local.objects import LocalObjects
from gpuzarr.stores.local.open_files import OpenFiles
from tests.hardware import host_array
from tests.hostile import LITTLE, document, memory_below, shards

LARGE = 1 << 40
COMPRESSORS: list[Any] = ["zstd", "gzip", "blosc", *(f"numcodecs.{name}" for name in ("lz4", "zlib", "bz2", "lzma"))]
CHAINS: dict[str, tuple[list[Any], int | None]] = {  # and the bytes of a chunk of 4 elements, if they are known
    "raw": ([LITTLE], 4),
    "crc32c": ([LITTLE, "crc32c"], 8),
    "shuffle": ([LITTLE, {"name": "numcodecs.shuffle", "configuration": {"elementsize": 2}}], 4),
    **{str(name): ([LITTLE, name], None) for name in COMPRESSORS},
    "zstd crc32c": ([LITTLE, "zstd", "crc32c"], None),
    "shard in zstd": ([shards([2], [LITTLE]), "zstd"], None),
}


def folder(path: Path, codecs: list[Any], elements: int = 4, dtype: str = "uint8", fill: Any = 0) -> Path:
    """An array of 4 chunks."""
    path.mkdir()
    (path / "c").mkdir()
    (path / "zarr.json").write_bytes(document(codecs, dtype, (4 * elements,), fill, (elements,)))
    return path


def sparse(file: Path, nbytes: int) -> None:
    file.touch()
    os.truncate(file, nbytes)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be read from files of chunks."""
    monkeypatch.setattr(LocalObjects, "read", None)
    monkeypatch.setattr(OpenFiles, "read_one", None)


@pytest.mark.parametrize("elements", [4, 1 << 20])
@pytest.mark.parametrize("name", CHAINS)
def test_chunks(name: str, elements: int, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codecs, nbytes = CHAINS[name]
    if "shard" in name:
        codecs = [shards([elements // 2], [LITTLE]), "zstd"]
    array = gpuzarr.open_array(folder(tmp_path / "a", codecs, elements), mode="r+", device=device)
    array[:elements] = 7
    good = (tmp_path / "a/c/0").stat().st_size
    for size in (LARGE, *(() if nbytes is None else (good + 1, good - 1))):
        sparse(tmp_path / "a/c/2", size)
        assert (host_array(array[:elements]) == 7).all()
        with monkeypatch.context() as patch, memory_below((16 << 20) + 20 * elements):
            patch.setattr(OpenFiles, "read", None)
            patch.setattr(OpenFiles, "read_one", None)
            for selection in (slice(None), slice(2 * elements, 2 * elements + 1), [2 * elements + 1]):
                with pytest.raises(gpuzarr.ChunkError, match="expected") as caught:
                    array[2 * elements :] if selection == slice(None) else array[selection]
                assert caught.value.key == "c/2" and caught.value.chunk == (2,) and str(size) in str(caught.value)
            if not device.gpu:
                with pytest.raises(gpuzarr.ChunkError, match="expected"):
                    array[2 * elements] = 3  # the other elements would be read


def test_inner_chunks(device: Device, tmp_path: Path) -> None:
    """Of a shard that is a sparse file, with an index that names all of it."""
    for at, codecs in enumerate(([LITTLE], [LITTLE, "zstd"], [LITTLE, "crc32c"])):
        path = folder(tmp_path / str(at), [shards([1], codecs)])
        sparse(path / "c/0", LARGE)
        with (path / "c/0").open("r+b") as file:
            file.seek(LARGE - 64)
            file.write(np.array([[0, LARGE - 64], [8, 2], [16, 2], [2**64 - 1] * 2], "<u8").tobytes())
        array = gpuzarr.open_array(path, mode="r+", device=device)
        with memory_below(16 << 20):
            for act in (lambda a: a[0:1], lambda a: a[:4], lambda a: a.__setitem__(3, 1), lambda a: a.get([0])):
                with pytest.raises(gpuzarr.ChunkError):
                    act(array)
        assert (path / "c/0").stat().st_size == LARGE and os.listdir(path / "c") == ["0"]


def test_texts(device: Device, tmp_path: Path) -> None:
    for at, codecs in enumerate((["vlen-utf8"], ["vlen-utf8", "zstd"], ["numcodecs.json2"])):
        path = folder(tmp_path / str(at), codecs, dtype="string", fill="")
        sparse(path / "c/1", LARGE)
        array = gpuzarr.open_array(path, device=device)
        assert host_array(array[:4]).tolist() == [""] * 4
        with memory_below(16 << 20), pytest.raises(gpuzarr.ChunkError, match="at most"):
            array[4:8]


@pytest.mark.parametrize("name", ["zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"])
def test_documents(name: str, tmp_path: Path) -> None:
    if name == ".zmetadata":
        (tmp_path / ".zgroup").write_text('{"zarr_format": 2}')
    if name == ".zattrs":
        gpuzarr.create_array(tmp_path, shape=1, dtype="i4", zarr_format=2)
    sparse(tmp_path / name, MAX_DOCUMENT_BYTES + 1)
    with memory_below(16 << 20), pytest.raises(gpuzarr.GpuZarrError, match=str(MAX_DOCUMENT_BYTES)):
        gpuzarr.open(tmp_path, device="cpu").attrs.asdict()


def test_a_document_of_many_megabytes(tmp_path: Path) -> None:
    text = json.loads(document([LITTLE])) | {"attributes": {"history": "x" * (20 << 20)}}
    (tmp_path / "zarr.json").write_text(json.dumps(text))
    assert len(gpuzarr.open_array(tmp_path, device="cpu").attrs["history"]) == 20 << 20


def test_no_memory_for_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    (tmp_path / "zarr.json").write_bytes(document([LITTLE]))
    for place in ("gpuzarr.metadata.json.loads", "gpuzarr.stores.local.objects.LocalObjects.reader"):
        with monkeypatch.context() as patch, pytest.raises(gpuzarr.NoMemoryError, match=r"zarr\.json"):
            patch.setattr(place, no_memory)
            gpuzarr.open_array(tmp_path, device="cpu")


def test_what_other_writers_store_is_read(device: Device, tmp_path: Path) -> None:
    """Padding, many members, blocks that are not compressed: more bytes than an encoder makes, and right."""
    value = np.arange(16, dtype="u1")
    member, frame = (bytes(numcodecs.get_codec({"id": name}).encode(value)) for name in ("gzip", "zstd"))
    no_text = bytes(numcodecs.GZip(1).encode(b""))
    skipped = b"\x50\x2a\x4d\x18" + (60_000).to_bytes(4, "little") + bytes(60_000)
    flushed = b"".join(bytes(numcodecs.GZip(9).encode(value[i : i + 1])) for i in range(16))
    chunks = {
        "gzip": [member, no_text * 1000 + member, flushed],
        "zstd": [skipped + frame + skipped, skipped * 8 + frame],
    }
    for name, stored in chunks.items():
        path = folder(tmp_path / name, [LITTLE, name], 16)
        for i, chunk in enumerate(stored):
            (path / f"c/{i}").write_bytes(chunk)
            array = gpuzarr.open_array(path, device=device)
            assert (host_array(array[16 * i : 16 * i + 16]) == value).all()
