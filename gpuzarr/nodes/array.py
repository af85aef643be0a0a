"""An array of a store, as users hold it. No algorithm: selections are read by `gpuzarr.read.read`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from math import prod
from typing import Any, Literal

import numpy as np

from gpuzarr.creation import sides
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.select import device as device_of
from gpuzarr.devices.select import holds
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import ReadOnlyError, SelectionError, naming_array
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.layout import Layout, layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.metadata import ArrayMetadata, RectilinearAxis, files
from gpuzarr.nodes import indexers
from gpuzarr.nodes.attributes import Attributes
from gpuzarr.nodes.indexers import Indexer
from gpuzarr.nodes.info import About, about, codecs, in_store
from gpuzarr.nodes.inputs import as_out, as_value
from gpuzarr.nodes.resize import appended, change_shape, regions
from gpuzarr.read import read
from gpuzarr.read.explain import Explanation, explain
from gpuzarr.read.memory import parse_bytes
from gpuzarr.read.report import ReadReport
from gpuzarr.read.strategy import Options
from gpuzarr.stores.contract import Store
from gpuzarr.write.explain import WriteExplanation, explain_write
from gpuzarr.write.open_shards import OpenShards
from gpuzarr.write.report import WriteReport
from gpuzarr.write.strategy import Target, Writable
from gpuzarr.write.write import write
from gpuzarr.write.writer import Writer, open_writer

Where = select.Outer | select.Points
DEFAULT = Options()


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
        writable: Writable | None = None,
        options: Options = DEFAULT,
    ) -> None:
        self.store, self.path, self.metadata, self.writable = store, path, metadata, writable
        self.options = options
        self.last_read: ReadReport | None = None  # by any thread
        self.last_write: WriteReport | None = None
        chosen = device_of(device)
        self.device: Device = chosen if holds(chosen, self.dtype) else CPU

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, (self.store, self.path, self.metadata, self.device, self.writable, self.options)

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
        save = partial(files.change_attributes, self.store, self.path, self.zarr_format)
        return Attributes(self.metadata.attributes, save if self.writable else None)

    def update_attributes(self, new_attributes: dict[str, Any]) -> Array:
        self.attrs.update(new_attributes)
        return self

    @property
    def read_only(self) -> bool:
        return self.writable is None

    @property
    def filters(self) -> tuple[dict[str, Any], ...]:
        """Of the (inner) chunks, as `create_array` takes them; so are `serializer` and `compressors`."""
        return codecs(self.metadata, self.layout)[0]

    @property
    def serializer(self) -> dict[str, Any] | None:
        return codecs(self.metadata, self.layout)[1]

    @property
    def compressors(self) -> tuple[dict[str, Any], ...]:
        return codecs(self.metadata, self.layout)[2]

    @property
    def info(self) -> About:
        """What it is, as text and as a dict; `info_complete` looks also at all that is stored of it."""
        return about(self, stored=False)

    def info_complete(self) -> About:
        return about(self, stored=True)

    def nbytes_stored(self) -> int:
        """Bytes of all that is stored of it, its documents too."""
        return in_store(self.store, self.path)[0]

    @cached_property
    def layout(self) -> Layout:
        return layout(self.metadata, self.path)

    @cached_property
    def locator(self) -> Locator:
        return Locator(self.layout)

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

    @property
    def nchunks_initialized(self) -> int:
        """How many chunks are in the store; of a shard that is there, all."""
        return in_store(self.store, self.path)[1] * prod(self.layout.per_object)

    # reading

    def __getitem__(self, selection: Any) -> Any:
        fields, rest = select.fields(selection)
        return self._get(select.basic(rest, self.shape), fields)

    @property
    def oindex(self) -> Indexer:
        """Orthogonal selection: each axis its own indices. `a.oindex[[1, 5], :, mask]`"""
        return Indexer(self, lambda selection: select.orthogonal(selection, self.shape))

    @property
    def vindex(self) -> Indexer:
        """Pointwise selection: index arrays that broadcast, or a mask. `a.vindex[rows, columns]`"""
        return Indexer(self, lambda selection: select.pointwise(selection, self.shape))

    @property
    def blocks(self) -> Indexer:
        """Selection of whole chunks (shards, if there are some) by their place in the grid. `a.blocks[2, :]`"""
        return Indexer(self, lambda selection: select.blocks(selection, self.metadata.axes))

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

    @naming_array
    def _get(
        self, selection: Where, fields: Any = None, out: Any = None, stream: Any = None, options: Options | None = None
    ) -> Any:
        if fields is not None and out is not None:
            raise SelectionError("fields of a structured array cannot be read into `out`")
        with self.device.on(stream):
            shape = selection.shape
            new = out is None
            result = self.device.array(shape, self.dtype) if new else as_out(out, shape, self.dtype, self.device)
            self._read(selection, result, options or self.options)
        if fields is not None:
            result = result[indexers.known(fields, self.dtype)]
        return result if self.device.gpu or result.shape or out is not None else result[()]

    def _read(self, selection: Where, result: Any, options: Options) -> None:
        trace, begin = Trace(), time.perf_counter()
        try:
            read(self, selection, result, self.device, options, trace)
        finally:
            self.last_read = ReadReport(self.device, trace, result.nbytes, time.perf_counter() - begin)

    def explain(self, selection: Any = ...) -> Explanation:
        """What reading the selection would do: chunks, batches, which codec runs where, and why."""
        return explain(self, select.basic(selection, self.shape), self.device, self.options)

    def explain_write(self, selection: Any = ...) -> WriteExplanation:
        """What writing the selection would do: the same, and what must be read and locked for it."""
        where = select.basic(selection, self.shape)
        return explain_write(self._target, where, self.device, self.options.memory_limit)

    # writing

    def __setitem__(self, selection: Any, value: Any) -> None:
        self.set(selection, value)

    def set(self, selection: Any, value: Any, *, stream: Any = None, memory_limit: int | str | None = None) -> None:
        """Write a selection, as `a[selection] = value` means it.

        `stream`: the CuPy stream that has made the value. `memory_limit`: what a GPU may hold beyond the value, pinned
        and device memory together; default: that of `gpuzarr.open`, else 4 GiB or a quarter of the free device memory.
        """
        fields, rest = select.fields(selection)
        options = self.options if memory_limit is None else self.options.changed(memory_limit=memory_limit)
        with self.device.on(stream):
            self._put(select.basic(rest, self.shape), value, options.memory_limit, fields)

    def writer(self, max_inflight: str | int = "1GiB") -> Writer:
        """`with a.writer() as w: w[region] = batch`: writes while the caller computes the next batch.

        The values are copied at once, so their memory may be used again; what is stored in the end is what writing
        them in the order of the calls would store. Regions that cover a chunk in part wait for their neighbours, to be
        written together when it is full, when a quarter of `max_inflight` waits, or by `w.flush()` and at the end.
        Shards stay open, encoded in files that nobody sees, until all their chunks have come, or as long: only then is
        everything in the store. No more than `max_inflight` bytes of copies are held at any time (a larger value is not
        copied: the call returns when it is written), and the write at work holds no more than that beside, or
        `memory_limit`. An error is raised by the next call, or at the end; nothing is written after it.
        """
        most = parse_bytes(max_inflight, "max_inflight")
        limit = most if self.options.memory_limit is None else min(most, self.options.memory_limit)
        return open_writer(lambda: self._target, self._accept, partial(self._write, limit=limit), most, self.device)

    def _put(self, selection: Where, value: Any, limit: int | None, fields: Any = None) -> None:
        if fields is not None:
            value = indexers.with_fields(fields, np.asarray(self._get(selection)), value)
        self._write(selection, as_value(value, self.dtype, selection.shape, self._device_to_write()), limit)

    def _accept(self, selection: Any, value: Any) -> tuple[Where, Any]:
        where = select.basic(selection, self.shape)
        return where, as_value(value, self.dtype, where.shape, self._device_to_write())

    @naming_array
    def _write(self, selection: Where, value: Any, limit: int | None, opened: OpenShards | None = None) -> None:
        trace, begin = Trace(), time.perf_counter()
        try:
            write(self._target, selection, value, self.device, limit, trace, opened)
        finally:
            self.locator.indexes.forget()
            nbytes = prod(selection.shape) * self.dtype.itemsize
            self.last_write = WriteReport(self.device, trace, nbytes, time.perf_counter() - begin)

    @property
    def _target(self) -> Target:
        how = self.writable or Writable()
        return Target(self.store, self.path, self.layout, how.safe, how.write_empty_chunks)

    def _device_to_write(self) -> Device:
        if self.writable is None:
            raise ReadOnlyError(f"{self!r} was opened for reading; open it with mode 'r+' or 'a'")
        return self.device

    def resize(self, shape: int | Iterable[int]) -> None:
        """Change the shape. Chunks (shards) that lie outside of it then are deleted; new ones are the fill value."""
        self._device_to_write()
        self._renew(change_shape(self.store, self.path, self.metadata, lambda old: sides("shape", shape)))

    def append(self, data: Any, axis: int = 0) -> tuple[int, ...]:
        """Make the array longer along `axis` by `data`, and write that there. The new shape.

        Two processes that append at the same time both get a place.
        """
        self._device_to_write()
        data = data if hasattr(data, "shape") else np.asarray(data, self.dtype)
        grow, place = appended(self.shape, tuple(data.shape), axis)
        self._renew(change_shape(self.store, self.path, self.metadata, grow))
        self[place(self.shape)] = data
        return self.shape

    def _renew(self, metadata: ArrayMetadata) -> None:
        self.metadata = metadata
        for name in ("layout", "locator", "chunks", "shards"):
            self.__dict__.pop(name, None)

    def shard_slices(self, rank: int, world_size: int) -> list[tuple[slice, ...]]:
        """The regions that worker `rank` of `world_size` writes, so that no two share a chunk or a shard.

        Each is a run of whole shards (chunks, where there are none) of the last axis; together they are the array.
        """
        return regions(self.layout, self.shape, rank, world_size)

    # as others know arrays

    get_basic_selection, set_basic_selection = indexers.BASIC
    get_orthogonal_selection, set_orthogonal_selection = indexers.ORTHOGONAL
    get_coordinate_selection, set_coordinate_selection = indexers.POINTS
    get_mask_selection, set_mask_selection = indexers.POINTS
    get_block_selection, set_block_selection = indexers.BLOCKS

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over an array without axes")
        return indexers.rows(self)

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
