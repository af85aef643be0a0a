"""Whatever is selected, one launch casts a batch on its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from tests.casts import assert_same
from tests.data import field, write
from tests.hardware import host_array

VALUES = field(False)
ROWS = np.array([5, 3, 3, 40])


@pytest.mark.parametrize("name", ["zstd", "sharded", "blosc-zstd", "v2 blosc", "big-endian"])
def test_one_launch_places_and_casts(
    gpu: Any, kernels_run: Callable[[Any], list[str]], name: str, tmp_path: Path
) -> None:
    a = gpuzarr.open_array(write(tmp_path, name, VALUES), device=gpu)
    seen, values = kernels_run(gpu), VALUES * np.float32(3)
    for chosen in (np.s_[...], np.s_[3:40, ::-1, 5:], np.s_[7], ROWS, (ROWS, ROWS % 7, ROWS % 5)):
        del seen[:]
        assert_same(host_array(a.get(chosen, scale=3)), values[chosen])
        placed = [name for name in seen if name.startswith("place")]
        assert placed == ["place_cast_4"] * a.last_read.asdict()["batches"]


def test_missing_chunks_alone_need_no_cast(gpu: Any, kernels_run: Callable[[Any], list[str]]) -> None:
    a = gpuzarr.create_array({}, shape=(40, 30), chunks=(10, 10), dtype="u2", fill_value=4, device=gpu)
    seen = kernels_run(gpu)
    assert_same(host_array(a.get(scale=0.5)), np.full((40, 30), 2, "f4"))
    assert set(seen) == {"place"}
