"""Arrays of zarr-python as arrays of this library: the same chunks, found in the same store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.devices.select import holds
from gpuzarr.errors import UnsupportedError
from gpuzarr.metadata import ArrayMetadata, Axis, RectilinearAxis, RegularAxis, files, v2, v3
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.parts import parts
from gpuzarr.stores.contract import Store
from gpuzarr.stores.zarr_python import store_of as own_store_of

LIBRARIES = ("zarr", "numcodecs")  # their codecs do the same as the codecs of the same names here
OWN_STORES = ("LocalStore", "MemoryStore", "ManagedMemoryStore")  # of zarr-python, read by this library itself
NOT_DECODED = ("pickle",)  # codecs that run code, which only zarr-python's own settings allow
WRITE_ORDERS = ("morton", "unordered")  # the default of zarr-python, which few mean; and any, which it is here
MAX_KEPT_ARRAYS = 16


class Arrays:
    """The arrays that a pipeline works with: one for each path, device and event loop, kept from call to call.

    A pipeline is made for one array, but is not told where that is; its chunks have paths.
    """

    def __init__(self, metadata: Any, store: Any) -> None:
        self._metadata, self._store = metadata, store
        self._kept: dict[tuple[str, str, Any], Array] = {}

    @cached_property
    def metadata(self) -> ArrayMetadata:
        """The metadata. GpuZarrError, which says why, if this library cannot work with such arrays."""
        return metadata_of(self._metadata)

    @cached_property
    def _parts(self) -> int:
        """How many parts, between slashes, the key of a chunk has after the path of its array."""
        return self.metadata.encode_chunk_key((0,) * len(self.metadata.shape)).count("/") + 1

    def at(self, key: str, values: Any, loop: Any) -> Array:
        """The array whose chunk has a key. GpuZarrError as for `metadata`.

        `values`: an array in the memory of the device to use. `loop`: the event loop of the caller.
        """
        path, device = "/".join(key.split("/")[: -self._parts]), device_of_array(values)
        place = getattr(self._store, "root", None) if is_own(self._store) else loop  # a LocalStore may be moved
        name = path, device.name, place
        if (found := self._kept.get(name)) is None:
            if len(self._kept) >= MAX_KEPT_ARRAYS:
                self._kept.clear()
            found = self._kept[name] = array_of(self.metadata, self._store, path, device, loop)
        return found


def device_of_array(values: Any) -> Device:
    """The device in whose memory an array of NumPy or CuPy lies. DeviceError where it cannot be used."""
    return device_of("cpu" if isinstance(values, np.ndarray) else f"cuda:{values.device.id}")


def metadata_of(given: Any) -> ArrayMetadata:
    """The metadata of an array of zarr-python, in the form of this library. GpuZarrError says why it has none."""
    for codec in codecs_of(given):
        kind = type(codec)
        if kind.__module__.partition(".")[0] not in LIBRARIES:
            raise UnsupportedError(f"the codec {kind.__module__}.{kind.__qualname__} is not one of zarr-python's own")
        if getattr(codec, "subchunk_write_order", "morton") not in WRITE_ORDERS:
            raise UnsupportedError(f"chunks in shards are to be written in the order {codec.subchunk_write_order!r}")
        if getattr(codec, "codec_id", "") in NOT_DECODED:
            raise UnsupportedError(f"the codec {codec.codec_id!r} is left to zarr-python")
    document = files.plain(given.to_dict())
    attributes = document.pop("attributes", None) or {}
    where = "metadata of zarr-python"
    is_v3 = document["zarr_format"] == 3
    found = v3.parse_array(document, where) if is_v3 else v2.parse_array(document, attributes, where)
    theirs = given.dtype.to_native_dtype()
    if native(theirs) != found.data_type.dtype:
        raise UnsupportedError(f"the data type {given.dtype!r} is {theirs} there, and {found.data_type.dtype} here")
    return found


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The same dtype in the byte order of this machine."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def codecs_of(given: Any) -> Iterator[Any]:
    """Every codec in the metadata of zarr-python, also those inside shards."""
    if given.zarr_format == 2:
        yield from [codec for codec in (*(given.filters or ()), given.compressor) if codec is not None]
        return
    waiting = list(given.codecs)
    while waiting:
        yield (codec := waiting.pop())
        waiting += [*getattr(codec, "codecs", ()), *getattr(codec, "index_codecs", ())]


def is_own(store: Any) -> bool:
    """Whether this library reads the objects of a store of zarr-python itself, without its coroutines."""
    kind = type(store)
    return kind.__module__.partition(".")[0] == "zarr" and kind.__name__ in OWN_STORES


def store_of(store: Any, loop: Any) -> Store:
    """The store of zarr-python as one of this library. `loop`: the event loop that runs its coroutines."""
    if is_own(store):
        return own_store_of(store)
    from gpuzarr.stores.remote.store import RemoteStore
    from gpuzarr.stores.remote.zarr_client import ZarrClient

    return RemoteStore(ZarrClient(store, loop=loop))


def array_of(metadata: ArrayMetadata, store: Any, path: str, device: Device, loop: Any) -> Array:
    """The array at a path of a store of zarr-python. UnsupportedError if the device cannot hold its elements."""
    if not holds(device, metadata.data_type.dtype):
        raise UnsupportedError(f"{device.name} cannot hold elements of {metadata.data_type.dtype}")
    array = Array(store_of(store, loop), path, metadata, device)
    array.layout.check()
    return array


def with_sizes(array: Array, sizes: Sequence[Mapping[int, int]]) -> Array:
    """The same array with chunks of these sizes, for each axis by chunk coordinate; other chunks keep their sizes.

    A grid that is not regular gets other chunks when the array is resized. Elements are counted along the new grid.
    """
    axes: list[Axis] = []
    for axis, found in zip(array.metadata.axes, sizes, strict=True):
        known = [axis.size] * axis.count if isinstance(axis, RegularAxis) else list(axis.sizes)
        every = [found.get(i, known[i] if i < len(known) else 1) for i in range(max(len(known), max(found) + 1))]
        axes.append(RectilinearAxis(sum(every), (0, *accumulate(every))))
    shape = tuple(axis.length for axis in axes)
    metadata = replace(array.metadata, shape=shape, axes=tuple(axes))
    return Array(*parts(array, metadata=metadata))


def with_shape(array: Array, shape: tuple[int, ...]) -> Array:
    """The same array in another shape: zarr-python does not tell a pipeline when an array is resized."""
    axes: tuple[Axis, ...] = tuple(
        replace(axis, length=length) if isinstance(axis, RegularAxis) else axis
        for axis, length in zip(array.metadata.axes, shape, strict=True)
    )
    return Array(*parts(array, metadata=replace(array.metadata, shape=shape, axes=axes)))
