"""Index arrays, masks and points give what NumPy's indexing gives; a chunk is decoded once, however often asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.conftest import examples
from tests.data import CHUNKS, SHAPE, field, write
from tests.hardware import host_array

LAYOUTS = ["raw", "zstd", "transpose", "big-endian", "sharded", "v2 lz4", "v2 blosc"]
VALUES = field(False)
VALUES[16:24, :16] = 7  # the fill value: these chunks are not stored


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of an array of VALUES in a layout."""
    folder, made = tmp_path_factory.mktemp("lists"), dict[str, Path]()

    def path(name: str) -> Path:
        if name not in made:
            made[name] = write(folder / name, name, VALUES)
        return made[name]

    return path


def lists(length: int) -> st.SearchStrategy[Any]:
    """Indices in any order, of equal steps, in runs, as a mask; or a slice, or an int."""
    any_order = st.lists(st.integers(-length, length - 1), max_size=12)
    steps = st.tuples(st.integers(0, length - 1), st.integers(-5, 5), st.integers(1, 9)).map(
        lambda x: [i for i in range(x[0], x[0] + 50 * (x[1] or 1), x[1] or 1) if 0 <= i < length][: x[2]]
    )
    runs = st.lists(st.integers(0, length - 6), max_size=4).map(lambda x: [i + j for i in x for j in (0, 1, 2, 5)])
    masks = st.lists(st.booleans(), min_size=length, max_size=length).map(np.array)
    some = st.one_of(any_order, steps, runs).map(lambda x: np.array(x, np.int64))
    return st.one_of(some, some, masks, st.slices(length), st.integers(0, length - 1))


def stored_chunks(chosen: tuple[np.ndarray, ...]) -> int:
    """How many chunks that are stored hold some of these elements."""
    whole = np.pad(VALUES, [(0, -length % n) for length, n in zip(SHAPE, CHUNKS, strict=True)], constant_values=7)
    cells = whole.reshape([n for size, c in zip(whole.shape, CHUNKS, strict=True) for n in (size // c, c)])
    is_stored = (cells != 7).any(axis=(1, 3, 5))
    return int(is_stored[np.ix_(*(np.unique(index // n) for index, n in zip(chosen, CHUNKS, strict=True)))].sum())


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_outer(name: str, device: Device, stored: Callable[[str], Path], data: st.DataObject) -> None:
    a = gpuzarr.open_array(stored(name), device=device)
    chosen = tuple(data.draw(lists(length)) for length in SHAPE)
    full = tuple(np.atleast_1d(np.arange(n)[i]) for n, i in zip(SHAPE, chosen, strict=True))
    got = host_array(a.oindex[chosen])
    np.testing.assert_array_equal(got.reshape([len(i) for i in full]), VALUES[np.ix_(*full)])
    assert a.last_read.asdict()["chunks"] == stored_chunks(full)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_points(name: str, device: Device, stored: Callable[[str], Path], data: st.DataObject) -> None:
    a = gpuzarr.open_array(stored(name), device=device)
    n = data.draw(st.integers(0, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    chosen = tuple(rng.integers(-length, length, n) for length in SHAPE)
    np.testing.assert_array_equal(host_array(a.vindex[chosen]), VALUES[chosen])
