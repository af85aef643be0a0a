"""Laws of writing: the same bytes as xarray and zarr-python write; regions and appending as in xarray's own memory."""

from tempfile import TemporaryDirectory

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings

import gpuzarr
from tests.conftest import examples
from tests.integrations.xarray.datasets import datasets
from tests.integrations.xarray.stores import contents, spelled_alike

pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore")
SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@given(datasets(), st.sampled_from([2, 3]), st.booleans(), st.booleans())
@settings(max_examples=examples(60), **SLOW)
def test_the_same_bytes_as_xarray(dataset, zarr_format, consolidated, empty):
    for variable in dataset.variables.values():
        variable.encoding["compressors"] = ()
    options = {"zarr_format": zarr_format, "consolidated": consolidated, "write_empty_chunks": empty}
    with TemporaryDirectory() as folder:
        theirs, ours = f"{folder}/theirs", f"{folder}/ours"
        try:
            dataset.to_zarr(theirs, **options)
        except Exception:  # such as attributes that zarr-python cannot write
            assume(False)
        gpuzarr.to_zarr(dataset, ours, device="cpu", **options)
        assert spelled_alike(contents(ours)) == spelled_alike(contents(theirs))


LENGTHS = {"t": 5, "x": 4}
DIMENSIONS = {"a": ("t", "x"), "b": ("x", "t"), "c": ("t",)}
PACKED = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}


@st.composite
def blocks(draw, t, x):
    """A dataset of integers and NaNs, of these lengths."""
    lengths = {"t": t, "x": x}
    numbers = st.integers(0, 9).map(float) | st.just(np.nan)
    made = {}
    for name, dimensions in DIMENSIONS.items():
        made[name] = (dimensions, draw(npst.arrays("f8", [lengths[d] for d in dimensions], elements=numbers)))
    return xr.Dataset(made)


@st.composite
def parts(draw, length):
    """A slice of an axis that is not empty."""
    start = draw(st.integers(0, length - 1))
    return slice(start, draw(st.integers(start + 1, length)))


@given(st.data(), st.sampled_from([2, 3]), st.sampled_from([None, False]))
@settings(max_examples=examples(20), **SLOW)
def test_regions_and_appending_are_what_they_are_in_memory(data, zarr_format, consolidated):
    model = data.draw(blocks(**LENGTHS)).assign_coords(t=np.arange(5.0), x=list("abcd"))
    chunks = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    encoding = {"a": {"chunks": chunks}, "b": {**PACKED, "chunks": chunks}}
    if zarr_format == 3 and data.draw(st.booleans()):
        encoding["a"]["shards"] = tuple(2 * size for size in chunks)
    options = {"device": "cpu", "consolidated": consolidated}
    with TemporaryDirectory() as folder:
        gpuzarr.to_zarr(model, folder, "w", encoding=encoding, zarr_format=zarr_format, **options)
        for _ in range(data.draw(st.integers(1, 4))):
            if data.draw(st.booleans()):
                more = data.draw(blocks(data.draw(st.integers(1, 3)), LENGTHS["x"]))
                more = more.assign_coords(t=model.sizes["t"] + np.arange(float(more.sizes["t"])), x=list("abcd"))
                gpuzarr.to_zarr(more, folder, append_dim="t", **options)
                model = xr.concat([model, more], "t", data_vars="minimal", coords="minimal", compat="override")
            else:
                region = {name: data.draw(parts(length)) for name, length in model.sizes.items()}
                new = data.draw(blocks(*(each.stop - each.start for each in (region["t"], region["x"]))))
                model = model.copy(deep=True)
                for name in new:
                    model[name][{d: region[d] for d in DIMENSIONS[name]}] = new[name].values
                is_found = data.draw(st.booleans())
                if is_found:
                    new = new.assign_coords(t=model.t[region["t"]].values, x=model.x[region["x"]].values)
                gpuzarr.to_zarr(new, folder, region="auto" if is_found else region, **options)
            found = xr.open_dataset(folder, engine="zarr", consolidated=consolidated).load()
            xr.testing.assert_identical(found, model)


@given(blocks(8, 8), st.sampled_from([2, 3]), st.integers(1, 8), st.integers(1, 8), st.booleans())
@settings(max_examples=examples(15), **SLOW)
def test_blocks_of_dask_are_written_as_their_values(dataset, zarr_format, t, x, is_later):
    """Whatever the blocks: `align_chunks` makes them fit the chunks, or the blocks are the chunks."""
    encoding = {"a": {"chunks": (3, 2)}, "b": {"chunks": (2, 3)} | PACKED}
    if zarr_format == 3:
        encoding["a"]["shards"] = (6, 4)
    with TemporaryDirectory() as folder:
        given = dataset.chunk(t=t, x=x)
        made = gpuzarr.to_zarr(
            given, folder, encoding=encoding, zarr_format=zarr_format, align_chunks=True, compute=not is_later
        )
        if is_later:
            made.compute()
        xr.testing.assert_identical(xr.open_dataset(folder, engine="zarr").load(), dataset)
