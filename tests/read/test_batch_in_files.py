"""Batches that the C library reads, decodes and places: the same values, errors and counts as where Python does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import native
from gpuzarr.read.batch_in_files import InFiles
from tests.conftest import examples

pytestmark = pytest.mark.usefixtures("compiled")
SHAPE, CHUNKS = (60, 70), (4, 5)
VALUES = np.random.default_rng(0).integers(0, 9, SHAPE).astype("i4")
ZSTD, BLOSC = zarr.codecs.ZstdCodec(), zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle")
LAYOUTS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": ZSTD},
    "v2 blosc": {"compressors": numcodecs.Blosc("lz4"), "zarr_format": 2},
    "shards of raw": {"compressors": None, "shards": (20, 35)},
    "shards of zstd": {"compressors": ZSTD, "shards": (20, 35)},
    "shards of blosc": {"compressors": BLOSC, "shards": (60, 70)},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("arrays")
    for name, layout in LAYOUTS.items():
        write(made / name, layout)
    return made


def write(path: Path, layout: dict[str, Any]) -> Path:
    """All of the array but some chunks, and a whole shard, of the fill value."""
    z = zarr.create_array(path, shape=SHAPE, dtype="i4", chunks=CHUNKS, fill_value=7, **layout)
    z[:40, :35], z[:44, 45:] = VALUES[:40, :35], VALUES[:44, 45:]
    return path


def by_python(array: gpuzarr.Array, read: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "library", lambda: None)
        return read(array)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=examples(8), deadline=None)
@given(data=st.data())
def test_the_same_values_and_counts(name: str, folder: Path, data: st.DataObject) -> None:
    a = gpuzarr.open_array(folder / name, device="cpu")
    indices = st.lists(st.integers(0, 59), max_size=30)
    ranges = st.builds(slice, st.integers(-60, 60), st.integers(-60, 60), st.sampled_from([1, 2, 7, -1, -3]))
    keys = st.tuples(st.one_of(indices, ranges), st.one_of(indices, ranges))
    some = data.draw(st.lists(keys, min_size=1, max_size=3))

    def read(array: gpuzarr.Array) -> list[Any]:
        found = [array.oindex[key] for key in some]
        return [*found, *array.get_many([key for key in some if not any(isinstance(k, list) for k in key)])]

    for got, expected in zip(read(a), by_python(a, read), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_library_reads_them(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = gpuzarr.open_array(folder / name, device="cpu")
    expected = by_python(a, lambda array: array[...])
    counts = a.last_read.asdict()
    done, right = [], InFiles.read
    monkeypatch.setattr(InFiles, "read", lambda self, batch: done.append(right(self, batch)) or done[-1])
    np.testing.assert_array_equal(a[...], expected)
    assert done and all(done)
    found = a.last_read.asdict()
    assert {key: found[key] for key in ("chunks", "stored_bytes")} == {
        key: counts[key] for key in ("chunks", "stored_bytes")
    }


def shard_of(entries: list[tuple[int, int]], data: bytes) -> bytes:
    from google_crc32c import value

    index = np.array(entries, "<u8").tobytes()
    return data + index + value(index).to_bytes(4, "little")


@pytest.mark.damaging
@pytest.mark.parametrize("size", [16, 80_000])
def test_entries_of_an_index_that_lie_anywhere(size: int, tmp_path: Path) -> None:
    """In any order, the same bytes for several chunks, overlapping, and one behind the end of the file."""
    path, count = tmp_path / "a", 8
    a = zarr.create_array(
        path, shape=(count * size,), chunks=(size,), shards=(count * size,), dtype="u1", compressors=None
    )
    data = np.random.default_rng(1).integers(0, 256, 4 * size, "u1").tobytes()
    at = [2 * size, 0, size // 2, 3 * size, 3 * size, 1, size, 2 * size + 3]
    a[:1] = 1
    (path / "c/0").write_bytes(shard_of([(offset, size) for offset in at], data))
    expected = b"".join(data[offset : offset + size] for offset in at)
    assert gpuzarr.open_array(path, device="cpu")[...].tobytes() == expected
    for bad in ((6, len(data) + 16 * count, size), (3, 1 << 61, size), (2, 0, size + 1), (0, 0, 0)):
        entries = [(offset, size) for offset in at]
        entries[bad[0]] = bad[1:]
        (path / "c/0").write_bytes(shard_of(entries, data))
        said = [outcome(path), by_python(gpuzarr.open_array(path, device="cpu"), lambda _: outcome(path))]
        assert said[0] == said[1] and said[0][1] == (bad[0],)


@pytest.mark.damaging
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_damage(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a", LAYOUTS[name])
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix != ".json")
    file = next(file for file in files if not file.name.startswith(".z"))
    good = file.read_bytes()
    for bad in (good[:-3], good[: len(good) // 2], b"", good + b"0", good + bytes(100_000), bytes(len(good))):
        file.write_bytes(bad)
        said = [outcome(path), by_python(gpuzarr.open_array(path, device="cpu"), lambda _: outcome(path))]
        assert said[0] == said[1]


def outcome(path: Path) -> Any:
    try:
        return gpuzarr.open_array(path, device="cpu")[...].tobytes()
    except gpuzarr.ChunkError as error:
        return str(error), error.chunk, error.codec
