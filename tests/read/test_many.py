"""Many regions in one plan: the values of the loop, each chunk decoded once, and damage as was asked."""

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
from gpuzarr.devices.contract import Device
from gpuzarr.indexing.counts import touches
from gpuzarr.indexing.selection import basic
from tests.conftest import examples
from tests.hardware import DEVICES, held, host_array

SHAPE = (23, 17, 12)
VALUES = np.random.default_rng(0).integers(0, 200, SHAPE)
LAYOUTS: dict[str, dict[str, Any]] = {
    "v3 zstd": {"dtype": "i4", "compressors": [zarr.codecs.ZstdCodec()], "chunks": (5, 4, 6)},
    "v3 shards": {"dtype": "u2", "compressors": [zarr.codecs.ZstdCodec()], "chunks": (5, 4, 6), "shards": (10, 8, 12)},
    "v3 raw": {"dtype": "f4", "compressors": None, "chunks": (5, 17, 12)},
    "v2 blosc": {"dtype": "f8", "compressors": [numcodecs.Blosc("lz4")], "chunks": (4, 4, 4), "zarr_format": 2},
    "v2 big": {"dtype": ">i2", "compressors": None, "chunks": (30, 17, 3), "zarr_format": 2, "order": "F"},
}


def create(path: Path, layout: str) -> Path:
    options = LAYOUTS[layout]
    z = zarr.create_array(path, shape=SHAPE, fill_value=7, **options)
    z[:18] = VALUES[:18].astype(options["dtype"])  # the last chunks are missing, or partly fill
    return path


def wanted(layout: str) -> np.ndarray:
    values = VALUES.copy()
    values[18:] = 7
    return values.astype(np.dtype(LAYOUTS[layout]["dtype"]).newbyteorder("="))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("many")
    return {layout: create(folder / layout.replace(" ", "-"), layout) for layout in LAYOUTS}


def members(length: int) -> st.SearchStrategy[Any]:
    ends = st.integers(-length - 2, length + 2) | st.none()
    steps = st.integers(-5, 5).filter(bool) | st.none()
    return st.builds(slice, ends, ends, steps) | st.integers(-length, length - 1)


def lists(length: int) -> st.SearchStrategy[Any]:
    return st.lists(st.integers(-length, length - 1), max_size=6).map(lambda some: np.array(some, np.int64))


@st.composite
def selections(draw: st.DrawFn) -> Any:
    """A selection of any kind that brackets take: ranges and ints, one list, points."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        count = draw(st.integers(0, 5))
        some = [draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count)) for n in SHAPE]
        return tuple(np.array(each, np.int64) for each in some)
    found = [draw(members(n)) for n in SHAPE[: draw(st.integers(0, 3))]]
    if kind == 1 and len(found) == 3:
        axis = draw(st.integers(0, 2))
        found[axis] = draw(lists(SHAPE[axis]))
    if kind == 2:
        return slice(4, 9), slice(draw(st.integers(0, 6)), 11), slice(3, 4)  # often alike
    return tuple(found)


def by_loop(values: np.ndarray, selection: Any) -> np.ndarray:
    if any(isinstance(one, np.ndarray) for one in selection) and not all(
        isinstance(one, np.ndarray) for one in selection
    ):
        found = values
        for axis in reversed(range(len(selection))):
            one = selection[axis]
            found = (
                np.take(found, one, axis)
                if isinstance(one, np.ndarray | int)
                else found[(slice(None),) * axis + (one,)]
            )
        return found
    return values[selection]


PAIRS = st.lists(st.tuples(st.sampled_from(list(LAYOUTS)), selections()), max_size=8)


@pytest.mark.parametrize("name", DEVICES)
@settings(max_examples=examples(40), deadline=None)
@given(pairs=PAIRS, seed=st.integers(0, 3))
def test_the_values_of_the_loop(stored: dict[str, Path], name: str, pairs: list[Any], seed: int) -> None:
    device = DEVICES[name]()
    arrays = {layout: gpuzarr.open_array(path, device=device) for layout, path in stored.items()}
    if seed == 0:  # other objects for the same array
        again = {layout: gpuzarr.open_array(path, device=device) for layout, path in stored.items()}
    else:
        again = arrays
    asked = [((arrays, again)[i % 2][layout], selection) for i, (layout, selection) in enumerate(pairs)]
    found = gpuzarr.read_many(asked, memory_limit=(None, "1MiB", "20KiB", None)[seed])
    expected = [by_loop(wanted(layout), selection) for layout, selection in pairs]
    assert len(found) == len(pairs)
    is_stacked = bool(pairs) and len({(e.shape, e.dtype) for e in expected}) == 1
    assert isinstance(found, list) != is_stacked
    for got, want, (array, selection) in zip(found, expected, asked, strict=True):
        np.testing.assert_array_equal(host_array(got), want)
        assert host_array(got).dtype == array[selection].dtype


def touched(shape: tuple[int, ...], chunks: tuple[int, ...], selections: list[Any]) -> set[Any]:
    """The chunks that have wanted elements, by looking at each element."""
    grid = np.indices(shape)
    numbers = np.stack([axis // n for axis, n in zip(grid, chunks, strict=True)], axis=-1)
    return {tuple(row) for one in selections for row in numbers[one].reshape(-1, len(shape)).tolist()}


@pytest.mark.parametrize("layout", ["v3 zstd", "v3 shards", "v2 blosc"])
def test_each_chunk_is_decoded_once(layout: str, tmp_path: Path, device: Device) -> None:
    options = LAYOUTS[layout]
    zarr.create_array(tmp_path / "a", shape=SHAPE, **options)[...] = VALUES + 1
    a, b = (gpuzarr.open_array(tmp_path / "a", device=device) for _ in range(2))
    windows = [np.s_[i : i + 4, 3:9] for i in range(0, 18, 2)] + [np.s_[::7], np.s_[5, 5, 5], np.s_[20:3:-2]]
    gpuzarr.read_many([((a, b)[i % 2], window) for i, window in enumerate(windows)])
    assert a.last_read is b.last_read
    report = a.last_read.asdict()
    assert report["chunks"] == len(touched(SHAPE, options["chunks"], windows))
    assert report["result_bytes"] == sum(a[window].nbytes for window in windows)


def test_one_batch_of_many_arrays(tmp_path: Path, gpu: Device) -> None:
    """A GPU gets the chunks of all arrays together: one call of nvCOMP, one launch that places them."""
    arrays = []
    for i in range(12):
        z = zarr.create_array(tmp_path / f"{i}", shape=(40, 30), dtype="f4", chunks=(4, 30), fill_value=np.nan)
        z[: 40 - i] = i + np.zeros((40 - i, 1)) + np.arange(30)
        arrays.append(gpuzarr.open_array(tmp_path / f"{i}", device=gpu))
    launched: list[str] = []
    kernel = gpu.kernel

    def noted(file: str, name: str, width: int | None = None) -> Any:
        run = kernel(file, name, width)
        return lambda *arguments: (launched.append(name), run(*arguments))[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "kernel", noted)
        found = gpuzarr.read_many([(a, np.s_[i : i + 25]) for i, a in enumerate(arrays)])
    for i, got in enumerate(host_array(found)):
        np.testing.assert_array_equal(
            got, arrays[i][i : i + 25].get() if hasattr(got, "get") else host_array(arrays[i][i : i + 25])
        )
    report = arrays[0].last_read.asdict()
    assert report["batches"] == 1 and launched.count("place") == 1
    assert held(gpu) == 0


def test_results_go_where_they_are_wanted(stored: dict[str, Path], device: Device) -> None:
    a = gpuzarr.open_array(stored["v3 zstd"], device=device)
    some = [np.s_[i : i + 3, 2, ::2] for i in (0, 4, 17)]
    memory = device.xp.empty((3, 3, 6), "i4")
    assert a.get_many(some, out=memory) is memory
    turned = device.xp.empty((6, 3, 3), "i4").transpose(2, 1, 0)
    a.get_many(some, out=turned)
    apart = [device.xp.empty((3, 6), "i4") for _ in some]
    assert a.get_many(some, out=apart) is apart
    for i, one in enumerate(some):
        for got in (memory[i], turned[i], apart[i]):
            np.testing.assert_array_equal(host_array(got), wanted("v3 zstd")[one])
    for out, selections in [
        (memory, some[:2]),
        (apart[:2], some),
        (memory, []),
        (3, []),
        (apart, []),
        (memory, [np.s_[0], np.s_[0, 0]]),
    ]:
        with pytest.raises(gpuzarr.SelectionError, match="`out`"):
            a.get_many(selections, out=out)
    assert a.get_many([]) == [] and gpuzarr.read_many(iter([])) == []
    assert host_array(a.get_many([(1, 2, 3), (4, 5, 6)])).tolist() == wanted("v3 zstd")[[1, 4], [2, 5], [3, 6]].tolist()


def test_calls_that_mean_nothing(stored: dict[str, Path]) -> None:
    a = gpuzarr.open_array(stored["v3 zstd"], device="cpu")
    for selections in (slice(3), "x", {"x": 1}, 3, None):
        with pytest.raises(gpuzarr.ArgumentError):
            a.get_many(selections)
    for pairs in ([a], [(a, 1, 2)], [(3, 1)], [None]):
        with pytest.raises(gpuzarr.ArgumentError):
            gpuzarr.read_many(pairs)
    with pytest.raises(gpuzarr.ArgumentError):
        a.get_many([1], on_error="ignore")
    with pytest.raises(gpuzarr.ArgumentError):
        a.get_many([1], on_error="skip", out=np.empty((1, 17, 12), "i4"))
    with pytest.raises(gpuzarr.SelectionError):
        a.get_many([1, 99])
    for call in (lambda: a.get_many([1, 99, 2]), lambda: gpuzarr.read_many([(a, 1), (a, (0, "x"))])):
        with pytest.raises(gpuzarr.SelectionError, match=r"selection 1, of array '/' in LocalStore\("):
            call()


def test_fields_of_structs(tmp_path: Path, device: Device) -> None:
    values = np.zeros(20, [("x", "i4"), ("y", "f8")])
    values["x"], values["y"] = np.arange(20), np.arange(20) / 2
    gpuzarr.save_array(tmp_path / "a", values, zarr_format=2, chunks=6)
    a = gpuzarr.open_array(tmp_path / "a", device=device)
    got = a.get_many([("x", slice(3, 9)), ("x", slice(9, 15))])
    np.testing.assert_array_equal(got, [values["x"][3:9], values["x"][9:15]])
    different = a.get_many([("y", slice(3, 9)), slice(0, 6), ("x", 2)])
    assert isinstance(different, list) and different[2] == 2
    np.testing.assert_array_equal(different[0], values["y"][3:9])
    np.testing.assert_array_equal(different[1], values[:6])
    other = a.get_many([("x", slice(3)), ("y", slice(3))])
    assert [one.dtype for one in other] == ["i4", "f8"]


@pytest.mark.parametrize("elements", ["strings", "objects", "numbers"])
def test_many_alike(elements: str, tmp_path: Path, device: Device) -> None:
    """So many small regions of one form that they are copied together."""
    values = np.arange(500)
    if elements == "numbers":
        z = zarr.create_array(tmp_path / "a", shape=500, dtype="i4", chunks=50)
    elif elements == "strings":
        values = np.array([f"text {i}" for i in values], np.dtypes.StringDType())
        z = zarr.create_array(tmp_path / "a", shape=500, dtype=str, chunks=50)
    else:
        values = np.array([f"text {i}" for i in values], object)
        filters = [numcodecs.VLenUTF8()]
        z = zarr.create_array(tmp_path / "a", shape=500, dtype=str, chunks=50, zarr_format=2, filters=filters)
    z[:] = values
    a = gpuzarr.open_array(tmp_path / "a", device=device)
    regions = [slice(i, i + 3) for i in range(0, 480, 3)]
    for got, region in zip(a.get_many(regions), regions, strict=True):
        assert host_array(got).tolist() == values[region].tolist()


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_read_only_memory_is_refused(layout: str, stored: dict[str, Path]) -> None:
    a = gpuzarr.open_array(stored[layout], device="cpu")
    memory = np.full((2, *SHAPE), 3, a.dtype)
    memory.flags.writeable = False
    for out in (memory, [memory[0], memory[1]], np.broadcast_to(memory[0], memory.shape)):
        with pytest.raises(gpuzarr.ArgumentError, match="read-only"):
            a.get_many([..., ...], out=out)
    with pytest.raises(gpuzarr.ArgumentError, match="read-only"):
        a.get(out=memory[0])
    assert (memory == 3).all()


def test_memory_whose_elements_overlap_is_refused(stored: dict[str, Path]) -> None:
    a = gpuzarr.open_array(next(iter(stored.values())), device="cpu")
    alone = np.full(1, 3, a.dtype)
    many = np.lib.stride_tricks.as_strided(alone, (2, *SHAPE), (0,) * (len(SHAPE) + 1))
    for read in (lambda: a.get(out=many[0]), lambda: a.get_many([..., ...], out=many)):
        with pytest.raises(gpuzarr.ArgumentError, match="share memory"):
            read()
    assert alone[0] == 3
    long = gpuzarr.zeros(1 << 50, chunks=1 << 20, dtype="u1")
    with pytest.raises(gpuzarr.ArgumentError, match="share memory"):
        long.get(out=np.lib.stride_tricks.as_strided(np.zeros(1, "u1"), long.shape, (0,)))


def damaged(path: Path, layout: str, chunk: tuple[int, ...]) -> Path:
    """The array with a chunk whose file, or place in its shard, has other bytes."""
    create(path, layout)
    a = gpuzarr.open_array(path, device="cpu")
    file = path / a.layout.key(chunk)
    data = bytearray(file.read_bytes())
    data[: len(data) // 3] = bytes(len(data) // 3)
    file.write_bytes(data)
    return path


@pytest.mark.damaging
@pytest.mark.parametrize("layout", ["v3 zstd", "v2 blosc"])
@pytest.mark.parametrize("most", [0, 64])
def test_damage_as_was_asked(layout: str, most: int, tmp_path: Path, device: Device, thresholds: Any) -> None:
    thresholds("gpuzarr.read", MIN_REGION_CHUNK_BYTES=1, MAX_REGION_CHUNKS=most)  # both kinds of work
    bad = (1, 1, 1)
    path, whole = damaged(tmp_path / "a", layout, bad), wanted(layout)
    a = gpuzarr.open_array(path, device=device)
    selections = [np.s_[i : i + 3, j : j + 4] for i in (0, 4, 10) for j in (0, 6)]
    place = tuple(slice(i * n, i * n + n) for i, n in zip(bad, a.chunks, strict=True))
    hole = np.zeros(SHAPE, bool)
    hole[place] = True
    touching = tuple(i for i, one in enumerate(selections) if hole[one].any())
    assert 0 < len(touching) < len(selections)
    with pytest.raises(gpuzarr.ChunkError) as raised:
        a.get_many(selections)
    filled, failures = a.get_many(selections, on_error="fill")
    assert [failure.regions for failure in failures] == [touching]
    error: Any = failures[0].error
    assert (error.chunk, error.array, error.codec) == (bad, "", raised.value.codec)
    expected = np.where(hole, np.array(7, whole.dtype), whole)
    for got, one in zip(host_array(filled), selections, strict=True):
        np.testing.assert_array_equal(got, expected[one])
    rest, failures = a.get_many(selections, on_error="skip")
    kept = [one for i, one in enumerate(selections) if i not in touching]
    np.testing.assert_array_equal(host_array(rest), [whole[one] for one in kept])
    assert failures[0].regions == touching
    values, failures = a.get_many(kept, on_error="skip")
    assert not failures
    np.testing.assert_array_equal(host_array(values), host_array(rest))


def test_a_store_that_cannot_be_read(stored: dict[str, Path], device: Device) -> None:
    files = {
        str(file.relative_to(stored["v3 zstd"])): file.read_bytes()
        for file in stored["v3 zstd"].rglob("*")
        if file.is_file()
    }

    class Refusing(dict[str, bytes]):
        def __getitem__(self, key: str) -> bytes:
            if key == "c/0/0/0":
                raise PermissionError("no")
            return super().__getitem__(key)

    a = gpuzarr.open_array(Refusing(files), device=device)
    selections = [np.s_[0:2, 0:2], np.s_[6:8, 0:2]]
    with pytest.raises(gpuzarr.StoreError):
        a.get_many(selections)
    found, failures = a.get_many(selections, on_error="fill")
    assert [failure.regions for failure in failures] == [(0,)]
    assert isinstance(failures[0].error, gpuzarr.StoreError)
    assert (host_array(found)[0, :, :, :6] == 7).all()
    np.testing.assert_array_equal(host_array(found)[1], wanted("v3 zstd")[selections[1]])


def test_more_boxes_than_one_plan_has(stored: dict[str, Path], device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuzarr.read.requests.MAX_BOXES", 40)
    a = gpuzarr.open_array(stored["v3 zstd"], device=device)
    selections = [np.s_[i : i + 6, :, 3] for i in range(12)] + [np.s_[...]]
    for got, one in zip(a.get_many(selections), selections, strict=True):
        np.testing.assert_array_equal(host_array(got), wanted("v3 zstd")[one])


@given(st.data())
def test_which_chunks_a_selection_touches(data: st.DataObject) -> None:
    selection = data.draw(selections())
    axes = gpuzarr.zeros(SHAPE, chunks=(5, 4, 6)).metadata.axes
    found = touched(SHAPE, (5, 4, 6), [selection]) if not isinstance(selection[0] if selection else 0, list) else set()
    chunk = tuple(data.draw(st.integers(0, axis.count - 1)) for axis in axes)
    if sum(isinstance(one, np.ndarray) for one in selection) in (0, 3):
        assert touches(basic(selection, SHAPE), axes, chunk) == (chunk in found)
