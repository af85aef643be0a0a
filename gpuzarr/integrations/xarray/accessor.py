"""`ds.gpuzarr`, on Datasets, DataArrays and DataTrees of xarray.

xarray has no entry point for accessors: one exists once the module that registers it is imported. This one is
imported with any module of this folder: by `import gpuzarr.xarray`, by the first use of `gpuzarr.to_zarr`, and by
xarray itself when it opens something, as it then loads all engines. `import gpuzarr` alone must not load xarray, which
takes long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xarray import register_dataarray_accessor, register_dataset_accessor, register_datatree_accessor


@register_datatree_accessor("gpuzarr")
@register_dataarray_accessor("gpuzarr")
@register_dataset_accessor("gpuzarr")
class GpuZarrAccessor:
    """What gpuzarr does with an object of xarray: `ds.gpuzarr`.

    Examples
    --------
    >>> import xarray as xr
    >>> import gpuzarr.xarray
    >>> ds = xr.Dataset({"t": ("x", np.arange(4.0))})
    >>> made = ds.gpuzarr.to_zarr("ds.zarr", encoding={"t": {"chunks": (2,)}})
    >>> gpuzarr.open("ds.zarr", "t").chunks
    (2,)
    """

    def __init__(self, data: Any) -> None:
        self._data = data

    def to_zarr(
        self,
        store: Any = None,
        mode: str | None = None,
        group: str | None = None,
        encoding: Mapping[Any, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Write it to a Zarr group, as `gpuzarr.to_zarr` does, with its parameters."""
        from gpuzarr.integrations.xarray.writing import to_zarr

        return to_zarr(self._data, store, mode, group, encoding, **options)
