"""Strategies of datasets as xarray writes them: each dtype, with encodings and attributes."""

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import xarray as xr
from xarray.testing import strategies as xrst

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=4)
DIMENSIONS = {"x": 3, "y": 4, "empty": 0, "one": 1}
NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
PLAIN = (*NUMBERS, "?", "c8", "c16", ">i2", ">i4", ">f4", ">f8")
TIMES = st.integers(-(10**9), 10**9) | st.just(np.iinfo("i8").min)  # seconds, and NaT


@st.composite
def dimensions(draw):
    """Names of some dimensions."""
    return tuple(draw(st.lists(st.sampled_from(sorted(DIMENSIONS)), max_size=3, unique=True)))


@st.composite
def values(draw, shape):
    """An array of any dtype that xarray writes to Zarr."""
    kind = draw(st.sampled_from(["plain", "plain", "times", "S", "U", "texts", "bytes"]))
    if kind == "plain":
        return draw(npst.arrays(np.dtype(draw(st.sampled_from(PLAIN))), shape))
    if kind == "times":
        dtype = draw(st.sampled_from(["M8[ns]", "M8[s]", "m8[ns]", "m8[s]"]))
        seconds = draw(npst.arrays("i8", shape, elements=TIMES))
        return seconds.astype(dtype[:2] + "[s]").astype(dtype)
    if kind == "S":
        return draw(npst.arrays("S3", shape, elements=st.binary(max_size=3).map(lambda data: data.rstrip(b"\0"))))
    if kind == "U":
        return draw(npst.arrays("U3", shape, elements=TEXTS.map(lambda text: text[:3])))
    elements = TEXTS if kind == "texts" else st.binary(max_size=3).map(lambda data: data.strip(b"\0") or b"q")
    return draw(npst.arrays(object, shape, elements=elements, fill=st.nothing()))


@st.composite
def packed(draw):
    """An encoding of numbers: packed integers or floats, with fills, or unsigned ones."""
    dtype = np.dtype(draw(st.sampled_from(NUMBERS)))
    chosen = {"dtype": dtype.str}
    if draw(st.booleans()):
        chosen["scale_factor"] = draw(st.sampled_from([0.1, 2, np.float32(0.01), 1e-3, np.float64(3)]))
    if draw(st.booleans()):
        chosen["add_offset"] = draw(st.sampled_from([1.5, -3, np.float32(273.15), 0.0]))
    if draw(st.booleans()):
        chosen["_FillValue"] = draw(fills(dtype))
    return chosen


def fills(dtype):
    """Values of a dtype that mark missing ones."""
    if dtype.kind == "f":
        return st.sampled_from([np.nan, -1.0, 0.0, -0.0, 9999.0]).map(dtype.type)
    info = np.iinfo(dtype)
    return st.sampled_from([0, 1, info.min, info.max]).map(dtype.type)


@st.composite
def marked(draw, dtype):
    """Attributes by which CF masks and scales stored numbers, also in ways that xarray itself does not write."""
    numbers = fills(dtype) | st.sampled_from([0, 3, -1, 255, 70000, 1e10, 0.5, np.nan])
    chosen = {}
    if draw(st.booleans()):
        chosen["_FillValue"] = draw(fills(dtype))
    if draw(st.booleans()):
        chosen["missing_value"] = draw(numbers | st.lists(numbers, min_size=2, max_size=3))
    if draw(st.booleans()):
        chosen["scale_factor"] = draw(st.sampled_from([0.1, 2, 1, [0.5], np.float32(0.3), -0.0, 1e300]))
    if draw(st.booleans()):
        chosen["add_offset"] = draw(st.sampled_from([1.5, -3, [7], np.float32(0.3), 2**60, 1e300]))
    if draw(st.booleans()):
        chosen["_Unsigned"] = draw(st.sampled_from(["true", "false", "True"]))
    if draw(st.booleans()):
        chosen |= {"valid_range": [0, 9], "dtype": draw(st.sampled_from(["bool", "i2"]))}
    if draw(st.integers(0, 3)) == 0:
        chosen["units"] = draw(st.sampled_from(["days since 2000-01-01", "hours", "m", "seconds since 1970-01-01"]))
    return chosen


@st.composite
def variables(draw, zarr_format=2):
    """A variable, with an encoding that fits it, and attributes."""
    names = draw(dimensions())
    shape = tuple(DIMENSIONS[name] for name in names)
    encoding = {}
    if draw(st.booleans()):
        encoding["chunks"] = tuple(draw(st.integers(1, 4)) for _ in names)
        if zarr_format == 3 and names and draw(st.booleans()):
            encoding["shards"] = tuple(size * draw(st.integers(1, 2)) for size in encoding["chunks"])
    kind = draw(st.sampled_from(["packed", "marked", "plain"]))
    if kind == "marked":
        dtype = np.dtype(draw(st.sampled_from(NUMBERS)))
        few = st.integers(0, 3).map(dtype.type) | npst.from_dtype(dtype)
        return xr.Variable(names, draw(npst.arrays(dtype, shape, elements=few)), draw(marked(dtype)), encoding)
    if kind == "packed":
        data = draw(npst.arrays("f8", shape, elements=st.integers(0, 100).map(float)))
        encoding |= draw(packed())
    else:
        data = draw(values(shape))
    return xr.Variable(names, data, draw(st.just({}) | attributes()), encoding)


def attributes():
    """Attributes that JSON holds."""
    scalars = (
        st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
    )
    return st.dictionaries(xrst.names(), scalars | st.lists(st.integers(0, 9), max_size=3), max_size=2)


@st.composite
def datasets(draw, zarr_format=2):
    """A dataset with some variables, and coordinates for some dimensions."""
    made = {f"v{i}": each for i, each in enumerate(draw(st.lists(variables(zarr_format), max_size=3)))}
    if made and draw(st.integers(0, 3)) == 0:  # what CF says of variables that belong together
        made["v0"].attrs["grid_mapping"] = "other"
        made["v0"].attrs["ancillary_variables"] = "v1"
    coordinates = {}
    used = {name for each in made.values() for name in each.dims}
    for name in sorted(used):
        if draw(st.booleans()):
            coordinates[name] = (name, draw(values((DIMENSIONS[name],))))
    if draw(st.booleans()):
        coordinates["other"] = draw(variables(zarr_format))
    return xr.Dataset(made, coordinates, draw(attributes()))
