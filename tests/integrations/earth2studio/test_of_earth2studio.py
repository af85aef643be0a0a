"""Beside earth2studio itself: its protocol, its own backends, and a workflow of it; and beside xarray."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.earth2studio import ZarrBackend
from tests.conftest import examples
from tests.integrations.earth2studio.forecasts import AXES, part, plans

torch = pytest.importorskip("torch")
xr = pytest.importorskip("xarray")
pytestmark = pytest.mark.filterwarnings("ignore")  # of zarr-python, about types of times and texts


@pytest.fixture(scope="module")
def their_io() -> Any:
    pytest.importorskip("loguru").logger.remove()
    return pytest.importorskip("earth2studio.io")


def test_it_is_an_io_backend(their_io: Any) -> None:
    assert isinstance(ZarrBackend(), their_io.IOBackend)


def opened(place: Path) -> Any:
    return xr.open_zarr(place, consolidated=False).load()


@settings(max_examples=examples(8))
@given(st.data())
def test_stores_are_those_of_their_backend(their_io: Any, data: Any) -> None:
    """Of values that earth2studio writes: whole, but for what is computed step by step, and in the order of the store.

    Both are written with the same calls.
    """
    plan = data.draw(plans())
    with TemporaryDirectory() as folder:
        ours = ZarrBackend(
            f"{folder}/ours",
            plan.parallel,
            chunked_coords=plan.chunked,
            shard_coords=plan.shards,
            blocking=plan.blocking,
        )
        theirs = their_io.AsyncZarrBackend(
            f"{folder}/theirs",
            OrderedDict(plan.parallel),
            chunked_coords={"variable": 1} | plan.chunked if "variable" in plan.coords else plan.chunked,
            shard_coords=plan.shards,
            blocking=plan.blocking,
            pool_size=2,
        )
        if data.draw(st.booleans()):
            for io in (ours, theirs):
                io.add_array(OrderedDict(plan.coords), ["a", "b"])
        for number in range(data.draw(st.integers(1, 4))):
            coords = OrderedDict(plan.coords)
            for name in plan.parallel:
                coords[name] = plan.coords[name][part(data.draw, len(plan.coords[name]), in_order=True)]
            x = torch.arange(float(np.prod([len(values) for values in coords.values()]))) + 1000 * number
            x = x.reshape([len(values) for values in coords.values()]).requires_grad_()
            for io in (ours, theirs):
                io.write([x, -x], coords, ["a", "b"])
        ours.close(), theirs.close()
        found, expected = opened(Path(folder, "ours")), opened(Path(folder, "theirs"))
        xr.testing.assert_identical(found[sorted(found)], expected[sorted(expected)])
        assert list(ours.coords) == list(theirs.coords) and set(ours) == set(theirs) and len(ours) == len(theirs)
        for name in ours:
            assert ours[name].chunks == theirs[name].chunks
            assert ours[name].shards == theirs[name].shards or "variable" in plan.coords  # which has chunks of 1 here
            assert ours[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name].fill_value, theirs[name].fill_value)
        again = their_io.ZarrBackend(f"{folder}/ours")
        np.testing.assert_array_equal(again["a"][...], theirs["a"][...])
        read, _ = again.read(plan.coords, "b")
        assert torch.equal(read, ours.read(plan.coords, "b")[0])
        for name, values in again.coords.items():
            np.testing.assert_array_equal(values, plan.coords[name])


def test_xarray_sees_times_and_names(tmp_path: Path) -> None:
    coords = {name: AXES[name] for name in ("time", "lead_time", "variable", "lat")}
    values = torch.rand(4, 5, 3, 5)
    ZarrBackend(tmp_path / "a").add_array(coords, "x", values, attributes={"units": "K"})
    for ds in (opened(tmp_path / "a"), xr.open_dataset(tmp_path / "a", engine="gpuzarr", device="cpu")):
        assert ds["x"].dims == tuple(coords) and ds["x"].attrs == {"units": "K"} and set(ds.indexes) == set(coords)
        np.testing.assert_array_equal(ds["time"], coords["time"])
        np.testing.assert_array_equal(ds["lead_time"], coords["lead_time"])
        np.testing.assert_array_equal(ds["x"].sel(variable="msl", lat=45), values[:, :, 1, 1])


def test_a_store_of_theirs_is_continued(their_io: Any, tmp_path: Path) -> None:
    steps = OrderedDict(lead_time=np.arange(4) * np.timedelta64(6, "h"))
    coords = OrderedDict(steps, lat=np.linspace(90, -90, 5))
    theirs = their_io.AsyncZarrBackend(str(tmp_path / "a"), steps, shard_coords={"lead_time": 2})
    theirs.add_array(coords, "t")
    step = torch.ones(1, 5)
    theirs.write(step, OrderedDict(coords, lead_time=coords["lead_time"][:1]), "t")
    theirs.close()
    with ZarrBackend(tmp_path / "a", steps, blocking=False) as ours:
        ours.add_array(coords, "t")
        for i in range(1, 4):
            ours.write((i + 1) * step, OrderedDict(coords, lead_time=coords["lead_time"][i : i + 1]), "t")
    np.testing.assert_array_equal(opened(tmp_path / "a")["t"][:, 0], [1, 2, 3, 4])


def test_tensors_are_read_in_any_order() -> None:
    io = ZarrBackend()
    values = torch.rand(4, 5, dtype=torch.float64)
    io.add_array({"time": AXES["time"], "lat": AXES["lat"]}, "t", values)
    wanted = {"time": AXES["time"][[2, 0]], "lat": AXES["lat"][[4, 1, 0]]}
    found, coords = io.read(wanted, "t", device=torch.device("cpu"))
    assert torch.equal(found, values[[2, 0]][:, [4, 1, 0]]) and coords is wanted


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "uint8", "complex64", "bool"])
def test_dtypes_of_tensors(dtype: str) -> None:
    x = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    io = ZarrBackend()
    io.write(x, {"time": AXES["time"][:2], "lat": AXES["lat"][:3]}, "x")
    assert io["x"].dtype.name == dtype
    np.testing.assert_array_equal(io["x"][...].astype("complex64"), x.to(torch.complex64).numpy())


class Weather:
    """A source of data of earth2studio: each value is another one."""

    def __init__(self, domain: dict[str, Any]) -> None:
        self.domain = domain

    def __call__(self, time: Any, variable: Any) -> Any:
        coords = {"time": np.array(time, "M8[ns]"), "variable": np.array(variable)} | self.domain
        shape = [len(values) for values in coords.values()]
        days = coords["time"].astype("M8[D]").astype(int).reshape(-1, 1, 1, 1)
        values = days * 10 + np.arange(np.prod(shape[1:])).reshape(shape[1:]) / 64
        return xr.DataArray(values.astype("float32"), coords, tuple(coords))

    async def fetch(self, time: Any, variable: Any) -> Any:
        return self(time, variable)


def test_a_workflow_of_earth2studio(their_io: Any, tmp_path: Path) -> None:
    """`run.deterministic`, which asks for a backend and a model, with each backend."""
    run = pytest.importorskip("earth2studio.run")
    px = pytest.importorskip("earth2studio.models.px")
    domain = OrderedDict(lat=np.linspace(90, -90, 9), lon=np.linspace(0, 360, 18, endpoint=False))
    times = np.array(["2024-01-01", "2024-01-02"], "datetime64[ns]")
    leads = np.arange(4) * np.timedelta64(6, "h")
    model = px.Persistence(["t2m", "msl"], domain)
    for io in (
        their_io.ZarrBackend(str(tmp_path / "theirs")),
        ZarrBackend(tmp_path / "ours"),
        ZarrBackend(
            tmp_path / "shards",
            {"time": times, "lead_time": leads},
            shard_coords={"lead_time": 4},
            blocking=False,
        ),
    ):
        run.deterministic(list(times), 3, model, Weather(domain), io, device=torch.device("cpu"), verbose=False)
        getattr(io, "close", lambda: None)()
    expected = opened(tmp_path / "theirs")
    for name in ("ours", "shards"):
        found = opened(tmp_path / name)
        assert set(found.variables) == set(expected.variables) == {"time", "lead_time", "lat", "lon", "t2m", "msl"}
        xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())
        assert len(np.unique(found["t2m"])) == 2 * 9 * 18
