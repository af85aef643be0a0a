"""How large batches are on a GPU: never beyond the memory limit, and no smaller than what is stored allows."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.algorithm import Rate
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cuda.device import DEFAULT_MEMORY_LIMIT_BYTES, DEFAULT_PINNED_LIMIT_BYTES, Cuda
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.overlap import Overlap
from gpuzarr.errors import DeviceError
from gpuzarr.gpu.algorithms import ALGORITHMS
from gpuzarr.indexing.selection import basic
from gpuzarr.read import estimate as stored
from gpuzarr.read.batch_plan import BatchPlanner
from gpuzarr.read.memory import ROUNDING, BatchBudget, Cost, Limits, batch_budget
from gpuzarr.read.requests import OneSelection
from tests.hardware import host_array

GPU = cast(
    Device,
    SimpleNamespace(gpu=True, prefetch_depth=2, concurrent_batches=1, batch_bytes=Cuda.batch_bytes, cost=Costs({})),
)
STREAMS = 4096  # more than any batch of these has
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CODECS: dict[str, tuple[str, dict[str, Any]]] = {
    "zstd": ("zstd", {}),
    "blosc-lz4": ("blosc", {"cname": "lz4", "shuffle": 1}),
    "zlib": ("zlib", {}),
}
BEFORE = {  # chunks a batch when every chunk was thought to be stored as large as decoded: limit, codec, bytes a chunk
    (GIB, "zstd"): {64 * KIB: 1652, 256 * KIB: 417, MIB: 104},
    (GIB, "blosc-lz4"): {64 * KIB: 1495, 256 * KIB: 377, MIB: 94},
    (GIB, "zlib"): {64 * KIB: 2059, 256 * KIB: 522, MIB: 131},
    (256 * MIB, "zstd"): {64 * KIB: 413, 256 * KIB: 104, MIB: 26},
    (256 * MIB, "blosc-lz4"): {64 * KIB: 373, 256 * KIB: 94, MIB: 23},
    (256 * MIB, "zlib"): {64 * KIB: 514, 256 * KIB: 130, MIB: 32},
}
GAIN = {
    "zstd": (1.0, 1.5, 1.75),
    "blosc-lz4": (1.4, 2.5, 2.7),
    "zlib": (1.0, 1.9, 1.9),
}  # at ratios of 1, 2, 3, at least


def chain(codec: str, nbytes: int) -> Chain:
    name, configuration = CODECS[codec]
    codecs = [find("bytes", {"endian": "little"}, 3), find(name, configuration, 2)]
    return Chain.build(codecs, ChunkSpec((nbytes // 4,), np.dtype("f4"), 0))


def shared(codec: str, nbytes: int, ratio: float, limit: int, wanted: int = STREAMS) -> BatchBudget:
    return batch_budget(
        *(chain(codec, nbytes), GPU, Limits(limit, limit), wanted, True, True),
        lambda: int(nbytes / ratio * stored.MARGIN),
    )


@pytest.mark.parametrize("limit, codec", BEFORE)
def test_streams_in_a_batch(limit: int, codec: str) -> None:
    for nbytes, before in BEFORE[limit, codec].items():
        for ratio, gain in zip((1, 2, 3), GAIN[codec], strict=True):
            found = shared(codec, nbytes, ratio, limit)
            assert found.chunks >= min(gain * before, STREAMS), (nbytes, ratio)
            assert found.cost.batch(found.chunks, found.overlap) <= limit and found.overlap.prefetch_depth >= 1
            assert found.chunks == STREAMS or found.cost.batch(found.chunks + 1, Overlap(1)) > limit


COSTS = st.builds(Cost, *[st.integers(1, 1 << 24)] * 4)
OVERLAPS = st.builds(Overlap, st.integers(0, 2), st.integers(1, 4), st.booleans())


def pinned_bytes(cost: Cost, chunks: int, overlap: Overlap) -> float:
    stored = max(chunks * cost.stored, cost.largest)
    return ROUNDING * overlap.loaded * stored + overlap.incomplete * chunks * cost.tables


@given(COSTS, st.integers(1 << 18, 1 << 34), st.integers(1 << 18, 1 << 34), OVERLAPS)
def test_as_many_as_fit(cost: Cost, limit: int, pinned: int, overlap: Overlap) -> None:
    chunks = cost.fit(Limits(limit, pinned), overlap)
    assert chunks < 1 or (cost.batch(chunks, overlap) <= limit and pinned_bytes(cost, chunks, overlap) <= pinned)
    more = max(chunks, 0) + 2  # the last one may be lost to rounding
    assert cost.batch(more, overlap) > limit or pinned_bytes(cost, more, overlap) > pinned


@pytest.mark.parametrize("concurrent", [1, 2, 4])
@pytest.mark.parametrize("gib", [0.5, 8])
@pytest.mark.parametrize("nbytes", [64 * KIB, 256 * KIB, MIB])
@pytest.mark.parametrize("codec", CODECS)
def test_batches_have_streams_enough_to_keep_a_gpu_busy(codec: str, nbytes: int, gib: float, concurrent: int) -> None:
    """Within the limits that a GPU has by itself, at a ratio of 2.8: each stream is slow, so too few take as long."""
    device: Any = SimpleNamespace(**vars(GPU) | {"concurrent_batches": concurrent})
    total, made = int(gib * GIB / nbytes), chain(codec, nbytes)
    planner = BatchPlanner(device, DEFAULT_MEMORY_LIMIT_BYTES)
    wanted = planner._wanted(made, device.batch_bytes // nbytes, total)
    limits = Limits(DEFAULT_MEMORY_LIMIT_BYTES, DEFAULT_PINNED_LIMIT_BYTES)
    found = batch_budget(made, device, limits, wanted, wanted < total, True, lambda: int(nbytes / 2.8 * stored.MARGIN))
    algorithm, streams = cast(Any, made.steps[1].streams)
    busy = algorithm.rate.full / algorithm.rate.stream / streams
    assert found.chunks * found.overlap.concurrent >= min(total, busy) * (0.66 if nbytes < MIB else 0.4)
    assert found.overlap.early and (found.overlap.prefetch_depth or found.chunks == total)


@pytest.mark.parametrize("nbytes, wanted", [(MIB, 512), (16 * MIB, 4)])
def test_what_the_host_decodes_sooner_goes_in_batches_that_overlap(nbytes: int, wanted: int) -> None:
    device: Any = SimpleNamespace(**vars(GPU) | {"cost": Costs({}, cores=16)})
    planner = BatchPlanner(device, DEFAULT_MEMORY_LIMIT_BYTES)
    assert planner._wanted(chain("zstd", nbytes), device.batch_bytes // nbytes, GIB // 2 // nbytes) == wanted


def test_scratch_of_zstd_is_what_nvcomp_asks_for() -> None:
    try:
        library = nvcomp.load()
    except DeviceError as error:
        pytest.skip(str(error))
    for nbytes in (1000, 64 * KIB, 100_000, 128 * KIB, 200_000, MIB, 5 * MIB):
        asked = nvcomp.scratch_bytes(library, ALGORITHMS["zstd"], np.full(100, nbytes), nvcomp.options(), 0) / 100
        planned = shared("zstd", nbytes - nbytes % 4, 1, GIB).cost.scratch
        assert asked <= planned <= 1.09 * asked + 2000, nbytes


SHAPE, CHUNKS = (24, 64, 128), (2, 64, 64)  # 32 KiB a chunk, 24 of them; none lies in one piece
HALF = Costs(dict.fromkeys([*ALGORITHMS, "blosclz"], Rate(1e12, 1e9, 1e9)), 1e15, 1e-12, cores=1)
CASES: dict[str, dict[str, Any]] = {
    "zstd": {"compressors": [zarr.codecs.ZstdCodec(level=1)]},
    "zstd, checksums": {"compressors": [zarr.codecs.ZstdCodec(level=1, checksum=True)]},
    "gzip": {"compressors": [zarr.codecs.GzipCodec(level=1)]},
    "blosc-zstd": {"compressors": [zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle", typesize=4)]},
    "raw": {"compressors": None},
    "bz2": {"compressors": [zarr.codecs.numcodecs.BZ2(level=1)]},
    "lz4": {"zarr_format": 2, "compressors": [numcodecs.LZ4()]},
    "zlib": {"zarr_format": 2, "compressors": [numcodecs.Zlib(1)]},
    "blosc-lz4": {"zarr_format": 2, "compressors": [numcodecs.Blosc("lz4")]},
    "blosclz": {"zarr_format": 2, "compressors": [numcodecs.Blosc("blosclz")]},
}


def field(noise: bool, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    values = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    noisy = np.random.default_rng(0).standard_normal(shape, "f4")
    return noisy if noise else np.floor(values / 50)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_limit_holds_wherever_chunks_are_decoded(name: str, noise: bool, tmp_path: Path, gpu: Device) -> None:
    values = field(noise)
    zarr.create_array(tmp_path / "a", shape=SHAPE, dtype="f4", chunks=CHUNKS, **CASES[name])[...] = values
    batches = {}
    for cost in (Costs(where="gpu"), Costs(where="host"), HALF):
        gpu.cost = cost
        for limit in (700 * KIB, 2 * MIB):
            a = gpuzarr.open_array(tmp_path / "a", device=gpu, memory_limit=limit)
            np.testing.assert_array_equal(host_array(a[...]), values)
            report = a.last_read.asdict()
            assert report["peak_bytes"] <= a.explain().planned_bytes <= limit and gpu.held.total == 0
            batches[limit] = report["batches"]
    assert batches[700 * KIB] > batches[2 * MIB] or not noise


def test_batches_are_larger_where_chunks_are_smaller(tmp_path: Path, gpu: Device) -> None:
    """Files, shards and values of a dict tell their size; other mappings do not."""
    batches = {}
    for noise in (False, True):
        for shards in (None, (4, 64, 128)):
            path = tmp_path / f"{noise} {shards}"
            zarr.create_array(path, shape=SHAPE, dtype="f4", chunks=CHUNKS, shards=shards)[...] = field(noise)
            a = gpuzarr.open_array(path, device=gpu, memory_limit="1MiB")
            a[...]
            batches[noise, shards] = a.last_read.asdict()["batches"]
            assert a.explain().batches == batches[noise, shards]
    assert batches[False, None] < batches[True, None] and batches[False, (4, 64, 128)] <= batches[True, (4, 64, 128)]
    path = tmp_path / "False None"
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}

    unknown = gpuzarr.open_array(MappingProxyType(files), device=gpu, memory_limit="1MiB")
    known = gpuzarr.open_array(files, device=gpu, memory_limit="1MiB")
    assert known.explain().batches == batches[False, None] < unknown.explain().batches
    np.testing.assert_array_equal(host_array(unknown[...]), field(False))


def test_chunks_that_turn_out_larger_than_foreseen(tmp_path: Path, gpu: Device) -> None:
    """All that is looked at compresses well, and nothing between."""
    values = np.zeros((400, 32, 32), "<f4")  # 4 KiB a chunk
    seen = np.concatenate([np.arange(8) + first for first in np.linspace(0, 392, 8).astype(int)])
    hidden = np.setdiff1d(np.arange(400), seen)
    values[hidden] = np.random.default_rng(0).standard_normal((len(hidden), 32, 32))
    path = tmp_path / "a"
    zarr.create_array(path, shape=values.shape, dtype="f4", chunks=(1, 32, 32), compressors=zarr.codecs.ZstdCodec())[
        ...
    ] = values
    for limit in (512 * KIB, 2 * MIB):
        a = gpuzarr.open_array(path, device=gpu, memory_limit=limit)
        np.testing.assert_array_equal(host_array(a[...]), values)
        assert a.last_read.asdict()["peak_bytes"] <= limit and gpu.held.total == 0


def test_blosc_chunks_of_another_codec_than_their_metadata_tells(tmp_path: Path, gpu: Device) -> None:
    values = field(False)
    path = tmp_path / "a"
    codec = zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle", typesize=4)
    zarr.create_array(path, shape=SHAPE, dtype="f4", chunks=CHUNKS, compressors=codec)[...] = values
    document = path / "zarr.json"
    document.write_text(document.read_text().replace('"zstd"', '"lz4"'))
    a = gpuzarr.open_array(path, device=gpu, memory_limit=MIB)
    np.testing.assert_array_equal(host_array(a[...]), values)
    assert a.last_read.asdict()["peak_bytes"] <= MIB and a.last_read.asdict()["streams"] == {"zstd": 24}


def test_results_that_are_not_contiguous(tmp_path: Path, gpu: Device) -> None:
    values = field(True, (40, 32, 32))
    path = tmp_path / "a"
    zarr.create_array(path, shape=values.shape, dtype="f4", chunks=(2, 32, 32), compressors=zarr.codecs.GzipCodec())[
        ...
    ] = values
    a = gpuzarr.open_array(path, device=gpu, memory_limit="400KiB")
    out = gpu.array((40, 32, 64), np.dtype("f4"))[:, :, ::2]
    for result, wanted in ((a.get(..., out=out), values), (a[::-1], values[::-1])):
        np.testing.assert_array_equal(host_array(result), wanted)
        assert a.last_read.asdict()["peak_bytes"] <= 400 * KIB


def test_nobody_looks_at_sizes_where_all_fits(tmp_path: Path, gpu: Device) -> None:
    zarr.create_array(tmp_path / "a", shape=SHAPE, dtype="f4", chunks=CHUNKS)[...] = field(False)
    a = gpuzarr.open_array(tmp_path / "a", device=gpu)
    asked: list[int] = []
    gpu.cost = Costs(where="gpu")  # of a GPU that all chunks together do not keep busy

    def sizes(coords: np.ndarray) -> None:
        asked.append(len(coords))

    for limit, times in ((64 * MIB, 0), (MIB, 1)):
        share = OneSelection(a, basic(..., SHAPE))
        BatchPlanner(gpu, limit, sizes=lambda locator, store: sizes).plan([(share, share.parts(gpu))])
        assert len(asked) == times


def test_batches_of_several_shapes_fit_together(gpu: Device) -> None:
    """While chunks of one shape are decoded, those of another are loaded."""
    edges = [128, 4096] * 20
    with zarr.config.set({"array.rectilinear_chunks": True}):
        store: dict[str, Any] = {}
        try:
            a = zarr.create_array(zarr.storage.MemoryStore(store), shape=(sum(edges),), dtype="f4", chunks=[edges])
        except (TypeError, ValueError):
            pytest.skip("this zarr-python makes no rectilinear chunks")
        values = np.random.default_rng(0).standard_normal(sum(edges), "f4")
        values[: sum(edges) // 2] = 1
        a[...] = values
    files = {key: value.to_bytes() for key, value in store.items()}
    b = gpuzarr.open_array(files, device=gpu, memory_limit="300KiB")
    np.testing.assert_array_equal(host_array(b[...]), values)
    assert b.last_read.asdict()["peak_bytes"] <= 300 * KIB
