"""xarray on top of gpuzarr: importing this module makes `ds.gpuzarr` exist.

`xarray.open_dataset(place, engine="gpuzarr")` needs no import. `gpuzarr.to_zarr(ds, place)` and
`ds.gpuzarr.to_zarr(place)` write.

Examples
--------
>>> import xarray as xr
>>> import gpuzarr.xarray
>>> made = xr.Dataset({"t": ("x", [1.5, 2.5])}).gpuzarr.to_zarr("t.zarr")
>>> float(xr.open_dataset("t.zarr", engine="gpuzarr")["t"].sum())
4.0
"""

from __future__ import annotations

from gpuzarr.integrations.xarray.accessor import GpuZarrAccessor
from gpuzarr.integrations.xarray.engine import GpuZarrBackendEntrypoint
from gpuzarr.integrations.xarray.store import GpuZarrStore
from gpuzarr.integrations.xarray.writing import to_zarr

__all__ = ["GpuZarrAccessor", "GpuZarrBackendEntrypoint", "GpuZarrStore", "to_zarr"]
