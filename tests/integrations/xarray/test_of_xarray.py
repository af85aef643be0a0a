"""xarray's own tests of its Zarr backend, run against gpuzarr: whatever they open and write goes through the engine.

Of each test that is expected to fail, `FAILURES` has the reason. One that passes all the same fails here.
"""

import asyncio
import functools
import inspect
import re

import pytest

pytest.importorskip("zarr")
theirs = pytest.importorskip("xarray.tests.test_backends")
of_trees = pytest.importorskip("xarray.tests.test_backends_datatree")

import xarray  # noqa: E402
import zarr  # noqa: E402
from xarray.backends import plugins  # noqa: E402
from xarray.tests.conftest import create_test_datatree, simple_datatree, time_unit, use_cftime, use_dask  # noqa: E402, F401
from xarray.tests.test_backends import fsspec_memory_zarr_stores, tmp_store  # noqa: E402, F401 (fixtures)
from xarray.tests.test_backends_datatree import unaligned_datatree_zarr_factory  # noqa: E402, F401 (fixture)

import gpuzarr  # noqa: E402
from gpuzarr.integrations.xarray.engine import GpuZarrBackendEntrypoint  # noqa: E402
from gpuzarr.integrations.xarray.store import GpuZarrStore  # noqa: E402

CLASSES = {
    theirs: (
        *("TestZarrDirectoryStore", "TestZarrDictStore", "TestZarrWriteEmpty", "TestZarrNoConsolidatedMetadataSupport"),
        *("TestDataArrayToZarr", "TestZarrRectilinearChunksRead", "TestNCZarr", "TestZarrRegionAuto"),
        "TestInstrumentedZarrStore",
    ),
    of_trees: ("TestZarrDatatreeIO",),
}
FUNCTIONS = (
    *("test_roundtrip_stringdtype_zarr_v3", "test_stringdtype_with_na_object_uses_the_compatibility_path"),
    *("test_open_fsspec", "test_open_mfdataset_fsspec", "test_open_dataset_chunking_zarr"),
    *("test_zarr_closing_internal_zip_store", "test_zarr_create_default_indexes"),
    *("test_raises_key_error_on_invalid_zarr_store", "test_chunking_consistency"),
)
FAILURES: dict[str, str] = {}  # reasons by regular expressions of names


class Engine(GpuZarrBackendEntrypoint):
    """The engine, which also takes what tests give to that of xarray."""

    def open_dataset(self, place, *, mode="r", cache_members=True, **options):
        assert mode == "r"
        return super().open_dataset(place, **options)


@pytest.fixture(params=[2, 3])
def default_zarr_format(request):
    with zarr.config.set(default_zarr_format=request.param), gpuzarr.config.set(default_zarr_format=request.param):
        yield


@pytest.fixture(autouse=True)
def engine(request, monkeypatch):
    """Have xarray open and write Zarr by gpuzarr."""
    parameters = getattr(getattr(request.node, "callspec", None), "id", "").split("-")
    for mark in request.node.iter_markers("skip_if_param"):
        given = {str(each) for name, each in mark.kwargs.items() if name not in ("reason", "condition")}
        if mark.kwargs.get("condition", True) and given & set(parameters):
            pytest.skip(mark.kwargs["reason"])
    for name, reason in FAILURES.items():
        if re.search(name, request.node.nodeid):
            request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    get_backend = plugins.get_backend
    monkeypatch.setattr(plugins, "get_backend", lambda name: Engine() if name == "zarr" else get_backend(name))
    for module in (xarray.backends, xarray.backends.zarr):
        monkeypatch.setattr(module, "ZarrStore", GpuZarrStore)
    for name in ("to_zarr", "_datatree_to_zarr"):
        monkeypatch.setattr(xarray.backends.writers, name, gpuzarr.to_zarr)


def _awaited(test):
    @functools.wraps(test)
    def run(*arguments, **options):
        asyncio.run(test(*arguments, **options))

    return run


for module, names in CLASSES.items():
    for name in names:
        above = getattr(module, name)
        tests = inspect.getmembers(above, inspect.iscoroutinefunction)
        globals()[name] = type(
            name, (above,), {each: _awaited(test) for each, test in tests} | {"__module__": __name__}
        )
for name in FUNCTIONS:
    globals()[name] = getattr(theirs, name)
