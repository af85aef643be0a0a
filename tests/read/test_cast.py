"""Reading with a cast on the way: what the formula makes of the values, to the bit, on every device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.dtypes.cast import cast_of
from gpuzarr.errors import ArgumentError, ChunkError, DeviceError, SelectionError
from tests.casts import assert_same
from tests.conftest import examples
from tests.hardware import DEVICES, host_array

SHAPE = (23, 17, 12)
VALUES = np.random.default_rng(0).integers(0, 200, SHAPE)
ZSTD = [zarr.codecs.ZstdCodec()]
LAYOUTS: dict[str, dict[str, Any]] = {
    "v3 zstd": {"dtype": "i4", "compressors": ZSTD, "chunks": (5, 4, 6)},
    "v3 shards": {"dtype": "u2", "compressors": ZSTD, "chunks": (5, 4, 6), "shards": (10, 8, 12)},
    "v3 raw": {"dtype": "f4", "compressors": None, "chunks": (5, 17, 12)},
    "v3 blosc bits": {
        "dtype": "f8", "chunks": (12, 17, 12),
        "compressors": [zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle")],
    },
    "v3 transposed": {
        "dtype": "i2", "filters": [zarr.codecs.TransposeCodec(order=(2, 1, 0))], "compressors": ZSTD,
        "chunks": (12, 16, 12),
    },
    "v2 blosc": {"dtype": "u2", "compressors": [numcodecs.Blosc("lz4")], "chunks": (12, 17, 12), "zarr_format": 2},
    "v2 big": {"dtype": ">i2", "compressors": None, "chunks": (30, 17, 3), "zarr_format": 2, "order": "F"},
    "v2 big floats": {"dtype": ">f4", "compressors": None, "chunks": (4, 17, 12), "zarr_format": 2},
    "v2 delta": {
        "dtype": "i8", "filters": [numcodecs.Delta("i8")], "compressors": None, "chunks": (6, 6, 6), "zarr_format": 2,
    },
    "v2 bools": {"dtype": "?", "compressors": [numcodecs.Zlib()], "chunks": (6, 6, 6), "zarr_format": 2},
}  # fmt: skip
FILL = 7


def create(path: Path, layout: str) -> Path:
    options = LAYOUTS[layout]
    z = zarr.create_array(path, shape=SHAPE, fill_value=options["dtype"] == "?" or FILL, **options)
    z[:18] = VALUES[:18].astype(options["dtype"])  # the last chunks are missing, or partly fill
    return path


def stored_values(layout: str) -> np.ndarray:
    values = VALUES.copy()
    values[18:] = FILL
    return values.astype(np.dtype(LAYOUTS[layout]["dtype"]).newbyteorder("="))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("cast")
    return {layout: create(folder / layout.replace(" ", "-"), layout) for layout in LAYOUTS}


CASTS: list[dict[str, Any]] = [
    *({"dtype": dtype} for dtype in ("f2", "f4", "f8", "bool", "bfloat16")),
    {"scale": 0.1},
    {"scale": 0.1, "offset": -3, "fill_to_nan": True},
    {"fill_to_nan": True},
    {"dtype": "float16", "offset": 1000},
    {"dtype": "bfloat16", "scale": 3, "fill_to_nan": True},
    {"dtype": "f8", "scale": 1 / 3, "fill_to_nan": 11},
    {"dtype": "float8_e4m3fn", "scale": 0.25},
]


@st.composite
def selections(draw: st.DrawFn) -> Any:
    """Ranges in any direction and ints, maybe with a list; or points."""
    lists = [st.lists(st.integers(-n, n - 1), max_size=6).map(lambda some: np.array(some, np.int64)) for n in SHAPE]
    if draw(st.integers(0, 4)) == 0:
        count = draw(st.integers(1, 5))
        return tuple(np.array(draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count))) for n in SHAPE)
    found = [draw(st.slices(n) | st.integers(-n, n - 1)) for n in SHAPE[: draw(st.integers(0, 3))]]
    if found and draw(st.booleans()):
        axis = draw(st.integers(0, len(found) - 1))
        found[axis] = draw(lists[axis])
    return tuple(found)


def expected(values: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    given = {"dtype": None, "scale": None, "offset": None, "fill_to_nan": False, **options}
    given["dtype"] = given["dtype"] and np.dtype(getattr(ml_dtypes, given["dtype"], given["dtype"]))
    fill = values.dtype.type(FILL)
    if values.dtype.kind == "b" and given["fill_to_nan"] == 11:
        given["fill_to_nan"] = 1
    cast = cast_of(values.dtype, fill, **given)
    return values if cast is None else cast.of(values)


@pytest.mark.parametrize("name", list(DEVICES))
@settings(max_examples=examples(80), deadline=None)
@given(
    layout=st.sampled_from(list(LAYOUTS)), options=st.sampled_from(CASTS), selection=selections(), limit=st.booleans()
)
def test_the_formula(
    stored: dict[str, Path], name: str, layout: str, options: Any, selection: Any, limit: bool
) -> None:
    array = gpuzarr.open_array(stored[layout], device=DEVICES[name]())
    if array.dtype.kind == "b" and options.get("fill_to_nan") == 11:
        options = {**options, "fill_to_nan": 1}
    wanted = expected(host_array(array[selection]), options)
    found = array.get(selection, memory_limit="20KiB" if limit else None, **options)
    on_gpu = array.device.gpu and not options.get("dtype", "").startswith("float8")
    numbers = () if wanted.shape else (np.generic,)  # NumPy's arrays without axes become numbers, CuPy's do not
    assert isinstance(found, (array.device.xp.ndarray if on_gpu else np.ndarray, *numbers))
    assert_same(host_array(found), wanted)


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_into_out(device: Any, stored: dict[str, Path], layout: str) -> None:
    """Of any strides, aligned or not; other elements keep what they are."""
    array = gpuzarr.open_array(stored[layout], device=device)
    wanted = expected(stored_values(layout)[2:21, :, ::2], options := {"dtype": "f4", "scale": 3, "fill_to_nan": True})
    for out in memories(device, wanted.shape):
        assert array.get((slice(2, 21), slice(None), slice(None, None, 2)), out=out, **options) is out
        assert_same(np.array(host_array(out)), wanted)
    with pytest.raises(SelectionError, match="dtype float32"):
        array.get(..., out=array.device.array(SHAPE, np.dtype("f8")), **options)


def memories(device: Any, shape: tuple[int, ...]) -> Any:
    """Arrays of float32 on the device: contiguous, part of a larger one, with another order, at an odd address."""
    yield device.array(shape, np.dtype("f4"))
    yield device.array(tuple(n + 1 for n in shape), np.dtype("f4"))[1:, :-1, 1:]
    yield device.array(shape[::-1], np.dtype("f4")).transpose(2, 1, 0)
    if device.name != "cuda:0":
        nbytes = 4 * int(np.prod(shape))
        yield device.array((nbytes + 1,), np.dtype("u1"))[1:].view("f4").reshape(shape)


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_values_are_what_was_stored(device: Any, stored: dict[str, Path], layout: str) -> None:
    """By arithmetic on the whole array, which knows nothing of casts."""
    array = gpuzarr.open_array(stored[layout], device=device)
    values = stored_values(layout)
    work = np.dtype("f8" if (values.dtype.kind in "iu" and values.itemsize > 2) or values.dtype == "f8" else "f4")
    wanted = values.astype(work) * work.type(0.1) + work.type(-3)
    assert_same(host_array(array.get(scale=0.1, offset=-3)), wanted)
    wanted[values == (values.dtype.kind == "b" or FILL)] = np.nan
    assert_same(host_array(array.get(scale=0.1, offset=-3, fill_to_nan=True)), wanted)


def test_large_chunks_cut_by_a_region(device: Any, tmp_path: Path) -> None:
    """One by one on a CPU, in pieces; by tiles and lists on a GPU."""
    values = np.arange(130 * 70 * 40, dtype="u2").reshape(130, 70, 40)
    for name, options in {"c": {}, "f": {"order": "F"}}.items():
        zarr.create_array(tmp_path / name, data=values, chunks=(64, 64, 40), zarr_format=2, fill_value=9, **options)
        array = gpuzarr.open_array(tmp_path / name, device=device)
        for selection in (np.s_[...], np.s_[3:129, 1:, 5:39], np.s_[::3, 2], np.s_[[5, 5, 100, 7]], np.s_[:, ::-1]):
            wanted = values[selection].astype("f4") * np.float32(0.3)
            wanted[values[selection] == 9] = np.nan
            assert_same(host_array(array.get(selection, scale=0.3, fill_to_nan=True)), wanted)


def test_no_fill_value(device: Any, tmp_path: Path) -> None:
    """Zeros are no missing values because Zarr v2 says `null`."""
    z = zarr.create_array(tmp_path, shape=(4,), chunks=(2,), dtype="i2", zarr_format=2, fill_value=None)
    z[:2] = [0, 5]
    array = gpuzarr.open_array(tmp_path, device=device)
    assert array.fill_value is None
    with pytest.raises(ArgumentError, match="does not define"):
        array.get(fill_to_nan=True)
    np.testing.assert_array_equal(host_array(array.get(fill_to_nan=5)), np.array([0, np.nan, 0, 0], "f4"))
    assert_same(host_array(array.get(scale=2)), np.array([0, 10, 0, 0], "f4"))


def test_no_axes_and_no_elements(device: Any, tmp_path: Path) -> None:
    for shape in ((), (0, 3)):
        name = str(len(shape))
        zarr.create_array(tmp_path / name, shape=shape, dtype="i2", fill_value=4)
        array = gpuzarr.open_array(tmp_path / name, device=device)
        found = array.get(scale=2, offset=1)
        assert_same(host_array(found), np.full(shape, 9, "f4"))
        assert np.isnan(host_array(array.get(fill_to_nan=True))).all()


def test_nine_axes(device: Any, tmp_path: Path) -> None:
    """More than the kernel has: a whole batch is cast, and then assigned."""
    values = np.arange(2**9, dtype="i2").reshape((2,) * 9)
    zarr.create_array(tmp_path, data=values, chunks=(2, 1, *[2] * 7))
    array = gpuzarr.open_array(tmp_path, device=device)
    assert_same(host_array(array.get(np.s_[1], scale=0.1)), values[1] * np.float32(0.1))


def test_damage_is_an_error_or_the_fill_value(device: Any, tmp_path: Path) -> None:
    values = np.arange(40, dtype="i2")
    zarr.create_array(tmp_path, data=values, chunks=(10,), compressors=[zarr.codecs.ZstdCodec(checksum=True)])
    (tmp_path / "c" / "2").write_bytes(b"damaged")
    array = gpuzarr.open_array(tmp_path, device=device)
    with pytest.raises(ChunkError, match="zstd"):
        array.get(scale=2)
    assert_same(host_array(array.get(slice(20), scale=2)), values[:20] * np.float32(2))


@pytest.mark.parametrize("no", [0.5, float("nan"), float("inf"), 1 << 40, "0", [0]])
def test_what_is_no_element_becomes_no_nan(no: Any) -> None:
    with pytest.raises(ArgumentError, match="fill_to_nan"):
        gpuzarr.array(np.array([0, 1], "i2")).get(fill_to_nan=no)


@pytest.mark.parametrize("none", [None, False])
def test_attributes_that_are_not_there_change_nothing(none: Any) -> None:
    array = gpuzarr.array(np.array([0, 1], "i2"), fill_value=0)
    found = array.get(scale=None, offset=array.attrs.get("add_offset"), fill_to_nan=none)
    assert found.dtype == np.dtype("i2") and found.tolist() == [0, 1]
    scaled = gpuzarr.read_many([(array, ...)], scale=2, fill_to_nan=none)[0]
    assert scaled.dtype == np.dtype("f4") and scaled.tolist() == [0, 2]
    assert array.get(fill_to_nan=0.0).dtype == np.dtype("f4") and np.isnan(array.get(0, fill_to_nan=0))


def test_what_has_no_cast(device: Any, stored: dict[str, Path]) -> None:
    array = gpuzarr.open_array(stored["v3 raw"], device=device)
    for options in ({"dtype": "i4"}, {"dtype": "nonsense"}, {"scale": "1"}, {"dtype": "bool", "offset": 1}):
        with pytest.raises(ArgumentError):
            array.get(**options)
    with pytest.raises((DeviceError, SelectionError)):
        array.get(scale=2, out=np.empty(SHAPE, "f8"))
    with pytest.raises(ArgumentError, match="cannot be cast"):
        gpuzarr.array(np.array(["a"])).get(dtype="f4")


MANY = [
    np.s_[0:5, :, 2:6],
    np.s_[3:8, :, ::3],
    np.s_[16:21, :, 2:6],
    np.s_[3:8, :, ::3],
    np.s_[4],
    np.s_[[3, 3, 22], 1],
]


@pytest.mark.parametrize("options", CASTS, ids=str)
def test_many_regions(device: Any, stored: dict[str, Path], options: dict[str, Any]) -> None:
    """Of several arrays, of other dtypes, in one plan: as by `get`, one by one."""
    if options.get("fill_to_nan") == 11:
        options = {**options, "fill_to_nan": 1}
    arrays = [gpuzarr.open_array(path, device=device) for path in stored.values()]
    pairs = [(array, selection) for selection in MANY for array in arrays]
    found = gpuzarr.read_many(pairs, **options)
    wanted = [host_array(array.get(selection, **options)) for array, selection in pairs]
    for one, right in zip(found, wanted, strict=True):
        assert_same(host_array(one), right)
    for number, array in enumerate(arrays):
        together = array.get_many(MANY[:4], **options)
        ahead = array.reader(MANY[:4], **options)
        for one, other, right in zip(together, ahead, wanted[number :: len(arrays)], strict=False):
            assert_same(host_array(one), right)
            assert_same(host_array(other), right)


def test_many_regions_into_out(device: Any, stored: dict[str, Path]) -> None:
    array = gpuzarr.open_array(stored["v3 shards"], device=device)
    out = [array.device.array(host_array(array[some]).shape, np.dtype("f8")) for some in MANY]
    assert array.get_many(MANY, out=out, dtype="f8", offset=0.1) is out
    for one, some in zip(out, MANY, strict=True):
        assert_same(host_array(one), host_array(array[some]) + 0.1)
    with pytest.raises(SelectionError, match="dtype float32"):
        array.get_many(MANY, out=out, scale=2)
    with pytest.raises(ArgumentError, match="make floats"):
        array.reader(MANY, dtype="i4", scale=2)


def test_damaged_chunks_are_filled_with_what_the_fill_value_becomes(device: Any, tmp_path: Path) -> None:
    values = np.arange(40, dtype="i2")
    zstd = [zarr.codecs.ZstdCodec(checksum=True)]
    zarr.create_array(tmp_path, data=values, chunks=(10,), compressors=zstd, fill_value=-1)
    (tmp_path / "c" / "2").write_bytes(b"damaged")
    array = gpuzarr.open_array(tmp_path, device=device)
    (found,), (failure,) = array.get_many([slice(None)], on_error="fill", scale=2, offset=1)
    wanted = np.where((values >= 20) & (values < 30), -1, values) * 2 + 1
    assert_same(host_array(found), wanted.astype("f4"))
    assert isinstance(failure.error, ChunkError)


def test_cached_chunks_are_cast_anew(device: Any, tmp_path: Path) -> None:
    values = np.arange(4000, dtype="u2").reshape(40, 100)
    zarr.create_array(tmp_path, data=values, chunks=(10, 50))
    for file in tmp_path.rglob("c/*/*"):
        os.utime(file, (1e9, 1e9))  # caches wait until a file is surely not being changed
    array = gpuzarr.open_array(tmp_path, device=device, cache="64MiB")
    for scale in (2, 3, 2):
        assert_same(host_array(array.get(np.s_[3:, ::2], scale=scale)), values[3:, ::2] * np.float32(scale))
        assert_same(host_array(array[3:, ::2]), values[3:, ::2])
    assert array.last_read.asdict()["cache_hits"] > 0
