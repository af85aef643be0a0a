"""Chunks of HDF5's bitshuffle and lz4 that a GPU encodes are decoded by the host and by hdf5plugin."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.nvcomp.compress import MAX_INPUT_BYTES
from gpuzarr.gpu.blocks_encode import scratch_bytes
from tests.chunks import CPU, KINDS, batch_on, plain, whole
from tests.gpu.encoding import encoded, failing_at_every_third
from tests.hardware import emulated

CNAMES = ("none", "lz4", "zstd")


def bitshuffle(cname: str, elementsize: int, elements: int = 0) -> Any:
    configuration = {"elementsize": elementsize, "block_elements": elements, "cname": cname}
    return find("gpuzarr.hdf5_bitshuffle", configuration)


def check(gpu: Any, codec: Any, nbytes: int, kinds: tuple[str, ...] = KINDS) -> tuple[list[bytes], list[bytes]]:
    """What the GPU and what the host encodes; the host decodes the former."""
    chunks = [plain(nbytes, kind) for kind in kinds] + [bytes(nbytes)]
    made = encoded(gpu, codec, chunks, "crowded")
    assert whole(codec.decode(batch_on(CPU, made), BytesSpec(nbytes), CPU)) == chunks
    assert max(map(len, made)) <= codec._shape(BytesSpec(nbytes)).most(gpu)
    return made, whole(codec.encode(batch_on(CPU, chunks), BytesSpec(nbytes), CPU))


@pytest.mark.parametrize("cname", CNAMES)
@pytest.mark.parametrize("elementsize", [1, 2, 3, 8, 16, 256])
def test_bitshuffle(gpu: Any, cname: str, elementsize: int) -> None:
    unit = 8 * elementsize
    for nbytes, elements in [(unit, 0), (unit + 1, 8), (5 * unit + unit // 2, 16), (40_000 + unit, 0), (20_007, 64)]:
        made, ours = check(gpu, bitshuffle(cname, elementsize, elements), nbytes)
        assert made == ours or cname == "zstd" or (cname == "lz4" and gpu.name != "emulated")  # nvCOMP differs


@pytest.mark.parametrize("blocksize", [None, 1, 40, 1000])
def test_lz4h5(gpu: Any, blocksize: int | None) -> None:
    """Blocks that do not become smaller are stored as they are, as the host stores them."""
    codec = find("imagecodecs_lz4h5", {"blocksize": blocksize})
    for nbytes in (1, 39, 40, 997, 5003):
        made, ours = check(gpu, codec, nbytes)
        assert [one[:12] for one in made] == [one[:12] for one in ours]
        assert made == ours or gpu.name != "emulated"


def test_more_blocks_and_chunks_than_a_block_of_threads_takes_in_a_round(gpu: Any) -> None:
    check(gpu, bitshuffle("lz4", 1, 8), 8 * 700 + 3, KINDS * 2)
    check(gpu, bitshuffle("zstd", 2), 600, KINDS * 90)
    check(gpu, find("imagecodecs_lz4h5", {"blocksize": 4}), 4 * 600 + 1)


@settings(max_examples=40, deadline=None)
@given(cname=st.sampled_from(CNAMES), elementsize=st.integers(1, 20), elements=st.sampled_from([0, 8, 24, 4096]),
       nbytes=st.integers(1, 20_000))  # fmt: skip
def test_any_shape(cname: str, elementsize: int, elements: int, nbytes: int) -> None:
    check(emulated(), bitshuffle(cname, elementsize, elements), max(nbytes, 8 * elementsize))


@pytest.mark.parametrize("cname", [*CNAMES, "filter 32004"])
def test_hdf5_reads_them(gpu: Any, cname: str) -> None:
    h5py, hdf5plugin = pytest.importorskip("h5py"), pytest.importorskip("hdf5plugin")
    is_lz4 = cname == "filter 32004"
    codec = find("imagecodecs_lz4h5", {"blocksize": 1000}) if is_lz4 else bitshuffle(cname, 4)
    options = dict(hdf5plugin.LZ4() if is_lz4 else hdf5plugin.Bitshuffle(cname=cname))
    values = np.cumsum(np.random.default_rng(1).integers(0, 3, 5003)).astype("<i4")
    (stored,) = encoded(gpu, codec, [values.tobytes()])
    with h5py.File(io.BytesIO(), "w") as file:
        made = file.create_dataset("a", values.shape, values.dtype, chunks=values.shape, **options)
        made.id.write_direct_chunk((0,), stored)
        np.testing.assert_array_equal(made[...], values)


@pytest.mark.parametrize("codec", [bitshuffle("zstd", 2, 64), find("imagecodecs_lz4h5", {"blocksize": 300})], ids=str)
def test_what_nvcomp_fails_at_is_encoded_all_the_same(gpu: Any, codec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = failing_at_every_third(gpu, monkeypatch)
    batch = np.frombuffer(b"".join(plain(3000, KINDS[i % 3]) for i in range(7)), np.uint8).reshape(7, 3000)
    chain = Chain.build([find("bytes", {}, 3), codec, find("crc32c", {}, 3)], ChunkSpec((3000,), batch.dtype, 0))
    made = chain.encode(gpu.upload(batch), gpu)
    assert np.array_equal(chain.decode(made, CPU), batch) and len(seen) >= 7


def test_what_is_encoded_on_the_host_and_why(gpu: Any) -> None:
    for codec in (bitshuffle("lz4", 4), find("imagecodecs_lz4h5", {})):
        assert codec.why_host_to_encode(BytesSpec(1000)) is None
        assert "not known" in codec.why_host_to_encode(BytesSpec(None))
        assert "no block" in codec.why_host_to_encode(BytesSpec(0))
    assert "no block" in bitshuffle("none", 4).why_host_to_encode(BytesSpec(31))
    assert "256" in bitshuffle("lz4", 257).why_host_to_encode(BytesSpec(10_000))
    assert "at most 16777216" in find("imagecodecs_lz4h5", {}).why_host_to_encode(BytesSpec(MAX_INPUT_BYTES + 1))
    assert find("imagecodecs_lz4h5", {"blocksize": 1 << 20}).why_host_to_encode(BytesSpec(1 << 26)) is None
    for codec in (bitshuffle("none", 4), bitshuffle("zstd", 4), find("imagecodecs_lz4h5", {})):
        taken, made = scratch_bytes(codec._shape(BytesSpec(100_000)), gpu)
        assert made <= taken and made >= 100_000
