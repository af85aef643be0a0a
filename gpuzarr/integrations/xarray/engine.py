"""The engine of xarray that is called "gpuzarr"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xarray import conventions
from xarray.backends.common import BackendEntrypoint, _normalize_path, datatree_from_dict_with_io_cleanup
from xarray.core.coordinates import Coordinates
from xarray.core.dataset import Dataset

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, NotFoundError
from gpuzarr.integrations.xarray.placement import placed
from gpuzarr.integrations.xarray.store import GpuZarrStore, is_mask, opened
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group

if TYPE_CHECKING:
    from xarray.core.datatree import DataTree


class GpuZarrBackendEntrypoint(BackendEntrypoint):
    """Open Zarr, and whatever else `gpuzarr.open` takes, with values on a GPU: `engine="gpuzarr"`."""

    description = "Open Zarr with the GPU (values are CuPy arrays; without a GPU NumPy arrays)"
    supports_groups = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """False: whoever wants this engine says so."""
        return False

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        mask_and_scale: Any = True,
        decode_times: Any = True,
        concat_characters: Any = True,
        decode_coords: Any = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: Any = None,
        decode_timedelta: Any = None,
        group: str | None = None,
        consolidated: bool | None = None,
        storage_options: dict[str, Any] | None = None,
        zarr_format: Any = None,
        use_zarr_fill_value_as_mask: bool | None = None,
        device: str | Device | None = None,
        memory_limit: int | str | None = None,
    ) -> Dataset:
        """Open the variables of a group; `xarray.open_dataset` calls it with the arguments that it was given.

        Parameters
        ----------
        filename_or_obj, consolidated, storage_options, zarr_format, memory_limit
            As `store` and the others of `gpuzarr.open`; or a `gpuzarr.Group`, which has been opened with them.
        group
            The path of the group in the store.
        device
            Where data are decoded and stay: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1". Default: that of a
            `gpuzarr.Group`, else "auto". Coordinates, times and strings are NumPy arrays in any case.
        use_zarr_fill_value_as_mask
            Whether Zarr's fill value marks missing values, as `_FillValue` does. Default: in Zarr v2 only.
        **others
            As those of `xarray.open_dataset`.
        """
        chosen = _device(filename_or_obj, device)
        found = _opened(filename_or_obj, group, consolidated, storage_options, zarr_format, memory_limit)
        decoders = {"mask_and_scale": mask_and_scale, "decode_times": decode_times, "use_cftime": use_cftime}
        decoders |= {"concat_characters": concat_characters, "decode_coords": decode_coords}
        decoders |= {"drop_variables": drop_variables, "decode_timedelta": decode_timedelta}
        return dataset_of(_store(found, use_zarr_fill_value_as_mask), chosen, decoders)

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> DataTree:
        """Open a group and all groups below it, each as by `open_dataset`."""
        return datatree_from_dict_with_io_cleanup(self.open_groups_as_dict(filename_or_obj, **options))

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        group: str | None = None,
        consolidated: bool | None = None,
        storage_options: dict[str, Any] | None = None,
        zarr_format: Any = None,
        use_zarr_fill_value_as_mask: bool | None = None,
        device: str | Device | None = None,
        memory_limit: int | str | None = None,
        **decoders: Any,
    ) -> dict[str, Dataset]:
        """Open a group and all groups below it: datasets by their paths; with `group`, by those relative to it.

        Parameters, with those of decoding, are those of `open_dataset`.
        """
        chosen = _device(filename_or_obj, device)
        root = _opened(filename_or_obj, group, consolidated, storage_options, zarr_format, memory_limit)
        stores = _store(root, use_zarr_fill_value_as_mask).subtree("" if group else "/")
        return {path or ".": dataset_of(store, chosen, decoders) for path, store in stores}


def dataset_of(store: GpuZarrStore, device: Device, decoders: dict[str, Any]) -> Dataset:
    """The variables of a group, decoded as parameters of `xarray.conventions.decode_cf_variables` say."""
    variables, attributes = store.load()
    decoded, attributes, coordinates = conventions.decode_cf_variables(variables, attributes, **decoders)
    variables = placed(decoded, coordinates, device)
    are_coordinates = {name for name, each in variables.items() if name in coordinates or each.dims == (name,)}
    made = Dataset(
        {name: each for name, each in variables.items() if name not in are_coordinates},
        coords=Coordinates({name: variables[name] for name in variables if name in are_coordinates}, indexes={}),
        attrs=attributes,
    )
    made.set_close(store.close)
    return made


def _device(place: Any, device: str | Device | None) -> Device:
    """The device of values; an error if there is none, before anything is read."""
    if device is None:
        device = place.device if isinstance(place, Group) else "auto"
    return device_of(device)


def _opened(place: Any, group: str | None, consolidated: Any, options: Any, version: Any, limit: Any) -> Group:
    """A group on the CPU, of which variables are placed on a device later."""
    if isinstance(place, Group):
        _without_options(consolidated=consolidated, storage_options=options, zarr_format=version, memory_limit=limit)
        opener: Any = place.opener
        on_cpu = Group(place.store, place.path, place.metadata, replace(opener, device=CPU), CPU)
        return _group(on_cpu[group]) if group and group.strip("/") else on_cpu
    if isinstance(place, Array):
        return _group(place)
    given = {"device": "cpu", "storage_options": options, "zarr_format": version, "memory_limit": limit}
    return opened(_normalize_path(place), group, consolidated, **given)


def _group(node: Array | Group) -> Group:
    if isinstance(node, Array):
        raise NotFoundError(f"{node!r} is an array, not a group: variables are the arrays of a group")
    return node


def _without_options(**options: Any) -> None:
    """ArgumentError for options of opening that are given with a group, which is open."""
    if given := [name for name, value in options.items() if value is not None]:
        raise ArgumentError(f"a group that is open takes no {' and no '.join(given)}: give them to gpuzarr.open()")


def _store(group: Group, fill_value_masks: bool | None) -> GpuZarrStore:
    return GpuZarrStore(group, "r", use_zarr_fill_value_as_mask=is_mask(fill_value_masks, group))
