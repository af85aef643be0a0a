"""What the host decodes for a GPU goes to pinned memory by all threads, and from there over the bus, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.algorithm import Rate
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cpu import CPU
from tests.hardware import host_array

SHAPE, CHUNKS, COUNT = (24, 64, 128), (2, 50, 63), 72  # chunks, of 25,200 bytes
TABLE_BYTES = 256  # of a chunk's rows in all tables of a batch, at most
of_numcodecs = zarr.codecs.numcodecs
CASES: dict[str, dict[str, Any]] = {
    "bz2": {"compressors": [of_numcodecs.BZ2(level=1)]},
    "lzma": {"compressors": [of_numcodecs.LZMA(preset=0)]},
    "bz2 of zstd, of any size": {"compressors": [zarr.codecs.ZstdCodec(level=1), of_numcodecs.BZ2(level=1)]},
    "checksums of zstd": {"compressors": [zarr.codecs.ZstdCodec(level=1), of_numcodecs.Fletcher32()]},
    "checksums": {"compressors": [of_numcodecs.Fletcher32()]},
    "blosclz": {"zarr_format": 2, "compressors": [numcodecs.Blosc("blosclz")]},
    "zstd with checksums": {"compressors": [zarr.codecs.ZstdCodec(level=1, checksum=True)]},
    "filter": {"filters": [of_numcodecs.BitRound(keepbits=23)], "compressors": [zarr.codecs.ZstdCodec(level=1)]},
}
ON_HOST: dict[str, dict[str, Any]] = {
    "zstd": {"compressors": [zarr.codecs.ZstdCodec(level=1)]},
    "gzip": {"compressors": [zarr.codecs.GzipCodec(level=1)]},
    "big-endian": {"serializer": zarr.codecs.BytesCodec(endian="big"), "compressors": [zarr.codecs.GzipCodec(level=1)]},
    "raw": {"compressors": None},
    "transpose": {"filters": [zarr.codecs.TransposeCodec(order=(2, 0, 1))], "compressors": [zarr.codecs.ZstdCodec()]},
}
READS = [
    *((layout, {}, "gpu") for layout in CASES.values()),
    *((layout, {"validate": "host"}, "gpu") for layout in (*ON_HOST.values(), CASES["bz2"], CASES["blosclz"])),
    *((ON_HOST[name], {}, "host") for name in ("zstd", "big-endian", "transpose")),
]
NAMES = [*CASES, *(f"{name}, validated" for name in (*ON_HOST, "bz2", "blosclz")), "zstd, sooner", "gzip, sooner", "t"]


def pageable(device: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each upload of a batch, from now on, from memory that is not pinned."""
    found: list[int] = []
    upload: Callable[[np.ndarray], Any] = device.upload

    def uploaded(data: np.ndarray) -> Any:
        memory = device.current.memory
        if memory is not None and memory.pinned_kind(np.asarray(data)) is None:
            found.append(data.nbytes)
        return upload(data)

    monkeypatch.setattr(device, "upload", uploaded)
    return found


def written(path: Path, layout: dict[str, Any]) -> np.ndarray:
    """Values of an array of which no chunk lies in one piece; some of them compress."""
    values = np.floor(np.arange(np.prod(SHAPE), dtype="<f4").reshape(SHAPE) / 50)
    values[::3] = np.random.default_rng(0).standard_normal(values[::3].shape, "f4")
    array = zarr.create_array(path, shape=SHAPE, dtype="f4", chunks=CHUNKS, **layout)
    array[...] = values
    return np.asarray(array[...])


def reads_without_copies(
    device: Any, path: Path, layout: dict[str, Any], options: dict[str, Any], where: Any, patch: pytest.MonkeyPatch
) -> None:
    values, device.cost, found = written(path, layout), Costs(where=where), pageable(device, patch)
    for limit in ("900KiB", "16MiB"):
        a = gpuzarr.open_array(path, device=device, memory_limit=limit, **options)
        result = a[...]
        assert max(found, default=0) <= COUNT * TABLE_BYTES, "chunks were uploaded from memory that is not pinned"
        report, planned = a.last_read.asdict(), a.explain()
        assert report["peak_bytes"] <= planned.planned_bytes <= planned.memory_limit and device.held.total == 0
        np.testing.assert_array_equal(device.download(result), values)


@pytest.mark.parametrize("layout, options, where", READS, ids=NAMES)
def test_nothing_is_copied_on_the_host(
    layout: dict[str, Any], options: Any, where: Any, tmp_path: Path, gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_without_copies(gpu, tmp_path / "a", layout, options, where, monkeypatch)


@pytest.mark.parametrize("layout, options, where", READS, ids=NAMES)
def test_nothing_is_copied_by_the_code_for_cuda(
    layout: dict[str, Any], options: Any, where: Any, tmp_path: Path, cuda: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_without_copies(cuda, tmp_path / "a", layout, options, where, monkeypatch)


@pytest.mark.parametrize("where", ["gpu", "host", "auto"])
@pytest.mark.parametrize("name", ["zstd with checksums", "blosclz", "gzip", "bz2", "zstd"])
def test_pinned_memory_has_its_limit(
    name: str, where: Any, tmp_path: Path, gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host decodes a batch in parts where not all of it may be pinned."""
    values = written(tmp_path / "a", (CASES | ON_HOST)[name])
    cores = {"zstd": Rate(1e12, 1e9, 1e9), "gzip": Rate(1e12, 1e9, 1e9)} if where == "auto" else {}
    gpu.cost = Costs(cores, 1e15, 1e-12, cores=1, where=where)
    for limit in (900 << 10, 1600 << 10):
        monkeypatch.setattr(gpu, "pinned_limit", limit)
        a = gpuzarr.open_array(tmp_path / "a", device=gpu, memory_limit="32MiB")
        np.testing.assert_array_equal(host_array(a[...]), values)
        assert a.last_read.asdict()["peak_pinned_bytes"] <= limit and gpu.held.total == 0


def test_checksums_are_taken_where_chunks_are(tmp_path: Path, gpu: Device) -> None:
    """The bytes of zstd under a checksum cross the bus as they were stored, and once."""
    values = written(tmp_path / "a", CASES["checksums of zstd"])
    a = gpuzarr.open_array(tmp_path / "a", device=gpu)
    np.testing.assert_array_equal(host_array(a[...]), values)
    report = a.last_read.asdict()
    assert report["sent_bytes"] <= report["stored_bytes"] + COUNT * (256 + 8 * TABLE_BYTES)


def test_threads_decode_to_their_places(tmp_path: Path, gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codecs are given parts of one buffer of the batch as targets, and make no memory of their own."""
    values, targets = written(tmp_path / "a", CASES["bz2"]), []
    right = type(find_bz2()).decode

    def decode(self: Any, chunks: Any, spec: Any, device: Any, into: Any = None) -> Any:
        targets.append((device, into))
        return right(self, chunks, spec, device, into)

    monkeypatch.setattr(type(find_bz2()), "decode", decode)
    a = gpuzarr.open_array(tmp_path / "a", device=gpu)
    np.testing.assert_array_equal(host_array(a[...]), values)
    assert len(targets) >= min(4 * CPU.threads, COUNT) and {device for device, _ in targets} == {CPU}
    assert len({id(into.data) for _, into in targets}) == a.last_read.asdict()["batches"]


def find_bz2() -> Any:
    from gpuzarr.codecs import find

    return find("numcodecs.bz2", {"level": 1})
