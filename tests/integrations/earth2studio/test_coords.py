"""Coordinates: what is stored of them, and what is refused."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.earth2studio import ZarrBackend
from gpuzarr.errors import ArgumentError, ExistsError, MetadataError, NotFoundError, ValueKindError
from gpuzarr.integrations.earth2studio.coords import boxes, positions, separated
from tests.conftest import examples

LEADS = np.arange(4) * np.timedelta64(6, "h")
COORDS = {"lead_time": LEADS, "lat": np.array([10.0, 0, -10])}


def made(**options: Any) -> ZarrBackend:
    io = ZarrBackend(None, {"lead_time": LEADS}, **options)
    io.add_array(COORDS, "t")
    return io


@settings(max_examples=examples(60))
@given(st.permutations(range(9)), st.lists(st.integers(0, 8), unique=True))
def test_positions_are_where_values_lie(stored: list[int], wanted: list[int]) -> None:
    found = positions("x", np.array(stored), np.array(wanted, int))
    assert [stored[at] for at in found] == wanted


@settings(max_examples=examples(60))
@given(st.lists(st.lists(st.integers(0, 6), unique=True), min_size=1, max_size=3))
def test_boxes_assign_what_an_outer_selection_does(places: list[list[int]]) -> None:
    values = 1 + np.arange(np.prod([len(at) for at in places]), dtype=int).reshape([len(at) for at in places])
    found, expected = np.zeros([7] * len(places), int), np.zeros([7] * len(places), int)
    for there, here in boxes([np.array(at, int) for at in places]):
        found[there] = values[here]
    expected[np.ix_(*[np.array(at, int) for at in places])] = values
    np.testing.assert_array_equal(found, expected)


def test_times_and_texts_of_python_become_those_of_numpy() -> None:
    io = ZarrBackend()
    days = np.array([datetime.datetime(2024, 1, day) for day in (1, 2)], object)
    io.add_array({"time": days, "variable": np.array(["t2m", "msl"], object)}, "a")
    assert io.coords["time"].dtype == "datetime64[ns]" and io.coords["variable"].dtype == "<U3"
    later = np.array([datetime.timedelta(hours=6)], object)
    io.add_array({"lead_time": later}, "b")
    np.testing.assert_array_equal(io.coords["lead_time"], np.array([6], "m8[h]"))


def test_times_in_other_units_are_the_same() -> None:
    io = made()
    io.write(np.ones((1, 3)), COORDS | {"lead_time": np.array([720], "timedelta64[m]")}, "t")
    np.testing.assert_array_equal(io["t"][:, 0], [0, 0, 1, 0])


def test_a_grid_with_holes_is_written_again() -> None:
    lat = np.array([[1.0, np.nan], [2, 3]])
    coords = {"lat": lat, "lon": lat + 5}
    io = ZarrBackend()
    io.write(np.ones((2, 2)), coords, "t")
    io.write(np.full((2, 2), 2.0), coords, "t")
    assert (io["t"][...] == 2).all()
    with pytest.raises(ExistsError, match="lat"):
        io.write(np.ones((2, 2)), {"lat": np.nan_to_num(lat), "lon": lat + 5}, "t")


def test_a_curvilinear_grid_has_dimensions_of_its_own() -> None:
    lat, lon = np.meshgrid(np.linspace(40, 42, 3), np.linspace(5, 8, 4), indexing="ij")
    coords = {"lead_time": LEADS, "lat": lat, "lon": lon, "_lat": lat}
    io = ZarrBackend(None, {"lead_time": LEADS})
    values = np.random.default_rng(0).normal(size=(4, 3, 4))
    io.add_array(coords, "t", values)
    io.write(-values[2:3], coords | {"lead_time": LEADS[2:3]}, "t")
    values[2] *= -1
    np.testing.assert_array_equal(io["t"][...], values)
    assert io["t"].dimension_names == ("lead_time", "ilat", "ilon") and "_lat" not in io
    assert io["lat"].dimension_names == ("ilat", "ilon")
    np.testing.assert_array_equal(io["lon"][...], lon)
    with pytest.raises(ExistsError, match="other values of the coordinate 'lat'"):
        io.write(values, coords | {"lat": lat + 1}, "t")


@pytest.mark.parametrize(
    "coords, match",
    [
        ({"x": 3}, "'x' has no dimension"),
        ({"x": np.zeros((2, 2))}, r"'x' has shape \(2, 2\): 2 coordinates"),
        ({"x": np.zeros((2, 2)), "y": np.zeros(2)}, "2 coordinates of this shape"),
        (["x"], "must be a dict"),
    ],
)
def test_what_is_no_coordinate_system(coords: Any, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        separated(coords)


@pytest.mark.parametrize(
    "change, kind, match",
    [
        ({"lead_time": np.array([7], "m8[h]")}, ArgumentError, "'lead_time' is not stored for .*7.*from 0 hours to 18"),
        ({"lead_time": LEADS[[1, 1]]}, ArgumentError, "'lead_time' has a value twice"),
        ({"lat": np.array([10.0, 0, 5])}, ArgumentError, "'lat' is not stored for"),
        ({"lat": np.array(["a", "b", "c"])}, ArgumentError, "'lat'"),
        ({"lon": np.zeros(1)}, ExistsError, "has the dimensions"),
    ],
)
def test_writes_at_other_coordinates_are_refused(change: dict[str, Any], kind: Any, match: str) -> None:
    """By a ValueError, as in `AsyncZarrBackend`; and nothing is written."""
    io = made()
    coords = COORDS | change
    values = np.ones([len(values) for values in coords.values()])
    with pytest.raises(kind, match=match) as raised:
        io.write([values, values], coords, ["new", "t"])
    assert isinstance(raised.value, ValueError)
    assert set(io) == {"lead_time", "lat", "t"} and not io["t"][...].any()


def test_shapes_that_do_not_fit_are_refused() -> None:
    io = made()
    with pytest.raises(ValueKindError, match=r"shape \(3, 4\), but coords have the lengths .'lead_time': 4"):
        io.write(np.ones((3, 4)), COORDS, "t")
    with pytest.raises(ValueKindError, match="but coords have"):
        io.add_array(COORDS, "u", np.ones((4, 1)))
    with pytest.raises(ArgumentError, match="1 tensors for 2 arrays: t, u"):
        io.write([np.ones((4, 3))], COORDS, ["t", "u"])
    with pytest.raises(ExistsError, match="has the dimensions"):
        io.write(np.ones((3, 4)), {name: COORDS[name] for name in ("lat", "lead_time")}, "t")
    assert set(io) == {"lat", "lead_time", "t"}


def test_arrays_that_exist_are_left_and_must_fit() -> None:
    io = made()
    io.write(np.ones((4, 3)), COORDS, "t")
    io.add_array(COORDS, ["t", "u"], [np.zeros((4, 3))] * 2)
    assert io["t"][...].all() and not io["u"][...].any()
    with pytest.raises(ExistsError, match="other values of the coordinate 'lat'"):
        io.add_array(COORDS | {"lat": np.arange(3)}, "v")
    with pytest.raises(ExistsError, match="has the dimensions"):
        io.add_array({"lead_time": LEADS}, "t")
    with pytest.raises(ExistsError, match="other values of the coordinate 'lead_time'"):
        ZarrBackend(io.store, {"lead_time": LEADS[:3]})
    io.add_array(COORDS, "t", np.full((4, 3), 2.0), overwrite=True, fill_value=-1)
    assert (io["t"][...] == 2).all() and io["t"].fill_value == -1 and "v" not in io


def test_options_of_arrays() -> None:
    io = ZarrBackend(zarr_codecs=None)
    io.add_array({"x": np.arange(5)}, "t", dtype="float16", fill_value=np.nan, attributes={"units": "K"}, chunks=(2,))
    array = io["t"]
    assert (array.dtype, array.attrs["units"], array.chunks, array.compressors) == (np.float16, "K", (2,), ())
    assert np.isnan(array[...]).all()
    with pytest.raises(ArgumentError, match="shape"):
        io.add_array({"x": np.arange(5)}, "u", shape=(5,))
    with pytest.raises(ArgumentError, match="did you mean 'attributes'"):
        io.add_array({"x": np.arange(5)}, "u", attribute={})


@pytest.mark.parametrize(
    "options, match",
    [
        ({"shard_coords": {"x": 0}}, r"shard_coords\['x'\] must be an integer from 1 to .*, not 0"),
        ({"chunked_coords": {"x": 1.5}}, r"chunked_coords\['x'\] must be an integer from 1"),
        ({"parallel_coords": {"x": np.array([1, 2, 1])}}, "'x' has a value twice: 1"),
        ({"parallel_coords": {"x": np.zeros((2, 2))}}, r"parallel_coords\['x'\] has shape"),
        ({"parallel_coords": [1]}, "parallel_coords must be a dict"),
        ({"max_inflight": "many"}, "max_inflight"),
        ({"blocking": np.zeros(2)}, "blocking"),
        ({"shard_coords": [4]}, "shard_coords must be a dict"),
    ],
)
def test_arguments_that_mean_nothing(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        ZarrBackend(None, **options)


def test_shards_must_be_multiples_of_chunks() -> None:
    io = ZarrBackend(chunked_coords={"x": 2}, shard_coords={"x": 3})
    with pytest.raises(ArgumentError, match=r"shard_coords\['x'\] is 3, which is no multiple of its chunks of 2"):
        io.add_array({"x": np.arange(6)}, "t")
    io.add_array({"y": np.arange(6)}, "t")
    assert io["t"].shards is None


def test_names_that_there_are_not() -> None:
    torch = pytest.importorskip("torch")
    io = made()
    for error in (KeyError, gpuzarr.NotFoundError):
        with pytest.raises(error, match="u"):
            io["u"]
    with pytest.raises(NotFoundError, match="u"):
        io.read(COORDS, "u")
    with pytest.raises(NotFoundError, match="no coordinate 'lon'"):
        io.read({"lon": np.arange(3)}, "t")
    assert isinstance(io.read(COORDS, "t")[0], torch.Tensor)
    with pytest.raises((MetadataError, ArgumentError)):
        io.add_array(COORDS, "../t")


def test_an_array_that_is_replaced_gets_nothing_that_was_for_the_old_one() -> None:
    io = ZarrBackend(None, {"lead_time": LEADS}, shard_coords={"lead_time": 4}, blocking=False)
    io.write(np.ones((1, 3)), COORDS | {"lead_time": LEADS[:1]}, "t")
    io.add_array(COORDS, "t", dtype="int16", overwrite=True)
    io.write(np.full((1, 3), 2), COORDS | {"lead_time": LEADS[1:2]}, "t")
    assert io["t"].dtype == "int16" and io["t"][:, 0].tolist() == [0, 2, 0, 0]
