"""Lazy values as dask arrays: blocks that fit the chunks, graphs that stay small, workers in other processes."""

import asyncio
import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from xarray.core.indexing import ExplicitlyIndexed

import gpuzarr
from tests.integrations.xarray.identical import assert_same_bits

zarr = pytest.importorskip("zarr")
dask = pytest.importorskip("dask")
cloudpickle = pytest.importorskip("cloudpickle")
pytestmark = pytest.mark.filterwarnings("ignore")
VALUES = np.arange(24 * 10, dtype="f8").reshape(24, 10)


@pytest.fixture
def stored(tmp_path):
    """The path of a store that xarray has written: plain, packed, and in shards."""
    made = xr.Dataset(dict.fromkeys(("v", "packed", "shards"), (("t", "x"), VALUES)), {"t": np.arange(24)})
    made.v.encoding = {"chunks": (4, 10)}
    made.packed.encoding = {"chunks": (4, 5), "dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}
    made.shards.encoding = {"chunks": (2, 5), "shards": (12, 10)}
    made.to_zarr(tmp_path / "a.zarr", zarr_format=3)
    return tmp_path / "a.zarr"


def opened(place, device="cpu", **options):
    return xr.open_dataset(place, engine="gpuzarr", device=device, **options)


@pytest.mark.parametrize("chunks", [{}, "auto", -1, 5, {"t": 8}, {"t": 8, "x": -1}, {"t": "auto"}, {"t": (4, 20)}])
def test_blocks_are_as_asked(stored, device, chunks):
    ours, theirs = opened(stored, device, chunks=chunks), xr.open_dataset(stored, engine="zarr", chunks=chunks)
    for name in ("v", "packed"):
        assert ours[name].chunks == theirs[name].chunks
        assert ours[name].dtype == theirs[name].dtype == ours[name].data._meta.dtype
        assert ours[name].data._meta.shape == (0, 0)
        assert_same_bits(ours[name].to_numpy(), theirs[name].values)
    assert type(ours.t.data) is np.ndarray


def test_a_block_is_a_shard(stored, device):
    ours = opened(stored, device, chunks={})
    assert ours.shards.chunks == ((12, 12), (10,))
    assert ours.shards.encoding["chunks"] == (2, 5) and ours.shards.encoding["shards"] == (12, 10)
    assert_same_bits(ours.shards.to_numpy(), VALUES)


@pytest.mark.parametrize("name", ["v", "packed"])
@pytest.mark.parametrize("options", [{}, {"inline_array": True}, {"chunked_array_type": "dask"}, {"cache": False}])
def test_arguments_of_chunked_arrays(stored, device, name, options):
    ours = opened(stored, device, chunks={}, **options)
    assert_same_bits(ours[name].mean("t").to_numpy(), VALUES.mean(0))
    given = opened(stored, device, chunks={"t": 12}, from_array_kwargs={"lock": True})
    assert_same_bits(given[name].to_numpy(), VALUES)


def test_graphs_hold_an_array_once(tmp_path, device):
    """A block costs a few bytes of a pickled graph, whatever the array costs."""
    made = xr.Dataset({"v": (("t",), np.arange(1000.0)), "packed": (("t",), np.arange(1000.0))})
    made.packed.encoding = {"dtype": "i2", "scale_factor": 1.0, "_FillValue": -1}
    made.to_zarr(tmp_path / "a.zarr", encoding={"v": {"chunks": (1,)}, "packed": {"chunks": (1,)}})
    for name in ("v", "packed"):
        few, many = (opened(tmp_path / "a.zarr", device, chunks={"t": size})[name].data for size in (500, 1))
        sizes = [len(cloudpickle.dumps(each.__dask_graph__())) for each in (few, many)]
        assert many.numblocks == (1000,)
        assert sizes[1] - sizes[0] < 1000 * 40
        assert len(dict(many.dask)) == 1001


def test_blocks_of_lazy_selections(stored, device):
    ours = opened(stored, device)
    later = ours.isel(t=slice(None, None, -1), x=[3, 1]).chunk({"t": 7})
    assert later.packed.chunks == ((7, 7, 7, 3), (2,))
    assert_same_bits(later.packed.to_numpy(), VALUES[::-1][:, [3, 1]])
    assert ours.packed.chunk(t=5).sum().to_numpy() == VALUES.sum()
    points = xr.DataArray([0, 5, 9], dims="p")
    assert_same_bits(ours.v.isel(t=points, x=points).chunk(p=2).to_numpy(), VALUES[[0, 5, 9], [0, 5, 9]])


def test_names_tell_what_is_the_same(stored, device):
    first, again = opened(stored, device), opened(stored, device)
    assert first.packed.chunk().data.name == again.packed.chunk().data.name
    assert opened(stored, device, chunks={}).v.data.name == opened(stored, device, chunks={}).v.data.name
    names = [first[name].chunk().data.name for name in ("v", "packed", "shards")]
    raw = opened(stored, device, mask_and_scale=False).packed.chunk().data.name
    assert len({*names, raw, first.v[1:].chunk().data.name}) == 5
    if device.gpu:
        assert opened(stored).packed.chunk().data.name != first.packed.chunk().data.name
    zarr.open_group(stored, mode="a", use_consolidated=False)["v"].resize((25, 10))
    zarr.consolidate_metadata(stored)
    assert opened(stored, device, drop_variables=["packed", "shards", "t"]).v.chunk().data.name != names[0]


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_pickles(stored, device, dumps):
    ours = opened(stored, device)
    data = dumps(ours)
    assert len(data) < 40_000
    found = pickle.loads(data)
    assert isinstance(found.v.variable._data, ExplicitlyIndexed)
    xr.testing.assert_identical(found.load(), ours.load())


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, lambda found: found.copy(), lambda f: f.copy(deep=True)])
def test_copies(stored, device, made):
    ours = opened(stored, device)
    xr.testing.assert_identical(made(ours).load(), ours.load())


def total(data):
    """The sum of a pickled dataset's values."""
    found = pickle.loads(data)
    return float(found.v.sum() + found.packed.sum())


def test_other_processes(stored):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(total, (pickle.dumps(opened(stored)),)) == 2 * VALUES.sum()
    with dask.config.set(scheduler="processes", num_workers=1):
        found = opened(stored, chunks={"t": 12})
        assert float((found.v + found.packed).sum()) == 2 * VALUES.sum()


def test_threads(stored, device):
    ours = opened(stored, device, cache=False)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda i: ours.packed[i % 24].to_numpy(), range(96)))
    for i, row in enumerate(rows):
        assert_same_bits(row, VALUES[i % 24])


def test_loads_that_wait_together(stored, device):
    ours = opened(stored, device)
    asyncio.run(ours.load_async())
    assert not isinstance(ours.packed.variable._data, ExplicitlyIndexed)
    assert_same_bits(ours.packed.to_numpy(), VALUES)
    rows = opened(stored, device).packed.isel(x=slice(None, None, -1), t=[3, 0])
    assert_same_bits(asyncio.run(rows.load_async()).to_numpy(), VALUES[[3, 0]][:, ::-1])


def test_a_group_has_a_name_in_graphs(stored, device):
    group = gpuzarr.open_group(stored, device="cpu")
    names = {xr.open_dataset(group, engine="gpuzarr", chunks={}, device=device).v.data.name for _ in range(2)}
    assert len(names) == 1
