"""The names of axes that xarray and netCDF-C write as attributes; no standard defines them, so others are ignored.

Sources: xarray's Zarr Encoding Specification (`_ARRAY_DIMENSIONS`); netCDF-C's NCZarr (`_nczarr_array`, in attributes
since version 4.9.3, in `.zarray` before). All these attributes stay what they are: xarray hides them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NCZARR = ("_nczarr_array", "_NCZARR_ARRAY")
_REFERENCES = ("dimension_references", "dimrefs")
Names = tuple[str, ...] | None


def of_xarray(attributes: Mapping[str, Any], ndim: int) -> Names:
    """The names that xarray has given the axes; None if it has not."""
    return _names(attributes.get("_ARRAY_DIMENSIONS"), ndim)


def of_nczarr(holder: Mapping[str, Any], ndim: int) -> Names:
    """The names that netCDF-C has given the axes: of dimensions, which lie in groups; None if it has not."""
    members = [member for member in (holder.get(name) for name in _NCZARR) if isinstance(member, dict)]
    for given in [member.get(field) for member in members for field in _REFERENCES]:
        if (names := _names(given, ndim)) is not None:
            return tuple([name.rpartition("/")[2] for name in names])
    return None


def _names(given: Any, ndim: int) -> Names:
    if not isinstance(given, list) or len(given) != ndim or not all(isinstance(name, str) for name in given):
        return None
    return tuple(given)
