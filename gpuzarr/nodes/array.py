"""An array of a store, as users hold it. It has no algorithm: `gpuzarr.read` and `gpuzarr.write` do the work."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from types import GenericAlias
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.select import device as device_of
from gpuzarr.devices.select import holds
from gpuzarr.errors import NotFoundError, ReadOnlyError
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.layout import Layout, layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.metadata import ArrayMetadata, files
from gpuzarr.nodes import ahead, attributes, exports, for_dask, many, reading, refreshing, selections, shares, writing
from gpuzarr.nodes import info as about
from gpuzarr.nodes.attributes import Attributes, attributes_of
from gpuzarr.nodes.config import ArrayConfig, config_of, with_config
from gpuzarr.nodes.indexers import Indexer, Selection
from gpuzarr.nodes.info import About, array_facts, chunks_stored, codecs, only_compressor
from gpuzarr.nodes.misplaced import problem
from gpuzarr.nodes.mistakes import array_lacks, explained
from gpuzarr.nodes.operators import comparable, without_arithmetic
from gpuzarr.nodes.parts import parts
from gpuzarr.nodes.sizes import chunk_counts, chunk_shape, read_sizes, shard_shape, write_sizes
from gpuzarr.read.cache import ChunkCache
from gpuzarr.read.report import ReadReport
from gpuzarr.read.strategy import Options
from gpuzarr.stores.contract import Store
from gpuzarr.stores.path import StorePath

if TYPE_CHECKING:
    from gpuzarr.write.report import WriteReport
    from gpuzarr.write.target import Writable

DEFAULT = Options()


@explained(array_lacks)
@without_arithmetic
@comparable
class Array:
    """A Zarr array. `a[...]` reads values and `a[...] = values` writes them.

    Arrays come from `gpuzarr.open`, `gpuzarr.create_array` and from groups. Values are a `cupy.ndarray` if the
    device is a GPU, else a `numpy.ndarray`. Arrays of a dtype that CuPy does not have (strings, structs, dates, small
    floats) are read on the CPU, whatever the device. An Array holds neither data nor open files: it can be pickled, and
    used by many threads at once.

    Attributes
    ----------
    store, path
        The store, and the path of the array in it.
    metadata
        The parsed metadata document.
    device
        Where values are decoded and returned; `device.name` is "cpu", "cuda:0", ...
    last_read, last_write
        A report on the latest read (write) by any thread, or None: as text by `print`, as a dict by `asdict()`.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12, dtype="int16").reshape(3, 4), chunks=(2, 2))
    >>> a.shape, a.dtype, a.chunks, a.nchunks, a.nbytes
    ((3, 4), dtype('int16'), (2, 2), 4, 24)
    >>> a[1:, ::2]
    array([[ 4,  6],
           [ 8, 10]], dtype=int16)
    >>> a[0] = -1
    >>> np.asarray(a).sum()
    np.int64(56)
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
        self.options, self.has_looked = options, False  # for chunks under other keys
        self.last_read: ReadReport | None = None
        self.last_write: WriteReport | None = None
        chosen = device_of(device)
        self.device: Device = chosen if holds(chosen, self.dtype) else CPU

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, parts(self)

    def __repr__(self) -> str:
        place = f"{self.store!r} {self.path!r}" if self.path else repr(self.store)
        chunks = f"chunks={self.chunks}" + ("" if self.shards is None else f" shards={self.shards}")
        return f"<gpuzarr.Array {place} shape={self.shape} dtype={self.dtype} {chunks} on {self.device.name}>"

    @classmethod
    def open(cls, store: Any, *, config: Any = None, storage_options: Any = None) -> Array:
        """Open the array at the root of a store, or at a `store_path`, for reading and writing.

        Examples
        --------
        >>> gpuzarr.Array.open(gpuzarr.zeros(3).store).shape
        (3,)
        """
        from gpuzarr.nodes.opener import opened
        from gpuzarr.stores.finding.resolve import wanted_format

        node = opened(store, wanted_format(store, None), config, storage_options)
        if not isinstance(node, cls):
            raise NotFoundError(f"{node!r} is a group, not an array")
        return node

    @classmethod
    def from_dict(cls, store_path: StorePath, data: dict[str, Any]) -> Array:
        """An array at a place in a store, as a document describes it. Nothing is read or written.

        Examples
        --------
        >>> a = gpuzarr.array([1, 2, 3])
        >>> gpuzarr.Array.from_dict(a.store_path, a.metadata.to_dict())[1]
        np.int64(2)
        """
        from gpuzarr.nodes.hierarchy import described

        return described(cls, store_path, data)

    # facts

    @property
    def name(self) -> str:
        """The path of the array with a leading slash."""
        return "/" + self.path

    @property
    def basename(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis. Setting it is `resize`."""
        return self.metadata.shape

    @shape.setter
    def shape(self, new_shape: Any) -> None:
        self.resize(new_shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of values that are read, in native byte order."""
        return self.metadata.data_type.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, decoded; for strings and objects, bytes of the pointers to them."""
        return self.size * self.dtype.itemsize

    @property
    def fill_value(self) -> Any:
        """The value of elements that were never written.

        None where the document of Zarr v2 says `null`: no value is defined, and the default of the dtype is read.
        """
        return self.metadata.fill_value if self.metadata.is_filled else None

    @property
    def order(self) -> str:
        """The order of elements in a stored chunk, "C" or "F". Values that are read always have C order."""
        return self.metadata.order

    @property
    def zarr_format(self) -> int:
        """The version of Zarr, 2 or 3."""
        return self.metadata.zarr_format

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """The name of each axis (None for an axis without one); None if no axis has a name."""
        return self.metadata.dimension_names

    @property
    def read_only(self) -> bool:
        """True if the array was opened for reading only."""
        return self.writable is None

    @cached_property
    def chunks(self) -> tuple[Any, ...]:
        """The shape of a chunk, the smallest part that is decoded. (If there are shards: of a chunk inside them.)

        For a rectilinear grid, an axis whose chunks differ has a tuple of their lengths.
        """
        return chunk_shape(self.metadata)

    @cached_property
    def shards(self) -> tuple[Any, ...] | None:
        """The shape of a shard; None if the array has no shards."""
        return shard_shape(self.metadata)

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each axis."""
        return chunk_counts(self.metadata)

    @property
    def nchunks(self) -> int:
        """The number of chunks."""
        return prod(self.cdata_shape)

    @property
    def nchunks_initialized(self) -> int:
        """The number of chunks in the store; a stored shard counts with all of its chunks. Lists the store."""
        return chunks_stored(self.metadata, self.store, self.path, self.layout)

    @property
    def filters(self) -> tuple[Any, ...]:
        """The codecs before the serializer: classes of `gpuzarr.codecs`; in Zarr v2, of numcodecs."""
        return codecs(self.metadata)[0]

    @property
    def serializer(self) -> Any:
        """The codec that turns elements into bytes, such as `gpuzarr.codecs.BytesCodec`; None in Zarr v2."""
        return codecs(self.metadata)[1]

    @property
    def compressors(self) -> tuple[Any, ...]:
        """The codecs after the serializer: classes of `gpuzarr.codecs`; in Zarr v2, of numcodecs."""
        return codecs(self.metadata)[2]

    @property
    def compressor(self) -> Any:
        """The compressor of an array of Zarr v2, or None; deprecated: `compressors` has it in both versions."""
        return only_compressor(self.metadata, self.compressors)

    @property
    def read_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of the chunks along each axis, as `dask` has them; of shards, those of the chunks inside."""
        return read_sizes(self.metadata)

    @property
    def write_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of the chunks along each axis, or of the shards if there are any."""
        return write_sizes(self.metadata)

    @property
    def config(self) -> ArrayConfig:
        """Configuration of reading and writing, as `create_array` and `open` take it."""
        return config_of(self.writable)

    with_config = with_config

    @property
    def store_path(self) -> StorePath:
        """The store and the path of the array in it."""
        return StorePath(self.store, self.path)

    @property
    def layout(self) -> Layout:
        """The chunk grid, the codecs and the shards, as `gpuzarr.read` and `gpuzarr.write` use them."""
        return self.locator.layout

    @cached_property
    def locator(self) -> Locator:
        """The object that finds chunks in the store; it remembers indexes of shards."""
        return Locator(layout(self.metadata, self.path))

    @property
    def cache(self) -> ChunkCache | None:
        """The cache in which decoded chunks stay for later reads; None if there is none."""
        return self.options.cache

    @property
    def info(self) -> About:
        """Facts about the array: as text by `print`, as a dict by `asdict()`."""
        access = {"Read-only": self.read_only, "Store": self.store, "Device": self.device.name}
        return About(array_facts(self.metadata, access | {"Problem": problem(self)}))

    info_complete, nbytes_stored, _repr_html_ = about.info_complete, about.nbytes_stored, about.as_html

    @property
    def attrs(self) -> Attributes:
        """The attributes, a mutable mapping; each change is stored at once."""
        return attributes_of(self)

    @attrs.setter
    def attrs(self, new_attributes: dict[str, Any]) -> None:
        self.attrs.put(new_attributes)

    update_attributes, refresh = attributes.update_attributes, refreshing.refresh_array

    # reading

    get, explain, read_elements = reading.get, reading.explain, reading.read_elements
    get_many, reader = many.get_many, ahead.reader
    __len__, __iter__ = reading.length, reading.iterate
    __array__, __cupy_get_ndarray__ = exports.as_numpy, exports.as_cupy
    __dlpack__, __dlpack_device__ = exports.as_dlpack, exports.dlpack_device

    def __getitem__(self, selection: Any) -> Any:
        fields, rest = select.fields(selection)
        return self.read_elements(select.basic(rest, self.shape), fields)

    @property
    def oindex(self) -> Indexer:
        """Orthogonal selection: each axis has its own indices. Reads and writes: `a.oindex[rows, columns] = value`.

        Examples
        --------
        >>> gpuzarr.array(np.arange(12).reshape(3, 4)).oindex[[0, 2], [1, 3]]
        array([[ 1,  3],
               [ 9, 11]])
        """
        return self._indexer(lambda selection: select.orthogonal(selection, self.shape))

    @property
    def vindex(self) -> Indexer:
        """Selection of single elements: by index arrays that broadcast together, or by a mask. Reads and writes.

        Examples
        --------
        >>> gpuzarr.array(np.arange(12).reshape(3, 4)).vindex[[0, 2], [1, 3]]
        array([ 1, 11])
        """
        return self._indexer(lambda selection: select.pointwise(selection, self.shape))

    @property
    def blocks(self) -> Indexer:
        """Selection of whole chunks (shards, if there are any) by their place in the grid. Reads and writes.

        Examples
        --------
        >>> gpuzarr.array(np.arange(5), chunks=2).blocks[1]
        array([2, 3])
        """
        return self._indexer(lambda selection: select.blocks(selection, self.metadata.axes))

    @property
    def basic(self) -> Indexer:
        """Selection as by the array's own brackets."""
        return self._indexer(lambda selection: select.basic(selection, self.shape))

    def _indexer(self, normalize: Callable[[Any], Selection]) -> Indexer:
        return Indexer(normalize, self.read_elements, self.write_elements)

    __class__, __dask_tokenize__ = property(for_dask.seen_class), for_dask.token
    __class_getitem__: Any = classmethod(GenericAlias)  # annotations of zarr-python: `Array[Any]`

    # writing

    set, writer, explain_write = writing.set, writing.writer, writing.explain_write
    write_elements, write_values = writing.write_elements, writing.write_values
    resize, append = writing.resize, writing.append
    shard_slices, missing_shards = shares.shard_slices, shares.missing_shards

    def __setitem__(self, selection: Any, value: Any) -> None:
        self.basic[selection] = value

    def check_writable(self) -> None:
        """ReadOnlyError if the array was opened for reading only."""
        if self.writable is None:
            advice = files.how_to_write(self.store, self.path, self.metadata.why_read_only)
            raise ReadOnlyError(f"{self!r} was opened for reading; {advice}")

    def renew(self, metadata: ArrayMetadata) -> None:
        """Use other metadata, as after a change of shape."""
        self.locator = Locator(layout(metadata, self.path))  # first: another thread looks at the shape, and then there
        self.metadata = metadata
        for name in ("chunks", "shards"):
            self.__dict__.pop(name, None)
        self.has_looked = False
        if not holds(self.device, self.dtype):
            self.device = CPU

    # zarr-python's names of selections

    get_basic_selection, set_basic_selection = selections.get_basic_selection, selections.set_basic_selection
    get_orthogonal_selection = selections.get_orthogonal_selection
    set_orthogonal_selection = selections.set_orthogonal_selection
    get_coordinate_selection = selections.get_coordinate_selection
    set_coordinate_selection = selections.set_coordinate_selection
    get_mask_selection, set_mask_selection = selections.get_mask_selection, selections.set_mask_selection
    get_block_selection, set_block_selection = selections.get_block_selection, selections.set_block_selection
