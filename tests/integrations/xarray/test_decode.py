"""Values decoded by a read, or on a device behind it, are those of xarray's decoding, to the bit."""

import warnings

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from xarray import conventions
from xarray.core import indexing

import gpuzarr
from gpuzarr.integrations.xarray.lazy import StoredValues
from gpuzarr.integrations.xarray.placement import placed
from gpuzarr.integrations.xarray.steps import cast_for
from tests.conftest import examples
from tests.integrations.xarray.datasets import NUMBERS
from tests.integrations.xarray.identical import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore")
EXTREMES = [0, -1, 1, 3, 127, 128, 255, -32768, 65535, 70000, 2**31, 2**53 + 1, 2**63 - 1]
FLOATS = [0.0, -0.0, 0.5, -1.0, 0.1, 1e10, 65504.0, 1e30, -1e300, 3.0, np.inf, -np.inf, np.nan, 2.0**63]
SCALES = [0.1, 2.0, -0.0, 1e-320, 1e38, 1e300, 0.30000001, 3, 1, 2**54, np.float32(0.1), np.float64(0.1), np.float16(2)]
TYPES = [np.float32, np.float64, np.int16, np.int64, np.uint8, np.float16]


@st.composite
def fills(draw, dtype):
    """A number, as attributes have them: of Python, or of any dtype of NumPy, whether or not an element equals it."""
    number = draw(st.sampled_from([*EXTREMES, *FLOATS]) | npst.from_dtype(dtype).map(lambda value: value.item()))
    kinds = [None, *TYPES, dtype.type]
    kind = draw(st.sampled_from(kinds))
    with np.errstate(all="ignore"):
        try:
            return number if kind is None else kind(number)
        except (OverflowError, ValueError):
            return number


@st.composite
def packings(draw):
    """Stored values, and attributes of CF that say how they are decoded."""
    dtype = np.dtype(draw(st.sampled_from(NUMBERS)))
    attributes = {}
    if draw(st.booleans()):
        attributes["_FillValue"] = draw(fills(dtype))
    if draw(st.booleans()):
        attributes["missing_value"] = draw(fills(dtype) | st.lists(fills(dtype), min_size=1, max_size=3))
    if draw(st.booleans()):
        attributes["scale_factor"] = draw(st.sampled_from([*SCALES, [0.5]]))
    if draw(st.booleans()):
        attributes["add_offset"] = draw(st.sampled_from([*SCALES, [-7]]))
    if draw(st.integers(0, 3)) == 0:
        attributes["_Unsigned"] = draw(st.sampled_from(["true", "false"]))
    near = [value for name in ("_FillValue", "missing_value") for value in np.ravel(attributes.get(name, []))]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        special = np.array([*near, *FLOATS]).astype(dtype)
    elements = st.sampled_from(list(special)) | npst.from_dtype(dtype)
    return draw(npst.arrays(dtype, draw(st.integers(0, 9)), elements=elements)), attributes


def decoded(values, attributes, device=None):
    """A variable as xarray decodes it: of an array in memory; or of a stored one, on a device."""
    if device is None:
        return conventions.decode_cf_variable("v", xr.Variable("x", values, attributes))
    array = gpuzarr.array(values, chunks=4, device="cpu")
    lazy = xr.Variable("x", indexing.LazilyIndexedArray(StoredValues(array)), attributes)
    return placed({"v": conventions.decode_cf_variable("v", lazy)}, set(), device)["v"]


def stored_values(variable):
    """The lazy values of a variable, and their steps."""
    return variable._data.array


@given(packings())
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_same_bits_as_xarray(device, packing):
    values, attributes = packing
    try:
        theirs = decoded(values, attributes)
        wanted = theirs.values
    except Exception as error:
        with pytest.raises(type(error)):
            decoded(values, attributes, device)[...].to_numpy()
        return
    ours = decoded(values, attributes, device)
    assert ours.dtype == theirs.dtype
    assert_same_bits(ours.to_numpy(), wanted)
    assert_same_bits(ours[::-2].to_numpy(), wanted[::-2])


@pytest.mark.parametrize(
    ("dtype", "attributes"),
    [
        ("int16", {"scale_factor": 0.01, "add_offset": 273.15, "_FillValue": np.int16(-32768)}),
        ("int16", {"scale_factor": 0.01, "_FillValue": np.int16(-32768), "missing_value": 1e20}),
        ("uint8", {"_FillValue": np.uint8(255)}),
        ("int32", {"scale_factor": 0.5, "add_offset": 1.0}),
        ("float32", {"_FillValue": np.float32(1e20), "missing_value": np.float32(1e20)}),
        ("float64", {"scale_factor": 2.0}),
    ],
)
def test_usual_packings_are_one_cast_of_a_read(device, dtype, attributes):
    variable = decoded(np.arange(5, dtype=dtype), attributes, device)
    values = stored_values(variable)
    assert cast_for(values.stored.dtype, values.steps) is not None
    calls = counted(values.stored)
    assert_same_bits(variable.to_numpy(), decoded(np.arange(5, dtype=dtype), attributes).values)
    assert [call["cast"] is not None for call in calls] == [True]


def counted(array):
    """What `read_elements` of an array is called with, from now on."""
    calls, read = [], array.read_elements

    def noted(*args, **options):
        calls.append({"cast": None, **options})
        return read(*args, **options)

    array.read_elements = noted
    return calls
