"""Whatever is selected, one launch places a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from tests.data import field, write
from tests.hardware import host_array

VALUES = field(False)
VALUES[16:24, :16] = 7  # the fill value: these chunks are not stored
RNG = np.random.default_rng(3)
ROWS, COLUMNS = RNG.integers(0, 48, 30), RNG.integers(0, 40, 20)


@pytest.mark.parametrize("name", ["zstd", "sharded", "blosc-zstd", "v2 blosc", "big-endian"])
def test_one_launch_places_a_batch(
    gpu: Any, kernels_run: Callable[[Any], list[str]], name: str, tmp_path: Path
) -> None:
    a = gpuzarr.open_array(write(tmp_path, name, VALUES), device=gpu)
    seen = kernels_run(gpu)
    for chosen in ((ROWS,), (slice(None), COLUMNS), (3, slice(1, 30, 4), COLUMNS), (ROWS, COLUMNS, COLUMNS[:9])):
        del seen[:]
        got = host_array(a.oindex[chosen])
        full = [np.arange(n)[i] for n, i in zip(VALUES.shape, (*chosen, *[slice(None)] * 3), strict=False)]
        np.testing.assert_array_equal(got, VALUES[np.ix_(*map(np.atleast_1d, full))].reshape(got.shape))
        assert placed(seen) == ["place_listed"] * a.last_read.asdict()["batches"]
    for points in ((ROWS, ROWS[::-1] % 40, ROWS % 40), (VALUES % 11 == 0,)):
        del seen[:]
        np.testing.assert_array_equal(host_array(a.vindex[points]), VALUES[points])
        assert placed(seen) == ["place_listed"] * a.last_read.asdict()["batches"]


def test_index_arrays_that_are_slices_need_no_lists(
    gpu: Any, kernels_run: Callable[[Any], list[str]], tmp_path: Path
) -> None:
    """Not even where rows of bit planes are placed."""
    a = gpuzarr.open_array(write(tmp_path, "zstd", VALUES), device=gpu)
    seen = kernels_run(gpu)
    for chosen in (np.arange(3, 30), np.arange(40, 3, -3), np.array([1, 2, 3, 25, 26]), np.array([17])):
        np.testing.assert_array_equal(host_array(a.oindex[chosen]), VALUES[chosen])
    assert placed(seen) == ["place"] * 4


def placed(seen: list[str]) -> list[str]:
    return [name for name in seen if name.startswith("place")]
