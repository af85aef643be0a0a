"""`gpuzarr.to_zarr`, which writes the same as the method `to_zarr` of xarray's objects."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from xarray.backends.api import DATAARRAY_NAME, DATAARRAY_VARIABLE, delayed_close_after_writes
from xarray.backends.common import ArrayWriter, _normalize_path
from xarray.backends.writers import _validate_dataset_names, dump_to_store
from xarray.backends.zarr import _choose_default_mode
from xarray.core.dataarray import DataArray
from xarray.core.dataset import Dataset
from xarray.core.datatree import DataTree

from gpuzarr.checks import shown
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, ExistsError, NotFoundError, UnsupportedCallError
from gpuzarr.integrations.xarray.store import GpuZarrStore

Member = tuple[str, Dataset, Mapping[Any, Any]]  # the path of a group, what it is to hold, and encodings of variables


def to_zarr(
    data: Dataset | DataArray | DataTree,
    store: Any = None,
    mode: str | None = None,
    group: str | None = None,
    encoding: Mapping[Any, Any] | None = None,
    *,
    compute: bool = True,
    consolidated: bool | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[Any, Any] | str | None = None,
    safe_chunks: bool = True,
    align_chunks: bool = False,
    storage_options: dict[str, Any] | None = None,
    zarr_format: int | None = None,
    write_empty_chunks: bool | None = None,
    chunkmanager_store_kwargs: dict[str, Any] | None = None,
    write_inherited_coords: bool = False,
    device: str | Device = "auto",
) -> Any:
    """Write a Dataset, a DataArray or a DataTree of xarray to a Zarr group, as its own method `to_zarr` would.

    Values that are on a GPU (CuPy arrays, and dask arrays of them) are scaled, masked, cast and compressed there.

    Parameters
    ----------
    data
        What to write.
    store
        As for `gpuzarr.open`; None (default): a new store in memory.
    mode, group, encoding, compute, consolidated, append_dim, region, safe_chunks, align_chunks
        As for `xarray.Dataset.to_zarr`. A tree takes no `group` and no `append_dim`; its `encoding` has a dict for the
        path of each group.
    storage_options
        Options for what a URL names, as for `gpuzarr.open`.
    zarr_format
        2 or 3; default: that of the group that exists, else of `gpuzarr.config`, which is 3.
    write_empty_chunks, chunkmanager_store_kwargs
        As for `xarray.Dataset.to_zarr`.
    write_inherited_coords
        Whether each group of a tree gets the coordinates that it has from a group above, too.
    device
        Where values are encoded: "auto" (default: a GPU if there is one), "cpu", "cuda", "cuda:1". Index coordinates,
        times and strings are encoded on the CPU.

    Returns
    -------
    GpuZarrStore or dask.delayed.Delayed
        What xarray returns: the store; or, for `compute=False`, what writes the values of dask arrays when it is
        computed. Metadata, and values of other arrays, are written at once.

    Raises
    ------
    ExistsError
        Something exists, and the mode is "w-", which is the default.
    ArgumentError, ReadOnlyError, MetadataError, StoreError, DeviceError
        As for `gpuzarr.open`.
    ValueError, TypeError, KeyError
        xarray's own, for what it does not write: a region or an `append_dim` that does not fit, blocks of dask that
        share a chunk or a shard, unknown encodings, invalid names.

    Examples
    --------
    >>> import xarray as xr
    >>> ds = xr.Dataset({"t": (("time", "x"), np.arange(6.0).reshape(3, 2))})
    >>> made = gpuzarr.to_zarr(ds, "ds.zarr", encoding={"t": {"chunks": (1, 2), "shards": (3, 2)}})
    >>> made = gpuzarr.to_zarr(ds, "ds.zarr", append_dim="time")
    >>> xr.open_dataset("ds.zarr", engine="gpuzarr")["t"].shape
    (6, 2)
    """
    members = list(_members(data, encoding or {}, group, append_dim, write_inherited_coords))
    for _, dataset, encodings in members:
        _validate_dataset_names(dataset)
        _check_names(dataset, encodings)
    mode = _choose_default_mode(mode=mode, append_dim=append_dim, region=region)
    exists = mode == "r+"
    try:
        root = GpuZarrStore.open_group(
            _normalize_path(store),
            mode,
            group,
            consolidated=consolidated if exists else False,
            consolidate_on_close=not exists and consolidated is not False,
            storage_options=storage_options,
            append_dim=append_dim,
            write_region=region,
            safe_chunks=safe_chunks,
            align_chunks=align_chunks,
            zarr_format=zarr_format,
            write_empty=write_empty_chunks,
            device=device,
        )
    except ExistsError as error:
        advice = 'mode="w" replaces it, mode="a" adds variables to it, `append_dim` and `region` write to its variables'
        raise ExistsError(f"{error}: {advice}") from error
    writer = ArrayWriter()
    try:
        for path, dataset, encodings in members:
            _put(dataset, root.get_child_store(path) if path else root, writer, encodings)
        writes = writer.sync(compute=compute, chunkmanager_store_kwargs=chunkmanager_store_kwargs)
    finally:
        if compute:
            root.close()
    return root if compute else delayed_close_after_writes(writes, root)


def _check_names(dataset: Dataset, encoding: Mapping[Any, Any]) -> None:
    """NotFoundError (also a KeyError) for the encoding of a variable that there is not, before anything is written."""
    if unknown := [name for name in encoding if name not in dataset.variables]:
        names = ", ".join(map(repr, dataset.variables))
        raise NotFoundError(f"encoding is given for {unknown[0]!r}, which is none of the variables: {names}")


def _put(dataset: Dataset, store: GpuZarrStore, writer: ArrayWriter, encoding: Mapping[Any, Any]) -> None:
    """Write metadata and values of a dataset; those of dask arrays are left to the writer."""
    empty = [name for name, each in dataset.variables.items() if each.size == 0 and each.chunks is not None]
    dataset = dataset.assign({name: dataset.variables[name].compute() for name in empty})  # blocks may be of length 0
    dataset = store._validate_and_autodetect_region(dataset)
    store._validate_encoding(encoding)
    dump_to_store(dataset, store, writer, encoding=encoding)


def _members(
    data: Any, encoding: Mapping[Any, Any], group: str | None, append_dim: Any, inherited: bool
) -> Iterator[Member]:
    """The datasets to write, that of the root first. Errors are those of xarray."""
    if isinstance(data, Dataset):
        yield "", data, encoding
    elif isinstance(data, DataArray):
        yield "", _as_dataset(data), encoding
    elif isinstance(data, DataTree):
        for name, given in {"a root group": group, "``append_dim``": append_dim}.items():
            if given is not None:
                raise UnsupportedCallError(f"specifying {name} with ``DataTree.to_zarr`` has not been implemented")
        if unknown := set(encoding) - set(data.groups):
            raise ArgumentError(f"unexpected encoding group name(s) provided: {unknown}")
        for path, node in data.subtree_with_keys:
            at_root = node is data
            dataset = node.to_dataset(inherit=inherited or at_root)
            yield "" if at_root else path, dataset, encoding.get(node.path) or {}
    else:
        raise ArgumentError(f"to_zarr() writes a Dataset, a DataArray or a DataTree of xarray, not {shown(data)}")


def _as_dataset(array: DataArray) -> Dataset:
    """An array as the variable of a dataset, as `DataArray.to_zarr` has it, so that `open_dataarray` finds its name."""
    if array.name is None:
        return array.to_dataset(name=DATAARRAY_VARIABLE)
    if array.name in array.coords or array.name in array.dims:
        made = array.to_dataset(name=DATAARRAY_VARIABLE)
        made.attrs[DATAARRAY_NAME] = array.name
        return made
    return array.to_dataset()
