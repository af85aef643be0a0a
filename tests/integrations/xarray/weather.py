"""A small dataset as weather services publish them, stored by xarray and zarr-python."""

import numpy as np
import xarray as xr

ENCODINGS = {
    "t2m": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768, "chunks": (7, 2, 8)},
    "rain": {"_FillValue": np.float32(-1), "chunks": (24, 6, 4)},
    "count": {"chunks": (48, 3, 8)},
}


def weather():
    """Packed, masked and plain numbers over time, latitude and longitude, with times and texts."""
    rng = np.random.default_rng(5)
    hours, lat, lon = np.arange(48), np.linspace(-50, 50, 6), np.arange(0, 40, 5)
    shape, names = (48, 6, 8), ("time", "lat", "lon")
    t2m = rng.integers(-3000, 3000, shape) * 0.01 + 273.15
    t2m[rng.random(shape) < 0.1] = np.nan
    rain = rng.gamma(0.5, 1, shape).astype("float32")
    rain[rng.random(shape) < 0.1] = np.nan
    return xr.Dataset(
        {
            "t2m": (names, t2m, {"units": "K"}),
            "rain": (names, rain),
            "count": (names, rng.integers(0, 9, shape).astype("int32")),
            "wet": (names, rng.random(shape) < 0.5),
            "wind": (names, rng.normal(size=shape)),
            "height": (("lat", "lon"), rng.random((6, 8)).astype("float32")),
            "born": ("lat", np.datetime64("1990-01-01") + np.arange(6)),
            "note": ("lat", np.array(list("abcdef"), dtype=object)),
            "total": ((), np.float32(2.5)),
        },
        {
            "time": np.datetime64("2024-02-28T00") + hours.astype("m8[h]"),
            "lat": lat,
            "lon": lon,
            "half": ("time", np.where(hours % 24 < 12, "night", "day").astype(object)),
            "area": (("lat", "lon"), rng.random((6, 8))),
        },
        {"title": "weather"},
    )


def stored(path, zarr_format):
    """The path of a store with the dataset."""
    weather().to_zarr(path, zarr_format=zarr_format, encoding=ENCODINGS, consolidated=zarr_format == 2)
    return str(path)
