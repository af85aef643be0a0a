"""Files of HDF5 and NetCDF4 as tables of parts: h5py says where chunks lie, and reads what Zarr has no codec for."""

from gpuzarr.stores.references.hdf5.table import Hdf5Table, table_of

__all__ = ["Hdf5Table", "table_of"]
