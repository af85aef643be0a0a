"""An array of a store, as users hold it. No algorithm: selections are read by `gpuzarr.read`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np

from gpuzarr import selection as select
from gpuzarr.devices import Device
from gpuzarr.devices.choose import device as device_of
from gpuzarr.devices.choose import fits_gpu
from gpuzarr.devices.host import HOST
from gpuzarr.devices.record import Record
from gpuzarr.errors import DeviceError, SelectionError
from gpuzarr.explain import Explanation, explain
from gpuzarr.layout import Layout, layout
from gpuzarr.locate import Locator
from gpuzarr.metadata import ArrayMetadata, RectilinearAxis
from gpuzarr.plan import Options
from gpuzarr.read import read
from gpuzarr.report import ReadReport
from gpuzarr.stores import Store

DEFAULT = Options()


class Attributes(Mapping[str, Any]):
    """The attributes of an array or a group."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self._attributes = attributes

    def __getitem__(self, name: str) -> Any:
        return self._attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def __repr__(self) -> str:
        return f"Attributes({self._attributes!r})"

    def asdict(self) -> dict[str, Any]:
        return dict(self._attributes)


@dataclass(frozen=True)
class _Indexer:
    """`a.oindex`, `a.vindex`, `a.blocks`: another meaning for what stands between the brackets."""

    array: Array
    normalize: Callable[[Any], select.Outer | select.Points]

    def __getitem__(self, selection: Any) -> Any:
        fields, rest = select.fields(selection)
        return self.array._get(self.normalize(rest), fields)


class Array:
    """A Zarr array. `a[...]` reads: a `cupy.ndarray` where the device is a GPU, else a `numpy.ndarray`.

    Arrays whose dtype CuPy cannot hold (strings, structs, datetimes, the small floats) are read on the
    CPU, whatever the device. An Array holds no data and no open file; it can be pickled, and is safe
    to use from many threads.
    """

    def __init__(
        self,
        store: Store,
        path: str,
        metadata: ArrayMetadata,
        device: str | Device = "auto",
        options: Options = DEFAULT,
    ) -> None:
        self.store, self.path, self.metadata, self.options = store, path, metadata, options
        self.last_read: ReadReport | None = None  # by any thread
        chosen = device_of(device)
        self.device: Device = chosen if fits_gpu(self.dtype) else HOST

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, (self.store, self.path, self.metadata, self.device, self.options)

    def __repr__(self) -> str:
        shards = "" if self.shards is None else f" shards={self.shards}"
        place = f"{self.store!r}" + (f" {self.path!r}" if self.path else "")
        what = f"shape={self.shape} dtype={self.dtype} chunks={self.chunks}{shards}"
        return f"<gpuzarr.Array {place} {what} on {self.device.name}>"

    # what it is

    @property
    def name(self) -> str:
        return "/" + self.path

    @property
    def basename(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.metadata.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of what is read, in native byte order."""
        return self.metadata.data_type.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, decoded; of strings and objects, their pointers."""
        return self.size * self.dtype.itemsize

    @property
    def fill_value(self) -> Any:
        return self.metadata.fill_value

    @property
    def order(self) -> str:
        """How elements follow each other in a stored chunk: "C" or "F". What is read is always in C order."""
        return self.metadata.order

    @property
    def zarr_format(self) -> int:
        return self.metadata.zarr_format

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        return self.metadata.dimension_names

    @property
    def attrs(self) -> Attributes:
        return Attributes(self.metadata.attributes)

    @cached_property
    def layout(self) -> Layout:
        return layout(self.metadata, self.path)

    @cached_property
    def locator(self) -> Locator:
        return Locator(self.layout, self.store)

    @cached_property
    def chunks(self) -> tuple[Any, ...]:
        """The shape of the smallest piece that can be read: of inner chunks, if there are shards.

        Of a rectilinear grid, the sizes along each axis.
        """
        if not self.metadata.regular:
            axes = self.layout.axes
            return tuple(tuple(np.diff(a.edges).tolist()) if isinstance(a, RectilinearAxis) else a.size for a in axes)
        return self.layout.spec.shape

    @cached_property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard; None if there are none."""
        return self.layout.levels[0].spec.shape if self.layout.levels else None

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each axis."""
        return self.layout.grid(len(self.layout.levels))

    @property
    def nchunks(self) -> int:
        return prod(self.cdata_shape)

    # reading

    def __getitem__(self, selection: Any) -> Any:
        fields, rest = select.fields(selection)
        return self._get(select.basic(rest, self.shape), fields)

    @property
    def oindex(self) -> _Indexer:
        """Orthogonal selection: each axis its own indices. `a.oindex[[1, 5], :, mask]`"""
        return _Indexer(self, lambda selection: select.orthogonal(selection, self.shape))

    @property
    def vindex(self) -> _Indexer:
        """Pointwise selection: index arrays that broadcast, or a mask. `a.vindex[rows, columns]`"""
        return _Indexer(self, lambda selection: select.pointwise(selection, self.shape))

    @property
    def blocks(self) -> _Indexer:
        """Selection of whole chunks (shards, if there are some) by their place in the grid. `a.blocks[2, :]`"""
        return _Indexer(self, lambda selection: select.blocks(selection, self.metadata.axes))

    def get(
        self,
        selection: Any = ...,
        *,
        out: Any = None,
        stream: Any = None,
        memory_limit: int | str | None = None,
        validate: Literal["auto", "host"] | None = None,
        io: Literal["auto", "gds", "posix"] | None = None,
    ) -> Any:
        """Read a selection, as `a[selection]` means it.

        `out`: an array of the device, of the selection's shape and this dtype, that is filled and returned.
        `stream`: the CuPy stream that the work is ordered on; default: the current one of the device.
        `memory_limit`, `validate`, `io`: as of `gpuzarr.open`, for this read.
        """
        fields, rest = select.fields(selection)
        options = self.options.changed(memory_limit=memory_limit, validate=validate, io=io)
        return self._get(select.basic(rest, self.shape), fields, out, stream, options)

    def _get(
        self,
        selection: select.Outer | select.Points,
        fields: Any = None,
        out: Any = None,
        stream: Any = None,
        options: Options | None = None,
    ) -> Any:
        if fields is not None and out is not None:
            raise SelectionError("fields of a structured array cannot be read into `out`")
        with self.device.on(stream):
            result = self._result(selection.shape) if out is None else self._checked(out, selection.shape)
            self._read(selection, result, options or self.options)
        if fields is not None:
            result = self._fields(result, fields)
        return result if self.device.gpu or result.shape or out is not None else result[()]

    def _read(self, selection: select.Outer | select.Points, result: Any, options: Options) -> None:
        record, begin = Record(), time.perf_counter()
        try:
            read(self, selection, result, self.device, options, record)
        finally:
            self.last_read = ReadReport(self.device, record, result.nbytes, time.perf_counter() - begin)

    def _result(self, shape: tuple[int, ...]) -> Any:
        return self.device.array(shape, self.dtype)

    def _checked(self, out: Any, shape: tuple[int, ...]) -> Any:
        if not isinstance(out, self.device.xp.ndarray):
            kind = f"{self.device.xp.__name__}.ndarray"
            raise DeviceError(f"`out` must be a {kind} for an array on {self.device.name}, not a {type(out).__name__}")
        if out.shape != shape or out.dtype.newbyteorder("=") != self.dtype:
            found = f"{out.shape} and {out.dtype}"
            raise SelectionError(f"`out` must have shape {shape} and dtype {self.dtype}, not {found}")
        return out

    def _fields(self, result: Any, fields: Any) -> Any:
        known = self.dtype.names or ()
        if unknown := [f for f in ([fields] if isinstance(fields, str) else fields) if f not in known]:
            raise SelectionError(f"no field {unknown[0]!r} in dtype {self.dtype}")
        return result[fields]

    def explain(self, selection: Any = ...) -> Explanation:
        """What reading the selection would do: chunks, waves, which codec runs where, and why."""
        return explain(self, select.basic(selection, self.shape), self.device, self.options)

    # as others know arrays

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over an array without axes")
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a stored array cannot become a NumPy array without a copy")
        result = self[...]
        result = self.device.download(result) if self.device.gpu else np.asarray(result)
        return result if dtype is None else result.astype(dtype, copy=False)

    def __cupy_get_ndarray__(self) -> Any:
        """`cupy.asarray(a)`."""
        result = self[...]
        return result if self.device.gpu else device_of("cuda").upload(np.asarray(result))
