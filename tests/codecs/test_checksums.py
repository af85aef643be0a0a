"""The five checksums of 4 bytes: as numcodecs has them, wherever they stand in a chain, on every device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import native
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import find, parse
from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu import checksums
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ChunkError, CodecError
from tests.chunks import CPU, batch_on, decode, encoded_batch, whole
from tests.hardware import host_array

NAMES = ("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3")
PREFIXED = {"id": "jenkins_lookup3", "initval": 7, "prefix": b"thirteen char"}
CODECS: list[dict[str, Any]] = [
    *({"id": name, "location": where} for name in NAMES[:3] for where in ("start", "end")),
    *({"id": name} for name in NAMES[3:]),
    PREFIXED,
]
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
SIZES = (1, 2, 11, 12, 13, 255, 4097)


def codec_of(config: dict[str, Any]) -> Any:
    return find(config["id"], {key: value for key, value in config.items() if key != "id"}, 2)


def theirs(config: dict[str, Any], data: bytes) -> bytes:
    values = np.frombuffer(data, np.uint8)
    if config is PREFIXED:  # numcodecs takes an array for the prefix
        config = config | {"prefix": np.frombuffer(config["prefix"], np.uint8)}
    return bytes(numcodecs.get_codec(dict(config)).encode(values))


@pytest.mark.parametrize("config", CODECS, ids=str)
def test_chunks_of_unequal_sizes(config: dict[str, Any], device: Device) -> None:
    """As numcodecs appends them; and wherever they lie, without a copy."""
    rng = np.random.default_rng(3)
    chunks = [rng.bytes(size) for size in SIZES]
    codec, spec = codec_of(config), BytesSpec(None)
    made = codec.encode(batch_on(device, chunks), spec, device)
    data = device.download(made.data) if device.gpu else made.data
    stored = [data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)]
    assert stored == [theirs(config, chunk) for chunk in chunks]
    gaps = encoded_batch(*stored, gap=3)  # at every alignment
    batch = EncodedBatch(device.upload(gaps.data), gaps.starts, gaps.sizes, gaps.data) if device.gpu else gaps
    back = codec.decode(batch, spec, device)
    assert back.data is batch.data and (back.sizes == SIZES).all()
    assert decode(device, codec, stored, None) == chunks
    for bad in (b"", b"abc"):
        with pytest.raises(CodecError, match="shorter than its checksum") as caught:
            decode(device, codec, [stored[0], bad], None)
        assert caught.value.index == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_chunk_is_a_checksum_alone(name: str, device: Device) -> None:
    codec = codec_of({"id": name})
    (alone,) = whole(codec.encode(encoded_batch(b""), BytesSpec(0), CPU))
    assert alone == (bytes(4) if name == "fletcher32" else theirs({"id": name}, b""))  # which numcodecs cannot take
    assert decode(device, codec, [alone, alone], 0) == [b"", b""]
    with pytest.raises(CodecError) as caught:
        decode(device, codec, [alone, b"\1\2\3\4"], 0)
    assert caught.value.index == 1


@given(st.lists(st.binary(max_size=99), max_size=5), st.integers(0, 2**32 - 1), st.binary(max_size=30))
def test_the_c_library_and_python_agree(chunks: list[bytes], initval: int, prefix: bytes) -> None:
    batch = encoded_batch(*chunks, gap=1)
    functions = (
        checksums.fletcher32,
        lambda b: checksums.crc32c(b, google_crc32c.value),
        lambda b: checksums.jenkins_lookup3(b, initval, prefix),
    )
    found = [function(batch).tolist() for function in functions]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "library", lambda: None)
        assert found == [function(batch).tolist() for function in functions]


def test_fletcher32_in_python_of_many_words() -> None:
    for data in (np.full(300_001, 255, np.uint8), np.random.default_rng(0).integers(0, 256, 300_000, np.uint8)):
        want = int.from_bytes(bytes(numcodecs.Fletcher32().encode(data))[-4:], "little")
        assert checksums._fletcher32(data) == want


def chain(*names: Any) -> Chain:
    return Chain.build(parse([LITTLE, *names]), ChunkSpec((50,), np.dtype("i4"), np.int32(0)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nearest", [True, False], ids=["nearest the store", "below zstd"])
def test_damage_is_seen_before_nvcomp_where_it_can_be(name: str, nearest: bool, gpu: Device) -> None:
    """The checksum nearest the store is verified on the host, others on the GPU; both errors name the chunk."""
    registered = name if name == "crc32c" else f"numcodecs.{name}"
    codecs = chain(*(["zstd", registered] if nearest else [registered, "zstd"]))
    assert codecs.is_all_on_gpu and codecs.host_steps_to_encode[1] is None
    values = np.arange(150, dtype=np.int32).reshape(3, 50)
    encoded = codecs.encode(values, gpu)
    assert (codecs.decode(encoded, CPU) == values).all()
    verified, payload = codecs.verified(encoded)
    assert len(verified.steps) == 2 + (not nearest)
    assert (host_array(verified.decode(payload, gpu)) == values).all()
    data, start = encoded.data.copy(), int(encoded.starts[1] + encoded.sizes[1] - 1)
    if nearest:
        data[start] ^= 1
        with pytest.raises(CodecError, match=name) as caught:
            codecs.verified(EncodedBatch(data, encoded.starts, encoded.sizes))
    else:
        inner = chain(registered).encode(values, CPU)
        bad = inner.data.copy()
        bad[inner.starts[1] + 7] ^= 1
        outer = find("zstd", {"level": 1, "checksum": False})
        damaged = outer.encode(EncodedBatch(bad, inner.starts, inner.sizes), BytesSpec(204), CPU)
        codecs.decode(damaged, gpu)
        with pytest.raises(CodecError, match=name) as caught:
            gpu.checked()()  # type: ignore[misc]
    assert caught.value.index == 1


OF_ZARR = zarr.codecs.numcodecs
LAYOUTS: dict[str, dict[str, Any]] = {
    "shuffle, zlib, fletcher32": {
        "compressors": [OF_ZARR.Shuffle(elementsize=4), OF_ZARR.Zlib(level=1), OF_ZARR.Fletcher32()]
    },
    "of HDF5, v2": {
        "zarr_format": 2,
        "filters": [numcodecs.Shuffle(4), numcodecs.Zlib(1), numcodecs.Fletcher32()],
        "compressors": None,
    },
    "jenkins_lookup3": {"compressors": [OF_ZARR.JenkinsLookup3()]},
    "crc32, zstd": {"compressors": [OF_ZARR.CRC32(location="end"), zarr.codecs.ZstdCodec()]},
    "adler32, v2": {"zarr_format": 2, "filters": [numcodecs.Adler32()], "compressors": numcodecs.Zlib(1)},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_arrays_of_zarr_python(name: str, tmp_path: Path, device: Any) -> None:
    """All on the GPU; and damage names the codec, the array and the chunk."""
    values = np.floor(np.arange(60 * 70, dtype="f4").reshape(60, 70) / 9)
    zarr.create_array(tmp_path / "a", shape=(60, 70), chunks=(16, 70), dtype="f4", **LAYOUTS[name])[...] = values
    a = gpuzarr.open_array(tmp_path / "a", mode="r+", device=device)
    assert (host_array(a[...]) == values).all()
    assert not device.gpu or a.explain().gpu_decode == "yes"
    a[16:32] = -values[16:32]
    assert (np.asarray(zarr.open_array(tmp_path / "a", mode="r")[16:32]) == -values[16:32]).all()
    if "zarr_format" in LAYOUTS[name]:
        return
    chunk = tmp_path / "a" / "c" / "1" / "0"
    stored = bytearray(chunk.read_bytes())
    stored[len(stored) // 2] ^= 4
    chunk.write_bytes(stored)
    with pytest.raises(ChunkError, match=f"key 'c/1/0', codec (numcodecs.)?({name.replace(', ', '|')})"):
        a[...]
