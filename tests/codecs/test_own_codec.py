"""A GPU codec of somebody else's, all of it in this file: it is read, budgeted, explained, reported and warmed up.

Chunks are a block of lz4 of which every byte was inverted before. A GPU decodes the block by nvCOMP, as an algorithm
that nobody else knows, and inverts the bytes by a kernel that is written below.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cramjam
import numpy as np
import pytest

import gpuzarr
from gpuzarr import codecs
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.devices.algorithm import Algorithm, Rate, Scratch
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.nvcomp_streams import StreamFormat
from gpuzarr.gpu.tables import THREADS, grid, table
from tests.hardware import host_array

OWN = Algorithm("inverted lz4", "LZ4", 2**31 - 1, Rate(1e8, 1e11, 1e9), decode_scratch=Scratch(4.0))
KERNEL = """
#include "common.cuh"

// Inverts ranges of bytes: block x of threads one of them. places: addresses, then sizes; u64.
extern "C" __global__ void own_invert(const u64 *places, u32 count) {
    u8 *bytes = (u8 *)places[blockIdx.x];
    for (u64 i = threadIdx.x; i < places[count + blockIdx.x]; i += blockDim.x) bytes[i] = (u8)~bytes[i];
}
"""
kernel_file = Path()


def launch(device: Device, sources: Any, sizes: Any, places: Any, nbytes: Any, chunk: Any) -> None:
    device.decompress(OWN, sources, sizes, places, nbytes, chunk)
    arguments = (table(device, places, nbytes), np.uint32(len(places)))
    device.kernel(str(kernel_file), "own_invert")(grid(nbytes, 1 << 30), (THREADS,), arguments)


FORMAT = StreamFormat(OWN, lambda data, starts, sizes, nbytes: sizes > 0, launch)


@dataclass(frozen=True)
class Inverted:
    names: ClassVar[tuple[str, ...]] = ("tests.inverted",)
    ids: ClassVar[tuple[str, ...]] = ("tests.inverted",)
    kind: ClassVar[Kind] = "bytes->bytes"

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return BytesSpec(None)

    def why_host(self, spec: BytesSpec) -> str | None:
        return FORMAT.why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return "it is only read"

    @classmethod
    def warm_up_examples(cls) -> tuple[Inverted, ...]:
        return (cls(),)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return FORMAT.decode_scratch_bytes(nbytes, stored)

    def decode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: Any = None) -> EncodedBatch:
        if device.gpu:
            return FORMAT.decode(self, chunks, spec, device, into)

        def produce(chunk: np.ndarray, nbytes: int) -> Any:
            return ~np.frombuffer(cramjam.lz4.decompress_block(chunk, output_len=nbytes), np.uint8)

        return chunkwise.produced("tests.inverted", chunks, spec.nbytes, device, into, produce)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        compress = cramjam.lz4.compress_block
        return chunkwise.encoded("own", chunks, device, lambda chunk: bytes(compress(~chunk, store_size=False)))


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that codec is installed."""
    global kernel_file
    package = tmp_path / "site" / "inverted-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: inverted\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[gpuzarr.codecs]\ntests.inverted = {__name__}:Inverted\n")
    kernel_file = tmp_path / "own_invert.cu"
    kernel_file.write_text(KERNEL)
    monkeypatch.syspath_prepend(tmp_path / "site")
    codecs.others.cache_clear()
    yield tmp_path
    codecs.others.cache_clear()


VALUES = np.arange(64 * 96, dtype="<i4").reshape(64, 96) // 5


def written(folder: Path) -> Path:
    own = {"name": "tests.inverted"}
    gpuzarr.create_array(folder, data=VALUES, chunks=(16, 96), compressors=own, device="cpu")
    assert json.loads((folder / "zarr.json").read_text())["codecs"][1]["name"] == "tests.inverted"
    return folder


def test_read_explained_and_reported(registered: Path, gpu: Device) -> None:
    a = gpuzarr.open_array(written(registered / "a"), device=gpu)
    np.testing.assert_array_equal(host_array(a[...]), VALUES)
    np.testing.assert_array_equal(host_array(a[3:50, ::7]), VALUES[3:50, ::7])
    said = a.last_read.asdict()
    assert said["streams"] == {"inverted lz4": 4} and ["tests.inverted", gpu.name] in map(list, said["codecs"])
    plan = a.explain(...)
    assert plan.gpu_decode == "yes" and "tests.inverted" in str(plan)
    np.testing.assert_array_equal(gpuzarr.open_array(registered / "a", device="cpu")[5:9], VALUES[5:9])


def test_its_scratch_is_in_the_budget(registered: Path, gpu: Device) -> None:
    a = gpuzarr.open_array(written(registered / "a"), device=gpu)
    planned = a.explain(np.s_[::2]).planned_bytes
    assert planned > 4 * 4 * 16 * 96 * 4  # four chunks, four bytes of scratch a byte
    limit = planned // 2
    np.testing.assert_array_equal(host_array(a.get(np.s_[::2], memory_limit=limit)), VALUES[::2])
    assert a.last_read.asdict()["batches"] > 1 and a.last_read.asdict()["peak_bytes"] <= limit


def test_it_is_warmed_up(registered: Path, gpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    launched, kernel = [], type(gpu).kernel

    def kept(self: Any, file: str, name: str, width: int | None = None) -> Any:
        launched.append(name)
        return kernel(self, file, name, width)

    monkeypatch.setattr(type(gpu), "kernel", kept)
    gpuzarr.warmup(gpu)
    assert {"own_invert", "unshuffle", "fletcher32_sums", "jenkins_lookup3", "delta_4", "unpackbits"} <= set(launched)


@pytest.mark.damaging
def test_damage_names_the_chunk(registered: Path, gpu: Device) -> None:
    folder = written(registered / "a")
    file = folder / "c" / "2" / "0"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(gpuzarr.errors.ChunkError, match=r"tests\.inverted") as caught:
        gpuzarr.open_array(folder, device=gpu)[...]
    assert caught.value.chunk == (2, 0)
