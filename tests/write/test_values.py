"""What is written here, everybody reads; regions in any order give what they give in NumPy."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.devices.contract import Device
from gpuzarr.empty_chunk import is_empty
from tests.hardware import host_array
from tests.peers import tensorstore_reads, zarrs_reads

SHAPE, CHUNKS, SHARDS = (13, 11, 9), (4, 3, 5), (8, 6, 5)
CHAINS: dict[str, dict[str, Any]] = {
    "auto": {},
    "raw": {"compressors": None},
    "gzip": {"compressors": zarr.codecs.GzipCodec(level=1)},
    "blosc": {"compressors": {"name": "blosc", "configuration": {"cname": "lz4", "shuffle": "bitshuffle"}}},
    "zstd-crc32c": {"compressors": [zarr.codecs.ZstdCodec(level=3, checksum=True), "crc32c"]},
    "big-endian": {"serializer": zarr.codecs.BytesCodec(endian="big"), "compressors": None},
    "transpose": {"filters": zarr.codecs.TransposeCodec(order=(2, 0, 1))},
}
V2: dict[str, dict[str, Any]] = {
    "v2-auto": {},
    "v2-raw-F": {"compressors": None, "order": "F"},
    "v2-blosc": {"compressors": numcodecs.Blosc(cname="lz4")},
    "v2-zlib": {"compressors": {"id": "zlib", "level": 1}, "chunk_key_encoding": ("v2", "/")},
    "v2-delta": {"filters": [{"id": "delta", "dtype": "<i4"}]},
}
ALL = CHAINS | {f"{name}, shards": chain | {"shards": SHARDS} for name, chain in CHAINS.items()} | V2
NOT_OF_ZARRS = {"v2-raw-F", "v2-delta"}  # no order "F" of v2, and no filters
ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
DTYPES = [
    "?",
    "i1",
    "<u2",
    ">i4",
    "<f4",
    "f8",
    "c8",
    "M8[s]",
    "S3",
    "U2",
    "V3",
    "bfloat16",
    "str",
    [("a", "i2"), ("b", "f8")],
]


def values(dtype: Any = "<i4", shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    numbers = np.random.default_rng(0).integers(0, 100, shape)
    if dtype == "bfloat16":
        import ml_dtypes

        return numbers.astype(ml_dtypes.bfloat16)
    if dtype == "str":
        return numbers.astype("U").astype(np.dtypes.StringDType())
    if dtype == "V3":
        return numbers.astype("S3").view("V3")
    if isinstance(dtype, list):
        made = np.zeros(shape, dtype)
        made["a"], made["b"] = numbers, -numbers
        return made
    return numbers.astype(dtype)


@pytest.mark.parametrize("chain", ALL)
def test_everybody_reads_it(chain: str, device: Device, tmp_path: Path) -> None:
    options = ALL[chain] | ({"zarr_format": 2} if chain in V2 else {})
    want = values()
    a = gpuzarr.create_array(tmp_path, shape=SHAPE, dtype="<i4", chunks=CHUNKS, fill_value=5, device=device, **options)
    a[:9] = want[:9]
    want[9:] = 5
    want[3:11, 2:7, ::-2] = a[3:11, 2:7, ::-2] = np.arange(5)
    np.testing.assert_array_equal(host_array(a[...]), want)
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], want)
    if chain != "v2-delta":  # tensorstore has no filters
        np.testing.assert_array_equal(tensorstore_reads(tmp_path), want)
    if chain not in NOT_OF_ZARRS:
        np.testing.assert_array_equal(zarrs_reads(tmp_path), want)


@pytest.mark.parametrize("layout", ["plain", "shards", "v2"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: Any, layout: str, tmp_path: Path) -> None:
    if layout == "v2" and dtype == "bfloat16":
        pytest.skip("Zarr v2 has no bfloat16")
    want = values(dtype)
    options: dict[str, Any] = {"zarr_format": 2} if layout == "v2" else {}
    options |= {"shards": SHARDS} if layout == "shards" else {}
    a = gpuzarr.create_array(tmp_path, data=want, chunks=CHUNKS, device="cpu", **options)
    a[2:5, 1] = want[2:5, 1]
    np.testing.assert_array_equal(gpuzarr.open_array(tmp_path, device="cpu")[...], want)
    if dtype != "bfloat16" and (ZARR >= (3, 4) or np.dtype(dtype).kind != "V"):  # older ones stumble over records
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], want)


REGION = st.tuples(*(st.tuples(st.integers(0, n - 1), st.integers(1, n), st.integers(1, 3)) for n in SHAPE[:2]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(REGION, st.integers(0, 3)), max_size=5), st.sampled_from(["plain", "shards", "v2"]))
def test_regions_in_any_order(writes: list[Any], layout: str) -> None:
    options: dict[str, Any] = {"zarr_format": 2} if layout == "v2" else {}
    options |= {"shards": SHARDS[:2]} if layout == "shards" else {}
    files: dict[str, bytes] = {}
    options |= {"compressors": None if len(writes) % 2 else "auto"}
    a = gpuzarr.create_array(files, shape=SHAPE[:2], dtype="u1", chunks=CHUNKS[:2], device="cpu", **options)
    want = np.zeros(SHAPE[:2], "u1")
    for i, (region, kind) in enumerate(writes):
        key = tuple(slice(start, start + length, step) for start, length, step in region)
        rows, columns = [region[0][0], 0, region[0][0]], [region[1][0], 1]
        if kind == 0:
            a[key] = want[key] = np.arange(want[key].size, dtype="u1").reshape(want[key].shape) + i
        elif kind == 1:
            a.oindex[rows, columns] = want[np.ix_(rows, columns)] = i
        elif kind == 2:
            a.vindex[rows[:2], columns] = want[rows[:2], columns] = [7, i]
        else:
            a[want > i] = want[want > i] = 0
        np.testing.assert_array_equal(a[...], want)


def test_blocks_scalars_and_broadcasting(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(6, 5), dtype="f4", chunks=(2, 2), device="cpu")
    want = np.zeros((6, 5), "f4")
    a.blocks[1, 0] = 3
    want[2:4, :2] = 3
    a[:, 4] = [[1, 2, 3, 4, 5, 6]]
    want[:, 4] = [1, 2, 3, 4, 5, 6]
    a[0], a[-1, -1] = 2, np.float64(9)
    want[0], want[-1, -1] = 2, 9
    np.testing.assert_array_equal(a[...], want)
    scalar = gpuzarr.create_array({}, shape=(), dtype="i2", device="cpu")
    scalar[...] = 7
    assert scalar[...] == 7


def test_values_that_do_not_fit(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=(4, 4), dtype="u1", chunks=(2, 2), device="cpu")
    a[...] = 1
    wrong = [
        np.zeros(3),
        np.full((4, 4), np.nan),
        np.array([np.inf]),
        300,
        -1,
        np.array([256.0]),
        "x",
        [[1, 2], [3]],
        1j,
    ]
    for value in wrong:
        with pytest.raises(gpuzarr.ValueKindError):
            a[...] = value
    assert (a[...] == 1).all()
    with pytest.raises(gpuzarr.ReadOnlyError):
        gpuzarr.open_array(tmp_path)[0] = 1
    with pytest.raises(PermissionError):
        gpuzarr.open_array(tmp_path).attrs["x"] = 1


def test_chunks_of_fill_value_are_not_stored(device: Device, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path / "a", shape=(4, 8), dtype="f4", chunks=(4, 4), fill_value=np.nan, device=device)
    a[...] = 1
    a[:, :4] = np.nan
    assert not (tmp_path / "a/c/0/0").exists() and (tmp_path / "a/c/0/1").exists()
    a[:3, 4:] = np.nan
    a[3, 4:] = np.nan
    assert not (tmp_path / "a/c/0/1").exists()
    b = gpuzarr.create_array(tmp_path / "b", shape=(4,), dtype="f4", fill_value=0.0, device=device)
    b[...] = -0.0
    assert (tmp_path / "b/c/0").exists()
    empty = {"write_empty_chunks": True}
    c = gpuzarr.create_array(tmp_path / "c", shape=(4,), dtype="f4", device=device, config=empty)
    c[...] = 0
    assert (tmp_path / "c/c/0").exists()
    d = gpuzarr.create_array(tmp_path / "d", shape=(8, 8), chunks=(2, 2), shards=(8, 8), dtype="i4", device=device)
    d[3, 3] = 1
    one = (tmp_path / "d/c/0/0").stat().st_size
    d[...] = 1
    assert (tmp_path / "d/c/0/0").stat().st_size > one
    d[...] = 0
    assert not (tmp_path / "d/c/0/0").exists()


@pytest.mark.parametrize(
    "dtype", ["?", "u1", "f4", "M8[s]", "c16", "S3", [("a", "i2"), ("b", "f8")], "O", "T"], ids=str
)
def test_what_is_an_empty_chunk(dtype: Any) -> None:
    batch = np.zeros((3, 5, 4), np.dtypes.StringDType() if dtype == "T" else dtype)
    fill = {"O": 0, "T": ""}.get(dtype, batch[0, 0, 0]) if isinstance(dtype, str) else batch[0, 0, 0]
    other = np.ones(1, dtype)[0] if dtype != "T" else "x"
    batch[1, 2, 2] = other
    assert is_empty(batch, fill).tolist() == [True, False, True]


def test_shards_keep_what_is_not_touched(tmp_path: Path) -> None:
    """Untouched inner chunks are copied as they are stored: even those that nobody can decode."""
    a = gpuzarr.create_array(tmp_path, data=values(shape=(8, 8)), chunks=(2, 2), shards=(8, 8), device="cpu")
    file = tmp_path / "c/0/0"
    data = bytearray(file.read_bytes())
    offset, size = np.frombuffer(data, "<u8", 2, len(data) - 4 - 16 * 16)
    data[offset : offset + size] = b"\0" * int(size)
    file.write_bytes(data)
    a[4:6, 4:6] = -1
    a[6, 6] = -2
    assert (a[4:6, 4:6] == -1).all() and a[6, 6] == -2 and (a[7, 2:] == values(shape=(8, 8))[7, 2:]).all()
    with pytest.raises(gpuzarr.ChunkError):
        a[0, 0]
    with pytest.raises(gpuzarr.ChunkError):
        a[0, 0] = 1


@pytest.mark.parametrize("codecs", ["nested", "around", "start"])
def test_other_kinds_of_shards(codecs: str, tmp_path: Path) -> None:
    inner = {"chunk_shape": [2, 2], "codecs": ["bytes", "zstd"], "index_codecs": ["bytes", "crc32c"]}
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    inner["codecs"], inner["index_codecs"] = [little, "crc32c"], [little, "crc32c"]
    if codecs == "start":
        inner["index_location"] = "start"
    shard: dict[str, Any] = {"name": "sharding_indexed", "configuration": inner}
    if codecs == "nested":
        shard = {"name": "sharding_indexed", "configuration": {**inner, "chunk_shape": [4, 4], "codecs": [shard]}}
    compressors = {"name": "gzip", "configuration": {"level": 1}} if codecs == "around" else None
    a = gpuzarr.create_array(
        tmp_path, shape=(10, 13), dtype="i4", chunks=(8, 8), serializer=shard, compressors=compressors, device="cpu"
    )
    want = np.zeros((10, 13), "i4")
    a[1:9, 3:] = want[1:9, 3:] = values(shape=(8, 10))
    a[2, 2] = want[2, 2] = 5
    np.testing.assert_array_equal(a[...], want)
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[...], want)


def test_documents_are_those_of_zarr_python(tmp_path: Path) -> None:
    kinds: list[dict[str, Any]] = [
        {"dtype": "f4", "chunks": (4, 3, 5)},
        {"dtype": "i2", "chunks": (4, 3, 5), "shards": SHARDS, "fill_value": 4, "dimension_names": ("z", None, "x")},
        {
            "dtype": "u1",
            "chunks": (4, 3, 5),
            "compressors": zarr.codecs.BloscCodec(cname="lz4"),
            "attributes": {"a": 1},
        },
        {
            "dtype": "f8",
            "chunks": (4, 3, 5),
            "fill_value": np.inf,
            "filters": zarr.codecs.TransposeCodec(order=(1, 0, 2)),
        },
        {"dtype": ">i4", "chunks": (4, 3, 5), "zarr_format": 2, "order": "F", "attributes": {"b": [1, None]}},
        {"dtype": "c8", "chunks": (4, 3, 5), "zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    ]
    for i, options in enumerate(kinds):
        gpuzarr.create_array(tmp_path / f"ours{i}", shape=SHAPE, **options)
        zarr.create_array(tmp_path / f"theirs{i}", shape=SHAPE, **options)
        for name in ("zarr.json", ".zarray", ".zattrs"):
            ours, theirs = tmp_path / f"ours{i}" / name, tmp_path / f"theirs{i}" / name
            assert ours.exists() == theirs.exists()
            if ours.exists():
                want = {k: v for k, v in json.loads(theirs.read_text()).items() if k != "storage_transformers"}
                assert json.loads(ours.read_text()) == want


def test_the_index_of_a_changed_shard_is_read_once(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the chunks that stay as they are, and for those that are covered in part."""
    a = gpuzarr.create_array(tmp_path, shape=(16, 8), dtype="i4", chunks=(2, 4), shards=(8, 8), device=device)
    want = np.arange(1, 129, dtype="i4").reshape(16, 8)
    a[...] = want
    right, decoded = ShardingIndexed.entries, []

    def counting(self: ShardingIndexed, shards: Any, spec: Any) -> Any:
        decoded.append(len(shards))
        return right(self, shards, spec)

    with monkeypatch.context() as patch:
        patch.setattr(ShardingIndexed, "entries", counting)
        want[3:13, 1:7] = a[3:13, 1:7] = -1
    assert sum(decoded) == 2
    np.testing.assert_array_equal(host_array(a[...]), want)
