"""xarray on top of gpuzarr: `xr.open_dataset(path, engine="gpuzarr")`, and `gpuzarr.to_zarr(ds, path)`.

How a dataset is opened, in the order of the files:

1. `engine.py` is what xarray finds by the entry point `xarray.backends`. It opens a group on the CPU.
2. `store.py` makes an undecoded variable of each array: dimensions, attributes, encoding, and lazy values (`lazy.py`).
3. xarray's own `decode_cf_variables` decodes them, so attributes, encodings, dtypes and warnings are xarray's.
4. `placement.py` decides which variables are for the device: data, but no coordinates, times or strings. Of these,
   `steps.py` takes what xarray would do with NumPy to each value that is read (mask, scale, offset) out of xarray's
   hands, and `lazy.py` does it on the device, as a part of the read where one cast of `Array.get` says the same.
5. `variable.py` makes dask arrays of them with the right kind of blocks.

How one is written:

1. `writing.py` has `gpuzarr.to_zarr`, and `accessor.py` has `ds.gpuzarr.to_zarr`, which calls it.
2. xarray's own `ZarrStore`, of which the store of `store.py` is one, encodes variables, checks blocks of dask and finds
   regions. It makes arrays, and writes values to them, as those of any Zarr library: here they are arrays of gpuzarr.
"""

from gpuzarr.integrations.xarray import accessor as accessor  # which registers it with xarray
