"""Zarr data types and the NumPy dtypes that hold them."""

from gpuzarr.dtypes.data_type import DataType
from gpuzarr.dtypes.v2 import parse_v2, stored_dtype
from gpuzarr.dtypes.v3 import parse_v3

__all__ = ["DataType", "parse_v2", "parse_v3", "stored_dtype"]
