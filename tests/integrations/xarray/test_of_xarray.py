"""xarray's own tests of its Zarr backend, run against gpuzarr: whatever they open and write goes through the engine.

Of each test that is expected to fail, `FAILURES` has the reason. One that passes all the same fails here.
"""

import asyncio
import functools
import gc
import inspect
import re

import pytest

pytest.importorskip("zarr")
theirs = pytest.importorskip("xarray.tests.test_backends")
of_trees = pytest.importorskip("xarray.tests.test_backends_datatree")

import xarray  # noqa: E402
import zarr  # noqa: E402
from xarray.backends import plugins  # noqa: E402
from xarray.backends.file_manager import FILE_CACHE  # noqa: E402
from xarray.tests.conftest import create_test_datatree, simple_datatree, time_unit, use_cftime, use_dask  # noqa: E402, F401
from xarray.tests.test_backends import fsspec_memory_zarr_stores, tmp_store  # noqa: E402, F401 (fixtures)
from xarray.tests.test_backends_datatree import unaligned_datatree_zarr_factory  # noqa: E402, F401 (fixture)

import gpuzarr  # noqa: E402
from gpuzarr.integrations.xarray.engine import GpuZarrBackendEntrypoint  # noqa: E402
from gpuzarr.integrations.xarray.store import GpuZarrStore  # noqa: E402

STORES = "append_write|consolidated|group|hidden|persistence|roundtrip_test_data|zero_dim|string|rplus"
CLASSES = {  # and which of their tests run; what is left out does the same as in another class, with another store
    "TestZarrDirectoryStore": "",
    "TestZarrDictStore": f"{STORES}|async|chunk_key|concurrent|indexing",
    "TestZarrNoConsolidatedMetadataSupport": STORES,
    "TestZarrWriteEmpty": "empty|excess|default_zarr_fill_value",
    **dict.fromkeys(("TestDataArrayToZarr", "TestZarrRectilinearChunksRead", "TestNCZarr", "TestZarrRegionAuto"), ""),
    **dict.fromkeys(("TestInstrumentedZarrStore", "TestZarrDatatreeIO"), ""),
}
FUNCTIONS = (
    *("test_roundtrip_stringdtype_zarr_v3", "test_stringdtype_with_na_object_uses_the_compatibility_path"),
    *("test_open_fsspec", "test_open_mfdataset_fsspec", "test_open_dataset_chunking_zarr"),
    *("test_zarr_closing_internal_zip_store", "test_zarr_create_default_indexes"),
    *("test_raises_key_error_on_invalid_zarr_store", "test_chunking_consistency"),
)
FAILURES = {  # reasons by regular expressions of names
    r"::test_(async_load_multiple_variables|concurrent_load_multiple_objects|indexing)\[": (
        "counts calls of methods of zarr.AsyncArray, which gpuzarr does not call"
    ),
    "::test_avoid_excess_metadata_calls": "counts calls of methods of zarr.Group, which gpuzarr does not call",
    r"(Directory|Dict)Store::test_read_non_consolidated_warning\[|test_to_zarr_not_consolidated\[": (
        "expects a warning that opening is slow without consolidated metadata, which it is not here: "
        "gpuzarr reads the documents of all arrays together"
    ),
    r"::test_non_existent_store\[": "expects a FileNotFoundError in the words of zarr-python; here it has other words",
    r"::test_zarr_fill_value_setting\[2-": (
        "expects that use_zarr_fill_value_as_mask=False is ignored in Zarr v2, as xarray's engine does"
    ),
    "::test_open_fsspec$": "expects memory:// to be the memory of fsspec; here it is that of gpuzarr",
}


class Engine(GpuZarrBackendEntrypoint):
    """The engine, which also takes what tests give to that of xarray."""

    open_dataset_parameters = (
        *plugins.detect_parameters(GpuZarrBackendEntrypoint.open_dataset),
        *("mode", "cache_members"),
    )

    def open_dataset(self, place, *, mode="r", cache_members=True, **options):
        assert mode == "r"
        return super().open_dataset(place, **options)


@pytest.fixture(params=[2, 3])
def default_zarr_format(request):
    with zarr.config.set(default_zarr_format=request.param), gpuzarr.config.set(default_zarr_format=request.param):
        yield


@pytest.fixture(scope="module", autouse=True)
def files_of_xarray():
    """Close what some of these tests leave open, which other tests would miss when it is closed later."""
    yield
    gc.collect()
    for file in list(FILE_CACHE.values()):
        file.close()
    FILE_CACHE.clear()


@pytest.fixture(autouse=True)
def engine(request, monkeypatch, tmp_path):
    """Have xarray open and write Zarr by gpuzarr."""
    monkeypatch.chdir(tmp_path)  # where some write
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
    # A folder whose name is that of a NetCDF file cannot be made by gpuzarr.
    monkeypatch.setattr(theirs, "create_tmp_file", functools.partial(theirs.create_tmp_file, suffix=".zarr"))
    for module in (xarray.backends, xarray.backends.zarr):
        monkeypatch.setattr(module, "ZarrStore", GpuZarrStore)
    for name in ("to_zarr", "_datatree_to_zarr"):
        monkeypatch.setattr(xarray.backends.writers, name, gpuzarr.to_zarr)


def _awaited(test):
    @functools.wraps(test)
    def run(*arguments, **options):
        asyncio.run(test(*arguments, **options))

    return run


def _here(name, chosen):
    """A class of theirs, of which the tests run here whose names match `chosen`."""
    above = getattr(theirs, name, None) or getattr(of_trees, name)
    tests = {each: test for each, test in inspect.getmembers(above) if each.startswith("test")}
    left_out = {each: None for each in tests if not re.search(chosen, each)}
    awaited = {each: _awaited(test) for each, test in tests.items() if inspect.iscoroutinefunction(test)}
    return type(name, (above,), awaited | left_out | {"__module__": __name__})


globals().update({name: _here(name, chosen) for name, chosen in CLASSES.items()})
globals().update({name: getattr(theirs, name) for name in FUNCTIONS})
