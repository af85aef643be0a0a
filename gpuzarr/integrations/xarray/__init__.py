"""xarray on top of gpuzarr: `xr.open_dataset(path, engine="gpuzarr")`, and `gpuzarr.to_zarr(ds, path)`.

How a dataset is opened, in the order of the files:

1. `engine.py` is what xarray finds by the entry point `xarray.backends`. It opens a group on the CPU.
2. `store.py` makes an undecoded variable of each array: dimensions, attributes, encoding, and lazy values (`lazy.py`).
   `codecs.py` puts the codecs into the encoding.
3. xarray's own `decode_cf_variables` decodes them, so attributes, encodings, dtypes and warnings are xarray's.
4. `placement.py` decides which variables are for the device: data, but no coordinates, times or strings. xarray would
   decode their values with NumPy (mask, scale, offset): `steps.py` makes of that steps that run on the device, or one
   cast of the read where that gives the same. `lazy.py` reads, and decodes by them.
5. `variable.py` has the variables of the device. `chunk` makes dask arrays of them whose blocks are on the device, too.

How one is written:

1. `writing.py` has `gpuzarr.to_zarr`, and `accessor.py` has `ds.gpuzarr.to_zarr`, which calls it.
2. `GpuZarrStore` of `store.py` inherits from xarray's own `ZarrStore`, which encodes variables, checks that dask blocks
   fit the chunks, and finds regions. The arrays that it creates and assigns values to are those of gpuzarr here.
"""

from gpuzarr.integrations.xarray import accessor as accessor  # which registers it with xarray
