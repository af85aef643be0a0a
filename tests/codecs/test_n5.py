"""Blocks of N5: whole and cut ones of every compression, and headers that lie."""

from __future__ import annotations

import base64
import itertools
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import native
from gpuzarr.codecs import find
from gpuzarr.cpu.xxh32 import xxh32
from gpuzarr.devices.contract import Device
from tests.chunks import CPU, decode_bytes, encode_bytes
from tests.conftest import examples
from tests.hardware import host_array
from tests.hostile import memory_below
from tests.n5 import COMPRESSIONS, attributes, block, dataset

KINDS = [kind for kind in COMPRESSIONS if kind != "lz4"]  # of which numcodecs has another form
OF_DEVICES = settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def numbers(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray:
    return (np.arange(np.prod(shape, dtype=int)).reshape(shape) * 7 % 251).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape, size", [((7, 5), (3, 4)), ((9,), (4,)), ((4, 5, 6), (2, 5, 4)), ((40, 70), (32, 32))])
@pytest.mark.parametrize("cut", [True, False])
def test_every_compression(kind: str, shape: Any, size: Any, cut: bool, device: Device) -> None:
    values = numbers(shape, "float32" if kind == "gzip" else "uint16")
    a = gpuzarr.open_array(dataset(values, size, kind, cut), device=device)
    assert (a.shape, a.chunks, a.dtype) == (values.shape, size, values.dtype)
    np.testing.assert_array_equal(host_array(a[...]), values)
    part = tuple(slice(n // 3, n - n // 4) for n in shape)
    np.testing.assert_array_equal(host_array(a[part]), values[part])


@OF_DEVICES
@given(data=st.data())
def test_any_block_may_be_smaller(data: st.DataObject, device: Device) -> None:
    """And what it lacks is zero."""
    ndim = data.draw(st.integers(1, 3))
    size = tuple(data.draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim)))
    counts = data.draw(st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim))
    dtype, kind = data.draw(st.sampled_from(["uint8", "int16", "float64"])), data.draw(st.sampled_from(KINDS))
    values = numbers(tuple(n * s for n, s in zip(counts, size, strict=True)), dtype)
    store, expected = dataset(values, size, kind), np.zeros_like(values)
    for at in itertools.product(*map(range, counts)):
        name = "/".join(map(str, at))
        if data.draw(st.booleans()):
            del store[name]
            continue
        shape = [data.draw(st.integers(1 if kind == "blosc" else 0, side)) for side in size]
        place = tuple(slice(i * s, i * s + n) for i, s, n in zip(at, size, shape, strict=True))
        expected[place] = values[place]
        store[name] = block(values[place], kind)
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(store, device=device)[...]), expected)


@pytest.mark.parametrize("kind", ["raw", "gzip", "zlib", "zstd", "blosc"])
def test_a_gpu_decodes_them(kind: str, gpu: Device) -> None:
    a = gpuzarr.open_array(dataset(numbers((64, 64)), (32, 32), kind), device=gpu)
    assert a.layout.chain((32, 32)).is_all_on_gpu
    np.testing.assert_array_equal(host_array(a[3:50, ::2]), numbers((64, 64))[3:50, ::2])


def test_blocks_of_n5_in_zarr_v3(device: Device) -> None:
    """What is missing of a block is the fill value; and blocks are written, too."""
    inner = [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
        {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
    ]
    store: dict[str, bytes] = {}
    codec = {"name": "n5_default", "configuration": {"codecs": inner}}
    keys = {"name": "v2", "separator": "/"}
    a = gpuzarr.create_array(
        store,
        shape=(8, 6),
        chunks=(4, 3),
        dtype="int32",
        serializer=codec,
        compressors=None,
        fill_value=258,
        chunk_key_encoding=keys,
        device=device,
    )
    values = numbers((8, 6), "int32")
    a[...] = values
    assert store["0/1"][:12] == struct.pack(">HHII", 0, 2, 4, 3)
    store["0/1"] = block(values[:2, 3:5], "zstd")
    values[2:4, 3:], values[:4, 5] = 258, 258
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(store, device=device)[...]), values)


@pytest.mark.parametrize(
    "mode, name", [(1, "mode 1, varlength"), (2, "mode 2, object"), (3, "mode 3, unknown"), (513, "mode 513, unknown")]
)
def test_other_modes_are_refused_by_name(mode: int, name: str, device: Device) -> None:
    store = dataset(numbers((4, 4)), (2, 2))
    store["1/0"] = block(numbers((2, 2)), mode=mode)
    with pytest.raises(gpuzarr.ChunkError, match=name) as caught:
        gpuzarr.open_array(store, device=device)[...]
    assert (caught.value.chunk, caught.value.codec) == ((1, 0), "n5_default")


@OF_DEVICES
@given(data=st.data())
def test_hostile_blocks(data: st.DataObject, device: Device) -> None:
    """Any bytes in a block, of which some may be those of a good one: values, or an error that names the chunk."""
    kind = data.draw(st.sampled_from(KINDS))
    store = dataset(numbers((6, 5)), (3, 3), kind)
    good = store["1/1"]
    side = st.one_of(st.integers(0, 5), st.sampled_from([2**31 - 1, 2**31, 2**32 - 1]))
    header = struct.pack(">HHII", data.draw(st.sampled_from([0, 0, 0, 1])), 2, data.draw(side), data.draw(side))
    body = good[12:] if data.draw(st.booleans()) else data.draw(st.binary(max_size=40))
    store["1/1"] = (header + body)[: data.draw(st.sampled_from([4, 11, 12, 13, 10_000]))]
    with memory_below(24 << 20):
        try:
            made = gpuzarr.open_array(store, device=device)[...]
        except gpuzarr.ChunkError as error:
            assert error.chunk == (1, 1) and error.codec
        else:
            np.testing.assert_array_equal(host_array(made)[:3], numbers((6, 5))[:3])


def test_regions_of_large_blocks_of_other_order() -> None:
    """Chunk by chunk, also where an array keeps what it decodes."""
    values = numbers((130, 140), "int32")
    for kind in ("raw", "zstd", "gzip"):
        store = dataset(values, (128, 128), kind)
        for options in ({}, {"cache": 1 << 20}):
            a = gpuzarr.open_array(store, device="cpu", **options)
            for part in ((slice(3, 9), slice(2, 140, 3)), (slice(None),), (5,), ([1, 128, 5], slice(9)), (..., -1)):
                np.testing.assert_array_equal(a[part], values[part])


JAVA = "TFo0QmxvY2sWDQAAAA0AAAC/fyACYWhiaWNqZGtlbGZtZ0xaNEJsb2NrFgAAAAAAAAAAAAAAAA=="  # by lz4-java 1.8


def test_lz4_of_java() -> None:
    stream, text = base64.b64decode(JAVA), bytes(i * 7 % 13 + 97 for i in range(13))
    codec = find("gpuzarr.n5_lz4", {})
    assert decode_bytes(codec, stream, nbytes=13) == [text]
    assert encode_bytes(codec, text) == [stream]
    long = text * 30_000
    assert decode_bytes(codec, *encode_bytes(codec, long), nbytes=len(long)) == [long]
    for dtype in ("uint8", "float64"):
        values = numbers((70, 90, 3), dtype)
        store = dataset(values, (64, 64, 2))  # raw
        for key in store.keys() - {"attributes.json"}:
            store[key] = store[key][:16] + encode_bytes(codec, store[key][16:])[0]
        store["attributes.json"] = json.dumps(attributes(values, (64, 64, 2), "lz4")).encode()
        np.testing.assert_array_equal(gpuzarr.open_array(store, device="cpu")[...], values)


def test_lz4_of_others_is_refused() -> None:
    store = dataset(numbers((4, 4)), (4, 4), "lz4")
    with pytest.raises(gpuzarr.ChunkError, match="no header of LZ4BlockOutputStream"):
        gpuzarr.open_array(store)[...]


@given(data=st.binary(max_size=100), cut=st.integers(0, 100))
@settings(deadline=None, max_examples=examples(50))
def test_checksums_of_java_without_the_c_library(data: bytes, cut: int) -> None:
    memory = np.frombuffer(data + b"\0", np.uint8)
    cut = min(cut, len(data))
    starts, sizes = np.array([0, cut, 0]), np.array([cut, len(data) - cut, len(data)])
    found = xxh32(memory, starts, sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "library", lambda: None)
        assert (xxh32(memory, starts, sizes) == found).all()


COMPRESSORS = {
    "raw": [],
    "gzip": [{"name": "gzip", "configuration": {"level": 6}}],
    "zlib": [{"name": "numcodecs.zlib", "configuration": {"level": 1}}],
    "zstd": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
    "blosc": [
        {
            "name": "blosc",
            "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 2, "blocksize": 0},
        }
    ],
}


@pytest.mark.parametrize("kind", COMPRESSORS)
@pytest.mark.parametrize("shape", [(1,), (5, 3), (2, 3, 40), (1, 2, 3, 4, 5)])
def test_a_gpu_writes_blocks(kind: str, shape: tuple[int, ...], gpu: Any) -> None:
    """With the headers, and with bodies that the host decodes to the same elements in N5's order."""
    order = {"name": "transpose", "configuration": {"order": list(range(len(shape)))[::-1]}}
    big = {"name": "bytes", "configuration": {"endian": "big"}}
    codec = find("n5_default", {"codecs": [order, big, *COMPRESSORS[kind]]})
    spec = gpuzarr.codecs.ChunkSpec(shape, np.dtype("u2"), np.uint16(0))
    assert codec.why_host_to_encode(spec) is None
    batch = np.stack([numbers(shape) + i for i in range(5)])
    made = codec.encode(gpu.upload(batch), spec, gpu)
    made = gpuzarr.batch.measured(made, gpu)
    blocks = [gpu.download(made[i]).tobytes() for i in range(5)]
    header = struct.pack(f">HH{len(shape)}I", 0, len(shape), *shape)
    assert all(each.startswith(header) for each in blocks)
    if kind == "raw":
        assert blocks == [header + each.T.astype(">u2").tobytes() for each in batch]
    data = np.frombuffer(b"".join(blocks), np.uint8)
    sizes = np.array([len(each) for each in blocks], np.int64)
    host = gpuzarr.batch.EncodedBatch(data, np.cumsum(sizes) - sizes, sizes)
    np.testing.assert_array_equal(codec.decode(host, spec, CPU), batch)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_gpu_writes_arrays_of_blocks(kind: str, gpu: Any) -> None:
    codec = {"codecs": [{"name": "transpose", "configuration": {"order": [1, 0]}}, *COMPRESSORS[kind]]}
    codec["codecs"].insert(1, {"name": "bytes", "configuration": {"endian": "big"}})
    values, store = numbers((70, 45)), {}
    array = gpuzarr.create_array(
        store,
        shape=values.shape,
        dtype="u2",
        chunks=(16, 20),
        serializer={"name": "n5_default", "configuration": codec},
        filters=None,
        compressors=None,
        device=gpu,
    )
    assert "GPU encode: yes" in str(array.explain_write(...))
    array[...] = gpu.upload(values)
    np.testing.assert_array_equal(host_array(array[...]), values)
    np.testing.assert_array_equal(gpuzarr.open_array(store, device="cpu")[...], values)
