"""The backend that workflows of earth2studio write forecasts to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any

import numpy as np

from gpuzarr.api.saving import create_group
from gpuzarr.checks import flag
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, ValueKindError
from gpuzarr.integrations.earth2studio import coords as systems
from gpuzarr.integrations.earth2studio.chunking import STEPS, Chunking, sizes
from gpuzarr.integrations.earth2studio.coords import System
from gpuzarr.integrations.earth2studio.schema import Schema
from gpuzarr.integrations.earth2studio.writers import Writers
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.keywords import own
from gpuzarr.read.memory import parse_bytes


class ZarrBackend:
    """A Zarr store for forecasts of earth2studio: an `IOBackend` that compresses and writes while the model computes.

    It replaces `ZarrBackend` and `AsyncZarrBackend` of `earth2studio.io`; what it writes opens in both, and in xarray.
    Tensors on a GPU are compressed there, without a copy to host memory first. Unlike with theirs, coordinates may be
    written in any order, and in part along any dimension.

    Parameters
    ----------
    store
        As for `gpuzarr.open`; None (default): memory. What exists there is kept, so a forecast may be continued.
    parallel_coords
        All values of the coordinates along which the model computes step by step, such as {"time": ..., "lead_time":
        ...}: along them, arrays have this length from the beginning, and chunks of 1. Chunks are also of 1 along
        ensemble, time, lead_time and variable if these are not given; their length is that in `add_array`, or in the
        first `write`.
    chunked_coords
        Sizes of chunks along other dimensions; default: the whole length.
    shard_coords
        Sizes of shards (files of many chunks), multiples of the chunk sizes: {"lead_time": 40}. A shard is filled in
        the background, in a file that no reader sees until it is full or `flush` or `close` is called.
    zarr_codecs
        The compression, like `compressors` of `gpuzarr.create_array`; default: zstd. None: no compression.
    blocking
        True (default): `write` returns once values are stored. False: it returns once they are copied; other threads
        store them, and an error is raised by a later call. Arrays with shards are always written like this.
    max_inflight
        Limit of the bytes of copies held at any time (an int, or a text such as "1GiB"); arrays share it equally.
    overwrite
        True: delete what exists at `store`.
    device
        Where values are compressed: "auto" (default: a GPU if there is one), "cpu", "cuda", "cuda:1".
    storage_options
        Options for what a URL names, as for `gpuzarr.open`.

    Attributes
    ----------
    root
        The group, a `gpuzarr.Group`. It lacks what is not flushed yet.

    Raises
    ------
    ArgumentError
        A size is not a positive integer, or a coordinate has a value twice.
    ExistsError
        The store has other values of a coordinate of `parallel_coords`.
    StoreError, DeviceError
        As for `gpuzarr.create_group`.

    Examples
    --------
    >>> import gpuzarr.earth2studio
    >>> coords = {"lead_time": np.arange(4) * np.timedelta64(6, "h"), "lat": np.linspace(90, -90, 181)}
    >>> steps = {"lead_time": coords["lead_time"]}
    >>> with gpuzarr.earth2studio.ZarrBackend("f.zarr", steps, shard_coords={"lead_time": 4}) as io:
    ...     io.add_array(coords, ["t2m", "msl"])
    ...     for i, lead_time in enumerate(coords["lead_time"]):
    ...         step = np.full((1, 181), i, "float32")  # or a PyTorch tensor
    ...         io.write([step, step], coords | {"lead_time": np.array([lead_time])}, ["t2m", "msl"])
    >>> gpuzarr.open("f.zarr/t2m")[:, 0]
    array([0., 1., 2., 3.], dtype=float32)
    """

    def __init__(
        self,
        store: Any = None,
        parallel_coords: Mapping[str, Any] | None = None,
        *,
        chunked_coords: Mapping[str, int] | None = None,
        shard_coords: Mapping[str, int] | None = None,
        zarr_codecs: Any = "auto",
        blocking: bool = True,
        max_inflight: int | str = "1GiB",
        overwrite: bool = False,
        device: str | Device = "auto",
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        self.parallel_coords = systems.cleaned({} if parallel_coords is None else parallel_coords, "parallel_coords")
        alone = frozenset(STEPS) | self.parallel_coords.keys()
        chunking = Chunking(
            alone, sizes(chunked_coords or {}, "chunked_coords"), sizes(shard_coords or {}, "shard_coords")
        )
        self._writers = Writers(parse_bytes(max_inflight, "max_inflight"), flag(blocking, "blocking"))
        for name, values in self.parallel_coords.items():
            if values.ndim != 1:
                raise ArgumentError(f"parallel_coords[{name!r}] has shape {values.shape}, but must have one dimension")
            systems.check_unique(name, values)
        self.root: Group = create_group(
            {} if store is None else store, overwrite=overwrite, device=device, storage_options=storage_options
        )
        self._on_host: Group = create_group(self.root.store, path=self.root.path, device="cpu")
        self._schema = Schema(self.root, self._on_host, self.parallel_coords, chunking, zarr_codecs)

    def __repr__(self) -> str:
        return f"<gpuzarr.earth2studio.ZarrBackend {self.root.store!r}>"

    # facts

    @property
    def store(self) -> Any:
        """The store."""
        return self.root.store

    @property
    def coords(self) -> OrderedDict[str, np.ndarray]:
        """The coordinates in the store, read from it, in the order of the dimensions of the arrays."""
        return systems.stored_coords(self._on_host)

    def __contains__(self, name: str) -> bool:
        return name in self.root

    def __getitem__(self, name: str) -> Array | Group:
        """Open an array of the store, after all is written. NotFoundError (also a KeyError) if there is none."""
        self.flush()
        found = self.root[name]
        return self._on_host[name] if isinstance(found, Array) and systems.is_coordinate(name, found) else found

    def __len__(self) -> int:
        return len(self.root)

    def __iter__(self) -> Iterator[str]:
        return iter(self.root)

    # making

    def add_array(
        self, coords: Mapping[str, Any], array_name: Any, data: Any = None, *, dtype: Any = None, **options: Any
    ) -> None:
        """Make arrays, and arrays of their coordinates. Existing arrays are left as they are.

        Parameters
        ----------
        coords
            The coordinates of each dimension, in order. Of those in `parallel_coords`, some values are enough.
        array_name
            The name of an array, or a list of names.
        data
            Values of each array, unless `write` brings them: a tensor, or a list of them.
        dtype
            The dtype of the arrays; default: that of the data, or float32 without data.
        **options
            Other options of `gpuzarr.create_array`, such as `attributes`, and `fill_value` for elements that are never
            written (default: 0).

        Raises
        ------
        ExistsError
            The store has other coordinates of this name, or an array with other dimensions. It is a ValueError, too.
        ArgumentError, MetadataError
            Coordinates are not in `parallel_coords`, or no such array can be made.

        Examples
        --------
        >>> io = gpuzarr.earth2studio.ZarrBackend()
        >>> io.add_array({"x": np.arange(3)}, "t", np.ones(3), attributes={"units": "K"})
        >>> list(io), io["t"].attrs["units"]
        (['t', 'x'], 'K')
        """
        instead = "the dimensions are those of `coords`"
        own("add_array", options, shape=instead, dimension_names=instead, name="it is `array_name`")
        names = _names(array_name)
        tensors = [None] * len(names) if data is None else _tensors(data, names)
        system = systems.separated(coords)
        for tensor in tensors:
            if tensor is not None:
                _check_shape(tensor, system)
        if options.get("overwrite"):
            self.flush()
            new = names
        else:
            new = self._missing(names, system)
        whole = self._schema.stored(system, complete=True)
        for name, tensor in zip(names, tensors, strict=True):
            if name in new:
                kind = getattr(tensor, "dtype", "float32") if dtype is None else dtype
                array = self._schema.create(name, whole, kind, options)
                if tensor is not None:
                    self._put([array], system, [tensor])

    def _missing(self, names: list[str], system: System) -> list[str]:
        """The arrays that do not exist. ExistsError for one that has other dimensions."""
        missing = [name for name in names if name not in self._schema]
        for name in names:
            if name not in missing:
                self._schema.check_dimensions(name, system.lines)
        return missing

    # writing and reading

    def write(self, x: Any, coords: Mapping[str, Any], array_name: Any) -> None:
        """Write values at these coordinates. Arrays that do not exist are made.

        Parameters
        ----------
        x
            A tensor, or a list of them, on a GPU or in host memory; each has the shape of `coords`.
        coords
            The coordinates of each dimension, in the order of the arrays' dimensions.
        array_name
            The name of an array, or a list of names, one for each tensor.

        Raises
        ------
        ArgumentError
            A coordinate is not in the store, or has a value twice; or there are not as many names as tensors.
        ExistsError
            The array has other dimensions. It is a ValueError, too.
        ValueKindError
            The shape is not that of `coords`, or the array cannot hold the values.
        StoreError
            The store could not be written, perhaps in an earlier call.

        Examples
        --------
        >>> io = gpuzarr.earth2studio.ZarrBackend(parallel_coords={"lead_time": np.arange(3)})
        >>> io.write(np.ones((1, 2)), {"lead_time": np.array([1]), "x": np.arange(2)}, "t")
        >>> io["t"][:, 0]
        array([0., 1., 0.])
        """
        names = _names(array_name)
        tensors = _tensors(x, names)
        system = systems.separated(coords)
        for tensor in tensors:
            _check_shape(tensor, system)
        self._missing(names, system)
        whole = self._schema.stored(system)
        arrays = [self._schema.array(name, whole, tensor.dtype) for name, tensor in zip(names, tensors, strict=True)]
        self._put(arrays, system, tensors)

    def _put(self, arrays: list[Array], system: System, tensors: list[Any]) -> None:
        """Write a tensor to each array."""
        places = self._schema.positions(system)
        try:
            for array, tensor in zip(arrays, tensors, strict=True):
                for there, here in systems.boxes(places):
                    self._writers.put(array, there, tensor[here], len(self._schema.arrays))
        finally:
            self._writers.settle(arrays)

    def read(self, coords: Mapping[str, Any], array_name: str, device: Any = "cpu") -> tuple[Any, Any]:
        """Read values at these coordinates, after all is written.

        Parameters
        ----------
        coords
            The coordinates of each dimension, in order; the values of each may be only some, and in another order.
        array_name
            The name of the array.
        device
            The PyTorch device of the tensor. Values decoded on a GPU stay there if it is the same.

        Returns
        -------
        tuple of torch.Tensor and coords
            The values, and the coordinates that were given.

        Raises
        ------
        NotFoundError
            There is no such array or coordinate. It is a KeyError and a ValueError, too.
        ArgumentError
            A coordinate is not in the store, or has a value twice.

        Examples
        --------
        >>> io = gpuzarr.earth2studio.ZarrBackend()
        >>> io.add_array({"x": np.array([10, 20, 30])}, "t", np.array([1.5, 2.5, 3.5]))
        >>> io.read({"x": np.array([30, 10])}, "t")[0]
        tensor([3.5000, 1.5000], dtype=torch.float64)
        """
        from torch.utils.dlpack import from_dlpack

        self.flush()
        system = systems.separated(coords)
        whole = self._schema.known(system)
        array = self._schema.array(array_name, whole)
        values = array.oindex[tuple(self._schema.positions(system))]
        return from_dlpack(values).to(device), coords

    def flush(self) -> None:
        """Wait until everything is in the store. Raises the first error; what was to follow it is not written.

        Shards that are not full are stored, too; a later write to one must first read what it has.
        """
        self._writers.flush()

    def close(self) -> None:
        """Flush. Call it when a forecast is complete; the end of a `with` block does."""
        self.flush()

    def __enter__(self) -> ZarrBackend:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with nullcontext() if error is None else suppress(Exception):
            self.close()


def _names(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else [str(name) for name in given]


def _tensors(given: Any, names: list[str]) -> list[Any]:
    """The tensors for these names, without their gradients. ArgumentError if there are not as many."""
    tensors = list(given) if isinstance(given, list | tuple) else [given]
    if len(tensors) != len(names):
        raise ArgumentError(f"there are {len(tensors)} tensors for {len(names)} arrays: {', '.join(names)}")
    return [tensor.detach() if hasattr(tensor, "detach") else tensor for tensor in tensors]


def _check_shape(tensor: Any, system: System) -> None:
    lengths = {name: len(values) for name, values in system.lines.items()}
    if tuple(tensor.shape) != tuple(lengths.values()):
        raise ValueKindError(f"values have shape {tuple(tensor.shape)}, but coords have the lengths {lengths}")
