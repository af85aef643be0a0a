"""Tensors that lie on a GPU are compressed there, and what is read stays there: nothing is copied to the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.earth2studio import ZarrBackend

pytest.importorskip("dask")  # the stand-in of CuPy makes itself known to xarray and dask
pytest.importorskip("xarray")

STEPS = {"lead_time": np.arange(6) * np.timedelta64(1, "h")}
COORDS = STEPS | {"lat": np.linspace(90, -90, 37), "lon": np.arange(72) * 5.0}


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("shards", [{}, {"lead_time": 3}])
def test_values_are_compressed_where_they_are(
    cp: Any, cupy_device: Any, host_copies: list[str], shards: dict[str, int], blocking: bool
) -> None:
    values = np.random.default_rng(0).normal(280, 10, (6, 37, 72)).astype("float32")
    given = cp.asarray(values)
    with ZarrBackend(None, STEPS, shard_coords=shards, blocking=blocking, device=cupy_device) as io:
        host_copies.clear()
        for i in (5, 0, 1, 3, 2, 4):
            step = COORDS | {"lead_time": STEPS["lead_time"][i : i + 1]}
            io.write([given[i : i + 1], -given[i : i + 1]], step, ["t2m", "z500"])
        found = io["t2m"][2:4]
        assert host_copies == []
    assert isinstance(found, cp.ndarray)
    np.testing.assert_array_equal(cp.asnumpy(found), values[2:4])
    stored = gpuzarr.open(io.store, device="cpu")
    np.testing.assert_array_equal(stored["t2m"][...], values)
    np.testing.assert_array_equal(stored["z500"][...], -values)
    assert isinstance(io["lat"][...], np.ndarray)  # coordinates are of the host
