"""Chains with codecs that change elements: a GPU reads what the CPU and numcodecs read, and places it at once."""

from __future__ import annotations

import json
from typing import Any

import numcodecs
import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.cpu import CPU
from tests.hardware import host_array

SHAPE, CHUNKS = (20, 33), (6, 8)
RNG = np.random.default_rng(1)
FIXED = {"id": "fixedscaleoffset", "offset": 3, "scale": 10}
FILTERS: dict[str, tuple[str, list[dict[str, Any]]]] = {  # dtype of the array, filters
    "fixedscaleoffset": ("<f4", [{**FIXED, "dtype": "<f4", "astype": "<u2"}]),
    "fixedscaleoffset big": (">f8", [{**FIXED, "dtype": ">f8", "astype": ">u4"}]),
    "fixedscaleoffset u1": ("<f4", [{**FIXED, "scale": 1, "dtype": "<f4", "astype": "|u1"}]),
    "quantize": ("<f4", [{"id": "quantize", "digits": 2, "dtype": "<f4"}]),
    "quantize big": (">f8", [{"id": "quantize", "digits": 1, "dtype": ">f8", "astype": ">f4"}]),
    "bitround": ("<f4", [{"id": "bitround", "keepbits": 7}]),
    "astype": ("<i4", [{"id": "astype", "encode_dtype": "|u1", "decode_dtype": "<i4"}]),
    "astype big": ("<f8", [{"id": "astype", "encode_dtype": ">f4", "decode_dtype": "<f8"}]),
    "two": ("<f8", [{"id": "astype", "encode_dtype": "<f4", "decode_dtype": "<f8"},
                    {**FIXED, "dtype": "<f4", "astype": "<i2"}]),
}  # fmt: skip
BELOW: dict[str, tuple[list[dict[str, Any]], dict[str, Any] | None]] = {  # more filters, compressor
    "raw": ([], None),
    "zlib": ([], {"id": "zlib", "level": 1}),
    "shuffle zlib": ([{"id": "shuffle", "elementsize": 2}], {"id": "zlib", "level": 1}),
    "zstd": ([], {"id": "zstd", "level": 1}),
    "blosc": ([], {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}),
    "blosc bits": ([], {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0}),
}
LITTLE, BIG = ({"name": "bytes", "configuration": {"endian": order}} for order in ("little", "big"))
SELECTIONS = (np.s_[...], np.s_[3:17:2, ::-3], np.s_[7], ([5, 2, 19], slice(None)))


def v2_store(dtype: str, filters: list[dict[str, Any]], compressor: Any, order: str) -> tuple[Any, np.ndarray]:
    """A v2 array that numcodecs has encoded, with a missing chunk, and what numcodecs decodes it to."""
    values = (RNG.integers(3, 200, (24, 40)) + RNG.integers(0, 10, (24, 40)) / 10).astype(dtype)
    steps = [numcodecs.get_codec(each) for each in (*filters, *([compressor] if compressor else []))]
    document = {"zarr_format": 2, "shape": SHAPE, "chunks": CHUNKS, "dtype": dtype, "fill_value": 5, "order": order}
    store = {".zarray": json.dumps({**document, "filters": filters or None, "compressor": compressor}).encode()}
    read = np.full(values.shape, 5, np.dtype(dtype).newbyteorder("="))
    for i, j in np.ndindex(4, 5):
        box = slice(i * 6, i * 6 + 6), slice(j * 8, j * 8 + 8)
        made: Any = values[box].flatten(order)
        for step in steps:
            made = step.encode(made)
        if (i, j) != (1, 1):
            store[f"{i}.{j}"] = bytes(made)
            for step in reversed(steps):
                made = step.decode(made)
            read[box] = np.frombuffer(np.ascontiguousarray(made), dtype).reshape(CHUNKS, order=order)
    return store, read[: SHAPE[0], : SHAPE[1]]


def check(store: Any, gpu: Any, expected: np.ndarray | None, seen: list[str]) -> None:
    """Reads of a GPU, which does all steps, one placement and no other change for a batch, are those of the CPU."""
    a, on_cpu = gpuzarr.open_array(store, device=gpu), gpuzarr.open_array(store, device="cpu")
    assert a.explain().gpu_decode == "yes", a.explain()
    for chosen in SELECTIONS:
        want = on_cpu.oindex[chosen]
        if expected is not None:
            np.testing.assert_array_equal(want, expected[chosen])
        del seen[:]
        found = host_array(a.oindex[chosen])
        assert found.dtype == want.dtype
        np.testing.assert_array_equal(found, want)
        placed = [name for name in seen if name.startswith("place")]
        assert placed and len(placed) == a.last_read.asdict()["batches"], seen


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("name", FILTERS)
def test_v2(gpu: Any, kernels_run: Any, name: str, below: str, order: str) -> None:
    dtype, filters = FILTERS[name]
    more, compressor = BELOW[below]
    store, expected = v2_store(dtype, filters + more, compressor, order)
    check(store, gpu, expected, kernels_run(gpu))


def named(name: str, **configuration: Any) -> dict[str, Any]:
    return {"name": name, "configuration": configuration}


V3 = {
    "fixedscaleoffset": named("numcodecs.fixedscaleoffset", offset=3, scale=10, astype="u2"),
    "fixedscaleoffset f8": named("numcodecs.fixedscaleoffset", offset=0.5, scale=10, astype="f8"),
    "quantize": named("numcodecs.quantize", digits=2, astype="f2"),
    "bitround": named("bitround", keepbits=5),
    "astype": named("numcodecs.astype", encode_dtype="f8"),
    "scale_offset": named("scale_offset", offset=1.5, scale=4),
}
TURNED = named("transpose", order=[1, 0])
INNER: dict[str, list[Any]] = {
    "raw": [LITTLE],
    "big": [BIG],
    "turned zstd": [TURNED, BIG, named("zstd", level=1, checksum=False)],
    "in one row": [named("reshape", shape=[[0, 1]]), LITTLE, named("zstd", level=1, checksum=False)],
    "with an axis": [named("singleton_dim", operations=[{"insert": 1}]), named("zarrs.squeeze"), BIG],
    "blosc": [LITTLE, named("blosc", cname="lz4", clevel=5, shuffle="shuffle", typesize=4, blocksize=0)],
}


def written(codecs: list[Any], shards: Any = None) -> dict[str, bytes]:
    store: dict[str, bytes] = {}
    values = (RNG.integers(3, 900, SHAPE) / 7).astype("f4")
    if shards:
        index = {"index_codecs": [LITTLE], "index_location": "end"}
        codecs = [named("sharding_indexed", chunk_shape=list(CHUNKS), codecs=codecs, **index)]
    a = gpuzarr.create_array(store, shape=SHAPE, chunks=shards or CHUNKS, dtype="f4", codecs=codecs, device=CPU)
    a[...] = values
    return store


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("name", V3)
@pytest.mark.parametrize("shards", [None, (12, 24)], ids=["chunks", "shards"])
def test_v3(gpu: Any, kernels_run: Any, name: str, inner: str, shards: Any) -> None:
    check(written([V3[name], *INNER[inner]], shards), gpu, None, kernels_run(gpu))


@pytest.mark.parametrize("name", V3)
@pytest.mark.parametrize("by", [1, 2, 7])
def test_chunks_at_odd_addresses(gpu: Any, kernels_run: Any, name: str, by: int) -> None:
    store = written([V3[name], LITTLE], (12, 24))
    for key in store:
        if key.startswith("c/"):
            index = np.frombuffer(store[key][-16 * 6 :], "<u8").reshape(6, 2).copy()
            index[index[:, 1] != 2**64 - 1, 0] += by
            store[key] = bytes(by) + store[key][: -16 * 6] + index.tobytes()
    check(store, gpu, None, kernels_run(gpu))


def test_a_number_is_placed_and_scaled_by_one_launch(gpu: Any, kernels_run: Any) -> None:
    store, _ = v2_store("<f4", FILTERS["fixedscaleoffset"][1], {"id": "zstd", "level": 1}, "C")
    a, seen = gpuzarr.open_array(store, device=gpu), kernels_run(gpu)
    assert "fixedscaleoffset on " + gpu.name in str(a.explain())
    a[:6]
    assert [name for name in seen if name.startswith("place")] == ["place_cast_2"]
