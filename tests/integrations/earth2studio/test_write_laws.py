"""Whatever is written in whatever order, the store holds what NumPy would."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.earth2studio import ZarrBackend
from tests.conftest import examples
from tests.integrations.earth2studio.forecasts import Plan, part, plans


def backend(plan: Plan, device: Any = "cpu", store: Any = None) -> ZarrBackend:
    return ZarrBackend(
        store,
        plan.parallel,
        chunked_coords=plan.chunked,
        shard_coords=plan.shards,
        blocking=plan.blocking,
        device=device,
    )


@settings(max_examples=examples(50))
@given(st.data())
def test_writes_of_any_parts_in_any_order(data: Any) -> None:
    plan = data.draw(plans())
    with backend(plan) as io:
        io.add_array(plan.coords, ["a", "b"])
        models = {name: np.zeros(plan.shape, "float32") for name in "ab"}
        for number in range(1, data.draw(st.integers(1, 6)) + 1):
            places = [part(data.draw, n, in_order=False) for n in plan.shape]
            coords = {name: plan.coords[name][at] for name, at in zip(plan.coords, places, strict=True)}
            names = data.draw(st.sampled_from(["a", ["a"], ["a", "b"], ["b", "a"]]))
            shape = tuple(map(len, places))
            values = [
                number * 1000 + 500 * i + np.arange(np.prod(shape), dtype="float32").reshape(shape)
                for i in range(len(names))
            ]
            io.write(values if isinstance(names, list) else values[0], coords, names)
            for name, each in zip(names, values, strict=True):
                models[name][np.ix_(*places)] = each
            if data.draw(st.integers(0, 3)) == 0:
                np.testing.assert_array_equal(io["a"][...], models["a"])
    for name, model in models.items():
        np.testing.assert_array_equal(io[name][...], model)
    assert list(io.coords) == list(plan.coords)
    for name, values in plan.coords.items():
        np.testing.assert_array_equal(io.coords[name], values)
        assert io.coords[name].dtype == values.dtype


@settings(max_examples=examples(60))
@given(plans())
def test_chunks_are_of_one_step_and_shards_are_whole(plan: Plan) -> None:
    io = backend(plan)
    io.add_array(plan.coords, "a")
    array = io["a"]
    assert array.dimension_names == tuple(plan.coords) and array.shape == plan.shape
    for name, chunk, length in zip(plan.coords, array.chunks, plan.shape, strict=True):
        alone = name in plan.parallel or name == "variable"
        assert chunk == plan.chunked.get(name, 1 if alone else length)
    if array.shards is None:
        assert all(size == 1 for size in plan.shards.values())
    else:
        for name, shard, chunk in zip(plan.coords, array.shards, array.chunks, strict=True):
            assert shard % chunk == 0 and shard == plan.shards.get(name, shard)


def test_on_each_device(device: Device) -> None:
    steps = {"lead_time": np.arange(6) * np.timedelta64(1, "h")}
    coords = steps | {"lat": np.linspace(90, -90, 37), "lon": np.arange(72) * 5.0}
    values = np.random.default_rng(0).normal(280, 10, (6, 37, 72)).astype("float32")
    io = ZarrBackend(None, steps, shard_coords={"lead_time": 3}, blocking=False, device=device)
    for i in (3, 0, 1, 5, 4, 2):
        io.write(values[i : i + 1], coords | {"lead_time": steps["lead_time"][i : i + 1]}, "t2m")
    io.close()
    np.testing.assert_array_equal(gpuzarr.open(io.store, device="cpu")["t2m"][...], values)
    np.testing.assert_array_equal(io["lat"][...], coords["lat"])
