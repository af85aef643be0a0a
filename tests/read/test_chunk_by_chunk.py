"""Reads chunk by chunk on the CPU: the same values and errors whatever was read before, by less work."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.cpu.zstd_library import partial_decoder
from gpuzarr.errors import ChunkError
from gpuzarr.formats.blosc_frame import cut_out
from gpuzarr.formats.zstd_frame import beginning
from gpuzarr.indexing.grid import parts
from gpuzarr.indexing.region import count, of_parts, of_region, runs
from gpuzarr.indexing.selection import basic
from gpuzarr.metadata import RegularAxis
from gpuzarr.stores.local.objects import LocalObjects
from tests.open_files import open_files
from tests.read.chunked import CHUNKS, LAYOUTS, SHAPE, VALUES, slices, written

c = zarr.codecs
OTHER_CHAINS: dict[str, dict[str, Any]] = {
    "gzip": {"compressors": [c.GzipCodec(level=1)]},
    "crc32c": {"compressors": [c.ZstdCodec(), c.Crc32cCodec()]},
    "big-endian": {"compressors": None, "serializer": c.BytesCodec(endian="big")},
}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, gpuzarr.Array]:
    folder = tmp_path_factory.mktemp("regions")
    layouts = LAYOUTS | OTHER_CHAINS
    return {n: gpuzarr.open_array(written(folder / n.replace(" ", "-"), layouts[n]), device="cpu") for n in layouts}


def chunk_by_chunk(a: gpuzarr.Array, key: Any) -> bool:
    return a.explain(key).work == "chunk by chunk"


@pytest.mark.parametrize("name", [*LAYOUTS, *OTHER_CHAINS])
@settings(max_examples=25, deadline=None)
@given(key=slices(SHAPE))
def test_values(name: str, key: tuple[slice, ...], arrays: dict[str, gpuzarr.Array]) -> None:
    a = arrays[name]
    assert chunk_by_chunk(a, key)
    np.testing.assert_array_equal(a[key], VALUES[key])
    np.testing.assert_array_equal(a[key], VALUES[key])  # now with indexes of shards that are known
    said = a.last_read.asdict()
    assert said["batches"] == 1 and said["chunks"] >= 1 and said["stored_bytes"] > 0 and said["prefetch_depth"] == 0
    assert "storage" in said["seconds"] and said["codecs"] and said["io"].startswith("POSIX")


@pytest.mark.parametrize("name", LAYOUTS)
def test_turned_and_other_results(name: str, arrays: dict[str, gpuzarr.Array]) -> None:
    a = arrays[name]
    np.testing.assert_array_equal(a[40:8:-1, 10, 20:90], VALUES[40:8:-1, 10, 20:90])
    out = np.zeros((64, 40, 200), "u2")[..., ::2]
    assert a.get((slice(0, 64), slice(40), slice(100)), out=out) is out
    np.testing.assert_array_equal(out, VALUES[:64, :40])
    locked = np.zeros(CHUNKS, "u2")
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        a.get((slice(0, 32), slice(0, 40), slice(0, 48)), out=locked)
    assert not locked.any()


@pytest.mark.parametrize("name", [*LAYOUTS, *OTHER_CHAINS])
def test_other_selections(name: str, arrays: dict[str, gpuzarr.Array]) -> None:
    a = arrays[name]
    assert chunk_by_chunk(a, np.s_[::2, 3:9, 1]) and not chunk_by_chunk(a, np.s_[3:3])
    np.testing.assert_array_equal(a[::2, 3:9, 1], VALUES[::2, 3:9, 1])
    np.testing.assert_array_equal(a.oindex[[1, 5, 60], :, 3], VALUES[[1, 5, 60], :, 3])
    np.testing.assert_array_equal(
        a.vindex[[1, 5, 69], [2, 3, 0], [4, 4, 99]], VALUES[[1, 5, 69], [2, 3, 0], [4, 4, 99]]
    )
    assert a[3:3].shape == (0, *SHAPE[1:])
    np.testing.assert_array_equal(a.get(slice(20), memory_limit="1MiB"), VALUES[:20])


def test_which_kind_of_work_depends_on_layout_and_selection_alone(arrays: dict[str, gpuzarr.Array]) -> None:
    for name, a in arrays.items():
        for limit in (1, "1MiB", "4GiB"):
            limited = gpuzarr.open_array(a.store.root, memory_limit=limit, device="cpu")
            assert chunk_by_chunk(limited, np.s_[3:50]), name
            np.testing.assert_array_equal(limited[3:50], VALUES[3:50])


@pytest.mark.parametrize("name", ["raw", "zstd", "shards", "raw shards"])
def test_missing_chunks(name: str, tmp_path: Path) -> None:
    data = VALUES.copy()
    data[:32, :40, :48] = data[32:, 40:] = 7
    a = gpuzarr.open_array(written(tmp_path / "a", LAYOUTS[name], data), device="cpu")
    for key in (np.s_[:, :, :], np.s_[10:50, 20:70, 30:60], np.s_[:32, :40, :48], np.s_[64:, 80:, 96:]):
        for _ in range(2):
            np.testing.assert_array_equal(a[key], data[key])


@pytest.mark.damaging
@pytest.mark.parametrize("name", [*LAYOUTS, *OTHER_CHAINS])
@pytest.mark.parametrize("damage", ["cut", "empty", "longer", "zeros"])
def test_damage_is_told(name: str, damage: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a", (LAYOUTS | OTHER_CHAINS)[name])
    a = gpuzarr.open_array(path, device="cpu")
    file = path / ("1.1.1" if "v2" in name else "c/0/0/0" if "shards" in name else "c/1/1/1")
    key = np.s_[32:64, 40:80, 48:96]
    inner = np.s_[33:35, 40:41, 50:60]
    np.testing.assert_array_equal(a[key], VALUES[key])
    good = file.read_bytes()
    bad = {"cut": good[: len(good) // 3], "empty": b"", "longer": good + b"junk" * 9, "zeros": bytes(len(good))}[damage]
    file.write_bytes(bad)
    is_unseen = damage == "zeros" and ("raw" in name or name == "big-endian")
    for wanted in (key, inner):
        try:
            np.testing.assert_array_equal(a[wanted], VALUES[wanted] * (not is_unseen or "shards" in name))
        except ChunkError as error:
            assert error.array == a.path and error.key in file.as_posix()
        else:
            assert "shards" in name or name == "blosc plain" or is_unseen, "damage that can be seen was not"


def test_a_shard_that_is_replaced_or_written_to(tmp_path: Path, monkeypatch: Any) -> None:
    path = written(tmp_path / "a", LAYOUTS["shards"])
    a = gpuzarr.open_array(path, device="cpu")
    key, file = np.s_[3:60, 3:39, 3:90], path / "c/0/0/0"
    np.testing.assert_array_equal(a[key], VALUES[key])
    written(tmp_path / "b", LAYOUTS["shards"], VALUES + 1)
    os.replace(tmp_path / "b/c/0/0/0", file)
    np.testing.assert_array_equal(a[key], VALUES[key] + 1)
    np.testing.assert_array_equal(a[key], VALUES[key] + 1)
    changed, asked = LocalObjects.changed, []

    def touched(self: Any) -> bool:
        """Somebody writes to the file just before the first look."""
        if not asked:
            os.utime(file, (1, 1))
        asked.append(changed(self))
        return asked[-1]

    monkeypatch.setattr(LocalObjects, "changed", touched)
    np.testing.assert_array_equal(a[key], VALUES[key] + 1)
    assert asked == [True, False]


def test_many_threads_and_no_open_file_is_left(arrays: dict[str, gpuzarr.Array]) -> None:
    before = open_files()
    wrong: list[Any] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for name in [*LAYOUTS] * 3:
            key = tuple(slice(int(a), int(a) + 40) for a in rng.integers(0, 40, 3))
            if not np.array_equal(arrays[name][key], VALUES[key]):
                wrong.append((name, key))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and open_files() == before


@given(
    slices((20, 9)), st.tuples(st.integers(1, 7), st.integers(1, 5)), st.tuples(st.integers(1, 3), st.integers(1, 3))
)
def test_cells_are_the_boxes_of_the_grid(key: Any, sizes: tuple[int, int], counts: tuple[int, int]) -> None:
    axes = tuple(RegularAxis(n, size) for n, size in zip((20, 9), sizes, strict=True))
    region = runs(basic(key, (20, 9)), axes)
    assert region is not None
    found = list(of_region(region, counts))
    boxes = [box for part in parts(basic(key, (20, 9)), axes, (0, 0)) for box in part.split(1)]
    assert len(found) == len(boxes) == count(region)
    want = {tuple(box.coords[0].tolist()): box for box in boxes}
    numbers = np.arange(sizes[0] * sizes[1]).reshape(sizes)
    for of, number, inside, outside, first, last in found:
        within = divmod(number, counts[1])
        box = want[tuple(o * n + w for o, n, w in zip(of, counts, within, strict=True))]
        assert outside == tuple(s.outside for s in box.runs)
        np.testing.assert_array_equal(numbers[inside], numbers[box.inside])
        assert (first, last) == (numbers[inside].min(), numbers[inside].max())
    others = {(of, number): (first, last) for of, number, _, _, first, last in of_parts(boxes, counts)}
    assert others == {(of, number): (first, last) for of, number, _, _, first, last in found}


@settings(deadline=None)
@given(st.integers(0, 299_999), st.integers(1, 100_000), st.sampled_from([0, 4096, 10_000, 1 << 17, 1 << 20]))
def test_a_part_of_a_blosc_frame(first: int, length: int, blocksize: int) -> None:
    data = VALUES.tobytes()[:300_000]
    last = min(first + length, len(data))
    frame = bytearray(numcodecs.blosc.compress(np.frombuffer(data, "u2"), b"lz4", 5, 1, blocksize))
    before = bytes(frame)
    cut = cut_out(memoryview(frame), first, last)
    made = bytes(numcodecs.blosc.decompress(bytes(frame[cut.start :])))
    assert len(made) == cut.nbytes and cut.skipped <= first and last <= cut.skipped + cut.nbytes
    assert made == data[cut.skipped : cut.skipped + cut.nbytes]
    cut.undo(memoryview(frame))
    assert bytes(frame) == before


def test_the_beginning_of_a_zstd_frame() -> None:
    data = VALUES.tobytes() * 2
    frame = memoryview(numcodecs.zstd.compress(data, 1))
    decode = partial_decoder()
    assert decode is not None
    target = np.zeros(len(data), np.uint8)
    for wanted in (1, 1 << 17, (1 << 17) + 1, len(data) // 2):
        size = beginning(frame, len(data), wanted)
        assert size is not None and size < len(frame)
        source = np.frombuffer(frame[:size], np.uint8)
        assert decode(target.ctypes.data, len(data), source.ctypes.data, size) >= wanted
        assert target[:wanted].tobytes() == data[:wanted]
    checked = numcodecs.zstd.Zstd(1, checksum=True).encode(data)
    others = [frame[:-1], memoryview(bytes(frame) + b"x"), memoryview(checked), memoryview(b"")]
    assert [beginning(other, len(data), 1) for other in others] == [None] * 4
    assert beginning(frame, len(data) - 1, 1) is None
    for wrong in range(10, 60):  # whatever stands in the frame: an error, or bytes that are as many as it said
        broken = np.frombuffer(frame, np.uint8).copy()
        broken[wrong * 11] ^= 0x55
        if (size := beginning(memoryview(broken), len(data), 1 << 18)) is not None:
            try:
                assert decode(target.ctypes.data, len(data), broken.ctypes.data, size) <= len(data)
            except gpuzarr.GpuZarrError:
                continue
