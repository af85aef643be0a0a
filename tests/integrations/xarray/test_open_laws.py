"""What xarray writes, the engine opens exactly as xarray's own engine does."""

import warnings
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings

from tests.conftest import examples
from tests.integrations.xarray.datasets import datasets
from tests.integrations.xarray.identical import assert_identical

pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore")

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "mask_and_scale": st.booleans(),
        "decode_times": st.booleans(),
        "decode_timedelta": st.booleans(),
        "concat_characters": st.booleans(),
        "decode_coords": st.sampled_from([True, False, "coordinates", "all"]),
        "drop_variables": st.sampled_from(["v0", ["v1", "other"]]),
        "decode_cf": st.booleans(),
        "use_cftime": st.sampled_from([None, False]),
        "consolidated": st.sampled_from([None, True, False]),
        "zarr_format": st.sampled_from([None, 2, 3]),
        "group": st.sampled_from([None, "", "/", "some/group"]),
    },
)


def opened(engine, place, **options):
    """A dataset, loaded; or the kind of the error."""
    try:
        return xr.open_dataset(place, engine=engine, **options).load()
    except Exception as error:
        return error


def written(dataset, place, **options):
    """Write with xarray; what it cannot write is not what is tested."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.to_zarr(place, **options)
    except Exception:
        assume(False)


STORES = st.sampled_from([2, 3]).flatmap(lambda zarr_format: st.tuples(datasets(zarr_format), st.just(zarr_format)))


@given(STORES, st.booleans(), OPTIONS)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_what_xarray_writes_opens_as_by_its_own_engine(made, consolidated, options):
    dataset, zarr_format = made
    with TemporaryDirectory() as folder:
        place, group = f"{folder}/a.zarr", options.get("group")
        written(dataset, place, zarr_format=zarr_format, consolidated=consolidated, group=group)
        theirs = opened("zarr", place, **options)
        ours = opened("gpuzarr", place, device="cpu", **options)
        if isinstance(theirs, Exception):
            assert isinstance(ours, Exception), (ours, theirs)
        elif isinstance(ours, Exception):
            raise ours
        else:
            assert_identical(ours, theirs)
