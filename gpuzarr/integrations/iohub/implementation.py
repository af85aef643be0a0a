"""What iohub calls."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, NotFoundError
from gpuzarr.integrations.iohub.config import GpuZarrConfig
from gpuzarr.integrations.iohub.downsampling import downsample_into
from gpuzarr.metadata import files
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import create_array
from gpuzarr.nodes.opener import Opener
from gpuzarr.read.strategy import Options
from gpuzarr.stores.contract import Store
from gpuzarr.stores.zarr_python import store_of
from gpuzarr.write.target import Writable


class GpuZarrImplementation:
    """Groups by zarr-python, arrays by this library.

    Reads and writes of iohub take and give NumPy arrays, wherever chunks are decoded and encoded. `image.native` is the
    `gpuzarr.Array`, whose values are on its device: `position["0"].native[0, 1]` is a CuPy array on a GPU.

    Parameters
    ----------
    config
        A `GpuZarrConfig`; default: its defaults.

    Raises
    ------
    ArgumentError
        The configuration is for another implementation, or has a value that makes no sense.
    DeviceError
        The device does not exist, or a package that it needs is missing.
    """

    def __init__(self, config: GpuZarrConfig | None = None) -> None:
        if not isinstance(config, GpuZarrConfig | None):
            raise ArgumentError(f"implementation_config must be a GpuZarrConfig, not {shown(config)}")
        self.config = config = config or GpuZarrConfig()
        self._device = device_of(config.device)
        self._writable = Writable.of(config.config)
        self._options = Options().changed(
            memory_limit=config.memory_limit, validate=config.validate, io=config.io, cache=config.cache
        )
        self._last: tuple[Any, Store] | None = None  # a zarr-python store, and the same store as ours

    # groups

    def open_group(self, path: Any, mode: str, zarr_format: int | None = None) -> Any:
        """Open a group of zarr-python, as `zarr.open_group`."""
        import zarr

        how: Any = {"mode": mode, "zarr_format": zarr_format}
        return zarr.open_group(path, **how)

    def group_keys(self, group: Any) -> list[str]:
        """The names of the groups in a group, sorted."""
        return sorted(group.group_keys())

    def array_keys(self, group: Any) -> list[str]:
        """The names of the arrays in a group, sorted."""
        return sorted(group.array_keys())

    def close(self, group: Any) -> None:
        """Close the store of a group."""
        self._last = None
        group.store.close()

    def get_zarr_format(self, group: Any) -> int:
        """The version of Zarr of a group, 2 or 3."""
        version: int = group.metadata.zarr_format
        return version

    # arrays

    def create_array(self, group: Any, name: str, spec: Any, *, overwrite: bool = False) -> Array:
        """Make an array of Zarr v3 from an `iohub.core.ArraySpec`. ExistsError if something exists there."""
        return self._create(
            group,
            name,
            overwrite,
            shape=spec.shape,
            dtype=spec.data_type,
            chunks=tuple(spec.chunk_grid["configuration"]["chunk_shape"]),
            chunk_key_encoding=spec.chunk_key_encoding,
            codecs=spec.codecs,
            fill_value=spec.fill_value,
            dimension_names=spec.dimension_names,
            attributes=spec.attributes,
            zarr_format=3,
        )

    def create_array_v2(
        self,
        group: Any,
        name: str,
        *,
        shape: tuple[int, ...],
        dtype: Any,
        chunks: tuple[int, ...],
        fill_value: int = 0,
        overwrite: bool = False,
    ) -> Array:
        """Make an array of Zarr v2, with "/" in the keys of chunks. ExistsError if something exists there."""
        return self._create(
            group,
            name,
            overwrite,
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            fill_value=fill_value,
            compressor=self.config.compressor,
            dimension_separator="/",
            zarr_format=2,
        )

    def open_array(self, group: Any, name: str) -> Array:
        """Open an array in a group. NotFoundError, which is a KeyError, if there is none."""
        store, path = self._place(group, name)
        node = self._opener(group, store)(path)
        if not isinstance(node, Array):
            raise NotFoundError(f"{node!r} is a group, not an array")
        return node

    def _create(self, group: Any, name: str, overwrite: bool, **options: Any) -> Array:
        store, path = self._place(group, name)
        opener = self._opener(group, store)
        if not overwrite:
            opener.check_free(path)
        made = create_array(store, name=path, overwrite=overwrite, device=self._device, **options)
        return Array(store, path, made.metadata, self._device, self._writable, self._options)

    def _place(self, group: Any, name: str) -> tuple[Store, str]:
        """The store of a group of zarr-python, and the path in it of a member of the group."""
        last = self._last
        if last is None or last[0] is not group.store:
            self._last = last = group.store, store_of(group.store)
        return last[1], files.key(group.path, files.clean(name))

    def _opener(self, group: Any, store: Store) -> Opener:
        version = self.get_zarr_format(group)
        writable = None if group.read_only else self._writable
        return Opener(store, self._device, version, False, None, writable, self._options)

    # values

    def read(self, handle: Array, selection: Any) -> np.ndarray:
        """Read a selection into a NumPy array."""
        return _on_host(handle, handle[selection])

    def write(self, handle: Array, selection: Any, data: Any) -> None:
        """Write to a selection."""
        handle[selection] = data

    def read_oindex(self, handle: Array, selection: Any) -> np.ndarray:
        """Read an orthogonal selection into a NumPy array."""
        return _on_host(handle, handle.oindex[selection])

    def write_oindex(self, handle: Array, selection: Any, data: Any) -> None:
        """Write to an orthogonal selection."""
        handle.oindex[selection] = data

    def resize(self, handle: Array, new_shape: tuple[int, ...]) -> None:
        """Change the shape of an array."""
        handle.resize(new_shape)

    # facts

    def get_shape(self, handle: Array) -> tuple[int, ...]:
        """The length of each axis."""
        return handle.shape

    def get_dtype(self, handle: Array) -> np.dtype:
        """The dtype of the elements."""
        return handle.dtype

    def get_chunks(self, handle: Array) -> tuple[int, ...]:
        """The shape of a chunk; if there are shards, of a chunk inside them."""
        return handle.chunks

    def get_shards(self, handle: Array) -> tuple[int, ...] | None:
        """The shape of a shard; None if there are no shards."""
        return handle.shards

    # dask

    def to_dask(self, handle: Array) -> Any:
        """Make a dask array of NumPy arrays, with a block for each chunk."""
        from gpuzarr.integrations.dask.reading import to_dask

        found = to_dask(handle, handle.chunks)
        if not handle.device.gpu:
            return found
        return found.map_blocks(
            handle.device.download, dtype=found.dtype, meta=np.empty((0,) * found.ndim, found.dtype)
        )

    def write_from_dask(self, handle: Array, dask_array: Any) -> None:
        """Write a dask array to all of an array; each task writes whole chunks (shards)."""
        from gpuzarr.integrations.dask.writing import from_dask

        from_dask(dask_array, handle)

    # levels

    def downsample(self, source: Array, target: Array, factors: list[int], method: str = "mean") -> None:
        """Fill the target with the source, reduced. The values are those of iohub's implementation for TensorStore."""
        downsample_into(source, target, (slice(None),) * target.ndim, factors, method)

    def downsample_region(
        self,
        source: Array,
        target: Array,
        target_region: tuple[slice, ...],
        factors: list[int],
        method: str = "mean",
    ) -> None:
        """Fill a region of the target with the source, reduced."""
        downsample_into(source, target, target_region, factors, method)

    def iter_work_regions(self, target: Array) -> list[tuple[slice, ...]]:
        """The regions to be filled in parallel: one for each shard, or for each chunk if there are no shards."""
        steps = target.shards or target.chunks
        spans = [
            [slice(begin, min(begin + step, length)) for begin in range(0, length, step)]
            for length, step in zip(target.shape, steps, strict=True)
        ]
        return list(product(*spans))


def _on_host(array: Array, values: Any) -> np.ndarray:
    return array.device.download(values) if array.device.gpu else np.asarray(values)
