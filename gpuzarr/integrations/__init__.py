"""Other libraries on top of gpuzarr: xarray, dask, zarr-python."""
