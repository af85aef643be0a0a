"""Chunks of HDF5 and NetCDF4 as kerchunk and VirtualiZarr describe them are decoded on a GPU alone."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest

import gpuzarr
from gpuzarr.gpu import containers, planes
from gpuzarr.stores.references.files import store_of_file
from tests.hardware import host_array

SHAPE, CHUNKS = (70, 45), (16, 20)
DTYPES = ("<i4", ">f4", "<f8", "<u2", ">i8")


def values_of(dtype: str) -> np.ndarray:
    steps = np.random.default_rng(3).integers(-3, 4, SHAPE)
    return np.cumsum(steps, axis=1).astype(dtype)


def stored(values: np.ndarray, filters: list[dict[str, Any]]) -> dict[tuple[int, ...], bytes]:
    """Each chunk as HDF5 stores it, but for one that is missing. `filters`: as numcodecs has them."""
    found = {}
    for at in np.ndindex(*(-(-size // chunk) for size, chunk in zip(SHAPE, CHUNKS, strict=True))):
        whole = np.zeros(CHUNKS, values.dtype)
        part = values[tuple(slice(i * n, (i + 1) * n) for i, n in zip(at, CHUNKS, strict=True))]
        whole[tuple(slice(0, size) for size in part.shape)] = part
        data: Any = whole.tobytes()
        for each in filters:
            data = bytes(np.ascontiguousarray(numcodecs.get_codec(each).encode(data)).view(np.uint8))
        found[at] = data
    del found[1, 1]
    return found


def filters_of(dtype: str) -> list[dict[str, Any]]:
    return [{"id": "shuffle", "elementsize": np.dtype(dtype).itemsize}, {"id": "zlib", "level": 4}]


def of_kerchunk(values: np.ndarray, filters: list[dict[str, Any]]) -> dict[str, bytes]:
    document = {"zarr_format": 2, "shape": SHAPE, "chunks": CHUNKS, "dtype": values.dtype.str, "fill_value": 7}
    document |= {"compressor": None, "filters": filters, "order": "C"}
    chunks = {".".join(map(str, at)): data for at, data in stored(values, filters).items()}
    return {".zarray": json.dumps(document).encode(), **chunks}


def of_virtualizarr(values: np.ndarray, filters: list[dict[str, Any]]) -> dict[str, bytes]:
    endian = {"name": "bytes", "configuration": {"endian": "big" if values.dtype.str[0] == ">" else "little"}}
    others = [
        {"name": f"numcodecs.{each['id']}", "configuration": {k: each[k] for k in each if k != "id"}}
        for each in filters
    ]
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": SHAPE,
        "data_type": values.dtype.name,
        "fill_value": 7,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": CHUNKS}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [endian, *others],
    }
    chunks = {f"c/{at[0]}/{at[1]}": data for at, data in stored(values, filters).items()}
    return {"zarr.json": json.dumps(document).encode(), **chunks}


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """The number of items of each call of a function of a module, in its argument before the last."""
    calls: list[int] = []
    original = getattr(module, name)

    def call(*arguments: Any) -> Any:
        calls.append(len(arguments[1] if name == "copy" else arguments[0]))
        return original(*arguments)

    monkeypatch.setattr(module, name, call)
    return calls


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("described", [of_kerchunk, of_virtualizarr])
@pytest.mark.parametrize("checksum", [[], [{"id": "fletcher32"}]], ids=["", "fletcher32"])
def test_no_step_is_on_the_host(
    dtype: str, described: Any, checksum: list[dict[str, Any]], gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unshuffle is left to placement, and no stream is copied to be aligned."""
    values = values_of(dtype)
    copies, left = counted(monkeypatch, containers, "copy"), counted(monkeypatch, planes, "whole")
    array = gpuzarr.open(described(values, filters_of(dtype) + checksum), mode="r", device=gpu)
    values[16:32, 20:40] = 7
    assert "GPU decode: yes" in str(array.explain(...))
    assert np.array_equal(host_array(array[...]), values.astype(values.dtype.newbyteorder("=")))
    assert copies == [] and left
    assert np.array_equal(host_array(array[5:60:7, -3:1:-2]), values[5:60:7, -3:1:-2])


def test_streams_that_lie_elsewhere_are_copied(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those behind a checksum of an odd number of bytes, or in one request with their neighbours."""
    values, copies = values_of("<i4"), counted(monkeypatch, containers, "copy")
    codec = gpuzarr.codecs.find("zlib", {})
    bodies = [zlib.compress(values[i].tobytes()) for i in range(20)]
    spec, starts = gpuzarr.codecs.BytesSpec(4 * SHAPE[1]), 300 * np.arange(20) + np.arange(20) % 5
    data = np.zeros(6000, np.uint8)
    for start, body in zip(starts.tolist(), bodies, strict=True):
        data[start : start + len(body)] = np.frombuffer(body, np.uint8)
    batch = gpuzarr.batch.EncodedBatch(gpu.upload(data), starts, np.array([len(body) for body in bodies]), data)
    made = codec.decode(batch, spec, gpu)
    gpu.checked()()
    assert all(gpu.download(made[i]).tobytes() == values[i].tobytes() for i in range(20))
    assert copies == [16]  # of 20; a fifth begins where its body is aligned


@pytest.mark.parametrize("dtype", ["<i4", ">f4"])
def test_a_file_with_chunks_that_skip_a_filter(dtype: str, gpu: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    values = values_of(dtype)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset(
            "a", SHAPE, dtype, chunks=CHUNKS, compression=4, shuffle=True, fillvalue=7, fletcher32=True
        )
        made[...] = values
        raw = np.ascontiguousarray(values[16:32, 20:40])
        made.id.write_direct_chunk((16, 20), raw.tobytes(), 0b111)  # no filter at all
        made.id.write_direct_chunk((32, 20), zlib.compress(values[32:48, 20:40].tobytes()), 0b101)  # deflate alone
    array = gpuzarr.open(store_of_file(tmp_path / "f.h5"), path="a", mode="r", device=gpu)
    assert np.array_equal(host_array(array[...]), values.astype(values.dtype.newbyteorder("=")))
    assert "GPU decode: yes" in str(array.explain(...))


def test_damage_names_its_chunk(gpu: Any) -> None:
    store = of_kerchunk(values_of("<i4"), filters_of("<i4"))
    store["2.1"] = store["2.1"][:-2] + b"??"  # of the checksum
    with pytest.raises(gpuzarr.errors.ChunkError, match=r"'2\.1'"):
        gpuzarr.open(store, mode="r", device=gpu)[...]
