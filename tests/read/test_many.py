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
from tests.hardware import emulated, host_array

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


@pytest.mark.parametrize("name", ["cpu", "emulated", "cuda"])
@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS, seed=st.integers(0, 3))
def test_the_values_of_the_loop(stored: dict[str, Path], name: str, pairs: list[Any], seed: int) -> None:
    device: Any = emulated() if name == "emulated" else name
    if name == "cuda":
        pytest.importorskip("cupy")
        if gpuzarr.open_array(stored["v3 raw"]).device.name == "cpu":
            pytest.skip("no GPU")
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
