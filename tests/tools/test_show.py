"""Pictures pixel by pixel, as NumPy computes them of whole arrays; values as NumPy prints them; selections as text."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError, SelectionError
from gpuzarr.tools import picture, save_png, values_text
from gpuzarr.tools.picture_colours import label_colours
from gpuzarr.tools.picture_output import characters, half_blocks
from gpuzarr.tools.picture_plane import fits
from gpuzarr.tools.show_selection import parsed
from tests.conftest import examples


def volume(device, dtype="u2", shape=(5, 40, 60), **options):
    values = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    return values, gpuzarr.create_array({}, data=values, chunks=(2, 16, 16)[: len(shape)], device=device, **options)


def grey(plane, window=None):
    """The picture of a plane, as the documentation says it."""
    wide = plane.astype("f8")
    finite = wide[np.isfinite(wide)]
    first, second = window or (np.percentile(finite, 0.1), np.percentile(finite, 99.9))
    share = np.clip((wide - first) / (second - first), 0, 1)
    bright = np.floor(255 * np.where(np.isnan(wide), 0, share) + 0.5)
    found = np.stack([bright] * 3, axis=-1)
    found[np.isnan(wide)] = (255, 0, 255)
    return found


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f2", "f4", "f8"])
def test_the_middle_plane_in_grey(device, dtype):
    values, a = volume(device, dtype)
    found = picture(a)
    assert found.pixels.dtype == np.uint8 and found.size == (40, 60)
    assert found.plane == (2, slice(0, 40, 1), slice(0, 60, 1))
    assert (found.pixels == grey(values[2])).all()
    assert (picture(a, window=(10, 50)).pixels == grey(values[2], (10, 50))).all()


def test_steps_where_a_plane_is_too_large(device):
    values, a = volume(device)
    assert (picture(a, size=20).pixels == grey(values[2, ::3, ::3])).all()
    assert (picture(a, size=(10, 60)).pixels == grey(values[2, ::4, ::4])).all()
    assert picture(a, size=1).size == (1, 1)
    assert fits(a, (40, 60)) and not fits(a, 59)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_selection(data):
    shape = tuple(data.draw(st.integers(1, 9)) for _ in range(3))
    values = np.random.default_rng(1).integers(0, 99, shape)
    a = gpuzarr.array(values, chunks=4)
    steps = [data.draw(st.sampled_from([1, 2, -1, -3])) for _ in shape]
    selection = tuple(slice(None, None, step) for step in steps)
    size = data.draw(st.integers(1, 9))
    left = values[selection]
    step = -(-max(left.shape[1:]) // size)
    expected = grey(left[left.shape[0] // 2][::step, ::step], (0, 99))
    assert (picture(a, selection, size=size, window=(0, 99)).pixels == expected).all()


def test_only_the_plane_is_read(device):
    _, a = volume(device)
    picture(a, (0, slice(0, 16), slice(0, 16)))
    assert a.last_read.asdict()["chunks"] == 1


def test_channels_and_times_begin_at_the_first():
    values = np.arange(2 * 3 * 4 * 5 * 5).reshape(2, 3, 4, 5, 5)
    a = gpuzarr.array(values, dimension_names=("t", "c", "z", "y", "x"))
    assert picture(a).plane[:3] == (0, 0, 2)
    assert (picture(a, window=(0, 600)).pixels == grey(values[0, 0, 2], (0, 600))).all()


@pytest.mark.parametrize("colours", [3, 4])
def test_colours_as_they_are(device, colours):
    values, a = volume(device, "u1", (20, 30, colours))
    found = picture(a, size=15)
    assert found.window is None and (found.pixels == values[::2, ::2]).all()
    assert picture(a, colours="grey").size == (30, colours)
    with pytest.raises(ArgumentError, match="last axis"):
        picture(volume(device)[1], colours="rgb")


def test_an_axis_of_space_has_no_colours():
    values = np.arange(60, dtype="u1").reshape(4, 5, 3)
    a = gpuzarr.array(values, dimension_names=("z", "y", "x"))
    assert (picture(a, window=(0, 60)).pixels == grey(values[2], (0, 60))).all() and fits(a, (5, 3))
    assert (picture(a, colours="rgb").pixels == values).all()
    assert (picture(a, names=("y", "x", "c")).pixels == values).all() and not fits(a, (4, 4), ("y", "x", "c"))


def test_labels_have_fixed_colours(device):
    values, a = volume(device, "u8")
    found = picture(a, colours="labels").pixels
    assert (found == label_colours(values[2])).all()
    assert (found[values[2] == 0] == 0).all() and (found[values[2] > 0] >= 64).all()
    table = label_colours(np.arange(1, 2000, dtype="u8"))
    assert len({tuple(colour) for colour in table.tolist()}) > 1990
    assert label_colours(np.array([1, 2, 3], "u1")).tolist() == table[:3].tolist() == _table([1, 2, 3])
    assert label_colours(np.array([-1], "i2")).tolist() == label_colours(np.array([2**64 - 1], "u8")).tolist()
    with pytest.raises(ArgumentError, match="labels are integers"):
        picture(gpuzarr.zeros((3, 3), dtype="f4"), colours="labels")


def _table(labels):
    """SplitMix64 by Python's own integers."""
    found = []
    for x in labels:
        z = (x + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        found.append([64 + (z >> shift) % 256 * 191 // 255 for shift in (0, 8, 16)])
    return found


def test_what_is_no_number():
    values = np.array([[np.nan, np.inf, -np.inf], [0, 1, 2]])
    assert (picture(gpuzarr.array(values)).pixels == grey(values)).all()
    flags = np.array([[True, False], [False, True]])
    assert picture(gpuzarr.array(flags)).pixels[..., 0].tolist() == [[255, 0], [0, 255]]
    assert (picture(gpuzarr.array(np.full((2, 2), np.nan))).pixels == (255, 0, 255)).all()
    assert picture(gpuzarr.array(np.full((2, 2), 7))).pixels.max() == 0
    dates = np.array([["2020-01-01", "NaT"]], "M8[D]")
    assert picture(gpuzarr.array(dates)).pixels[0, 1].tolist() == [255, 0, 255]
    assert picture(gpuzarr.array(np.array([[3j, 4 + 3j]])), window=(3, 5)).pixels[..., 0].tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("values", "selection", "options"),
    [
        (np.zeros(4), ..., {}),
        (np.zeros((4, 4)), 0, {}),
        (np.zeros((4, 4)), (slice(0, 0),), {}),
        (np.array([["a", "b"]]), ..., {}),
        (np.zeros((4, 4)), ([0, 1],), {}),
        (np.zeros((4, 4)), ..., {"size": 0}),
        (np.zeros((4, 4)), ..., {"window": (2, 1)}),
        (np.zeros((4, 4)), ..., {"window": (0, np.inf)}),
        (np.zeros((4, 4)), ..., {"window": 3}),
        (np.zeros((4, 4)), ..., {"colours": "red"}),
    ],
)
def test_no_picture(values, selection, options):
    with pytest.raises(ArgumentError):
        picture(gpuzarr.array(values), selection, **options)


def test_png(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for channels in (3, 4):
        pixels = np.random.default_rng(0).integers(0, 256, (7, 5, channels)).astype("u1")
        save_png(pixels, tmp_path / "a.png")
        assert (np.asarray(image.open(io.BytesIO((tmp_path / "a.png").read_bytes()))) == pixels).all()


def test_half_blocks():
    pixels = np.array([[[1, 2, 3]], [[4, 5, 6]], [[7, 7, 7]]], "u1")
    assert list(half_blocks(pixels)) == [
        "\x1b[38;2;1;2;3;48;2;4;5;6m▀\x1b[0m",
        "\x1b[38;2;7;7;7;48;2;0;0;0m▀\x1b[0m",
    ]
    few = np.array([[[255, 255, 255]], [[255, 0, 0]]], "u1")
    assert list(half_blocks(few, 256)) == ["\x1b[38;5;255;48;5;196m▀\x1b[0m"]
    clear = np.array([[[200, 100, 0, 0]], [[200, 100, 0, 255]]], "u1")
    assert "2;0;0;0;48;2;200;100;0" in next(half_blocks(clear))


def test_characters():
    column = np.repeat(np.array([0, 0, 255, 255, 140], "u1")[:, None, None], 3, axis=2)
    assert list(characters(column)) == ["", "@", "+"]


@pytest.mark.parametrize("shape", [(), (3,), (1001,), (7, 200), (4, 5, 6), (3, 40, 50), (0,), (2, 0), (1, 2000)])
def test_values_as_numpy_prints_them(device, shape):
    values = np.random.default_rng(0).integers(-9, 999, shape).astype("i4")
    a = gpuzarr.array(values, device=device)
    assert values_text(a) == str(values)
    floats = (values / 7).astype("f8")
    assert values_text(gpuzarr.array(floats, device=device)) == str(floats)


def test_values_of_a_selection():
    values = np.arange(10**5).reshape(100, 1000)
    a = gpuzarr.array(values, chunks=(10, 10))
    for selection in (3, (slice(None, None, -3), slice(5, None, 7)), (..., 2), (5, 5)):
        assert values_text(a, selection) == str(values[selection])
    values_text(a)
    assert a.last_read.asdict()["chunks"] <= 9


def test_text_is_printed():
    words = gpuzarr.create_array({}, shape=3, dtype=str)
    words[:] = np.array(["a", "b", "c"], object)
    assert values_text(words) == "['a' 'b' 'c']"


@pytest.mark.parametrize(
    ("text", "selection"),
    [
        ("", ()),
        ("3", (3,)),
        ("[-1, ::2]", (-1, slice(None, None, 2))),
        ("1:5, ..., 0", (slice(1, 5), ..., 0)),
        (" : , :-1:", (slice(None), slice(None, -1, None))),
        ("4,", (4,)),
    ],
)
def test_selections(text, selection):
    assert parsed(text) == selection


@pytest.mark.parametrize("text", ["a", "1.5", "1:2:3:4", "[1", "(1)", "1;2", "__import__('os')", "1,,2"])
def test_no_selections(text):
    with pytest.raises(SelectionError, match="a selection is ints and slices"):
        parsed(text)
