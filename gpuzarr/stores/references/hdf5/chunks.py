"""Where the chunks of a dataset of HDF5 lie, and what h5py reads of those that no codec of Zarr decodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.formats import hdf5_bitshuffle, lz4h5, lzf
from gpuzarr.stores.parts import INLINE
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.references.hdf5.types import Document, Refused, filters_of, packed, type_of, why_unreadable

PIECE_BYTES = 4 << 20  # about so many make a chunk of what HDF5 does not store in chunks
MAX_CHUNK_BYTES = 1 << 30  # of one that h5py reads
_ENCODERS: dict[str, Callable[[Any, Document], bytes]] = {  # of filters that numcodecs has not
    hdf5_bitshuffle.NAME: lambda data, of: hdf5_bitshuffle.encoded(
        data, of["elementsize"], of["block_elements"], of["cname"]
    ),
    lz4h5.NAME: lambda data, of: lz4h5.encoded(data, of["blocksize"]),
    lzf.NAME: lambda data, _: lzf.encoded(data),
}


@dataclass(frozen=True)
class Stored:
    """How a dataset is stored: the shape of its chunks, and the codecs of Zarr v2 that decode them.

    `by_library`: h5py reads and decodes them, and `filters` are what Zarr decodes then. `nbytes`: of a chunk, decoded;
    None where its elements are objects.
    """

    dtype: Any
    chunks: tuple[int, ...]
    filters: list[Document]
    by_library: bool
    nbytes: int | None


@dataclass(frozen=True)
class Pieces:
    """Chunks that lie one behind the other, each of `nbytes` bytes; the first is at `start`, None for none at all."""

    start: int | None
    nbytes: int

    def find(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Holders (0, MISSING or INLINE), offsets and sizes of chunks by their numbers."""
        holders = np.full(len(numbers), MISSING if self.start is None else 0, np.int64)
        return holders, (self.start or 0) + numbers * self.nbytes, np.full(len(numbers), self.nbytes, np.int64)

    def numbers(self, grid: tuple[int, ...]) -> np.ndarray:
        """The numbers of all chunks that are there."""
        return np.arange(0 if self.start is None else prod(grid))


@dataclass(frozen=True)
class Scattered:
    """Chunks anywhere, int64 (n,) each: `order` ascends. `holders` is INLINE for those that h5py has to decode."""

    order: np.ndarray
    holders: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def find(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not len(self.order):
            return np.full(len(numbers), MISSING), np.zeros_like(numbers), np.zeros_like(numbers)
        at = np.minimum(self.order.searchsorted(numbers), len(self.order) - 1)
        there = self.order[at] == numbers
        return np.where(there, self.holders[at], MISSING), self.offsets[at], self.sizes[at]

    def numbers(self, grid: tuple[int, ...]) -> np.ndarray:
        return self.order


@dataclass(frozen=True)
class ByLibrary:
    """Chunks that h5py reads, all of them."""

    def find(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.full(len(numbers), INLINE), np.zeros_like(numbers), np.zeros_like(numbers)

    def numbers(self, grid: tuple[int, ...]) -> np.ndarray:
        return np.arange(prod(grid))


Where = Pieces | Scattered | ByLibrary


def stored(dataset: Any) -> Stored:
    """How a dataset is stored. Refused, saying why, where it cannot be read."""
    from h5py import h5d

    if dataset.shape is None:
        raise Refused("no values at all (a null dataspace)")
    dtype, object_filters, is_as_stored = type_of(dataset)
    layout, itemsize = dataset.id.get_create_plist().get_layout(), dataset.dtype.itemsize
    _check_in_one_file(dataset)
    filters = filters_of(dataset)
    if (reason := why_unreadable(dataset)) is not None and (filters is None or not is_as_stored):
        raise Refused(reason)
    by_library = not is_as_stored or filters is None or layout not in (h5d.CHUNKED, h5d.CONTIGUOUS)
    chunks = dataset.chunks if layout == h5d.CHUNKED else pieces(dataset.shape, itemsize, not by_library)
    if by_library and prod(chunks) * itemsize > MAX_CHUNK_BYTES:
        raise Refused(f"chunks of {prod(chunks) * itemsize} bytes, of which Zarr has no codec")
    nbytes = None if dataset.dtype.hasobject else prod(chunks) * packed(dataset.dtype).itemsize
    return Stored(dtype, chunks, object_filters if by_library else filters or [], by_library, nbytes)


def _check_in_one_file(dataset: Any) -> None:
    """Refused for a dataset whose bytes are in other files, which HDF5 would open whatever they are."""
    from h5py import h5d

    plist = dataset.id.get_create_plist()
    if plist.get_external_count():
        raise Refused("its bytes in other files (external storage)")
    if plist.get_layout() == h5d.VIRTUAL:
        names = {plist.get_virtual_filename(i) for i in range(plist.get_virtual_count())}
        if names - {"."}:
            raise Refused(f"parts in other files ({', '.join(sorted(names - {'.'})[:3])}); open those")


def pieces(shape: tuple[int, ...], itemsize: int, is_exact: bool) -> tuple[int, ...]:
    """The shape of chunks of about PIECE_BYTES for an array that lies in one piece.

    `is_exact`: none of them may reach beyond the array; then, where no such shape is near, the array is one chunk.
    """
    for axis, size in enumerate(shape):
        row = prod(shape[axis + 1 :]) * itemsize
        if row * size <= PIECE_BYTES:
            break
        if row <= PIECE_BYTES:
            want = PIECE_BYTES // row
            least = want // 16 if is_exact else want - 1
            rows = next((n for n in range(want, least, -1) if size % n == 0 or not is_exact), None)
            return shape if rows is None else (*[1] * axis, rows, *shape[axis + 1 :])
    return (*[1] * axis, *shape[axis:]) if shape and 0 not in shape else shape


def locate(dataset: Any, how: Stored) -> Where:
    """Where the chunks of a dataset lie."""
    if how.by_library:
        return ByLibrary()
    if dataset.chunks is None:
        is_written = dataset.id.get_storage_size() > 0  # h5py tells an offset behind a user block of what is not there
        return Pieces(dataset.id.get_offset() if is_written else None, prod(how.chunks) * dataset.dtype.itemsize)
    found: list[Any] = []
    if 0 not in dataset.shape:
        dataset.id.chunk_iter(found.append)
    return _scattered(found, dataset, how)


def locate_few(dataset: Any, how: Stored, numbers: np.ndarray) -> Scattered:
    """Where some chunks lie of a dataset that is stored in chunks, of which there are many."""
    grid = grid_of(dataset.shape, how.chunks)
    found = []
    for place in np.stack(np.unravel_index(numbers, grid), 1) * how.chunks:
        info = dataset.id.get_chunk_info_by_coord(tuple(place.tolist()))
        if info.byte_offset is not None:
            found.append(info)
    return _scattered(found, dataset, how)


def grid_of(shape: Sequence[int], chunks: Sequence[int]) -> tuple[int, ...]:
    """The numbers of chunks along the axes."""
    return tuple(-(-size // max(chunk, 1)) for size, chunk in zip(shape, chunks, strict=True))


def _scattered(found: Sequence[Any], dataset: Any, how: Stored) -> Scattered:
    """Chunks where h5py found them."""
    if not found:
        return Scattered(*np.zeros((4, 0), np.int64))
    offsets, masks, begins, lengths = zip(*found, strict=True)
    places = np.array(offsets, np.int64) // how.chunks
    grid = grid_of(dataset.shape, how.chunks)
    inside = (places < grid).all(1)  # those of an array that was made smaller may lie beyond it
    starts, sizes, is_masked = (np.array(column, np.int64)[inside] for column in (begins, lengths, masks))
    numbers = np.ravel_multi_index(tuple(places[inside].T), grid)
    odd = (is_masked != 0) | _may_be_plain(places[inside], sizes, dataset, how)
    order = numbers.argsort(kind="stable")
    columns = numbers, np.where(odd, INLINE, 0), starts, sizes
    return Scattered(*(column[order] for column in columns))


def _may_be_plain(places: np.ndarray, sizes: np.ndarray, dataset: Any, how: Stored) -> np.ndarray:
    """Which chunks at the ends of axes may be without filters, as HDF5 can leave them: they have as many bytes."""
    if not how.filters:
        return np.zeros(len(places), bool)
    ends = (places + 1) * np.array(how.chunks) > np.array(dataset.shape)
    return ends.any(1) & (sizes == prod(how.chunks) * dataset.dtype.itemsize)


def read_by_library(dataset: Any, how: Stored, coordinates: Sequence[int]) -> bytes:
    """A chunk that h5py reads and decodes, as Zarr's codecs would have encoded it."""
    import numcodecs

    starts = [number * chunk for number, chunk in zip(coordinates, how.chunks, strict=True)]
    ends = [min(start + chunk, size) for start, chunk, size in zip(starts, how.chunks, dataset.shape, strict=True)]
    values = _values(dataset, tuple(slice(*each) for each in zip(starts, ends, strict=True)))
    whole = np.zeros(how.chunks, values.dtype)
    if values.dtype == object:
        empty = _empty(how)
        whole = np.asarray(np.frompyfunc(lambda _: empty, 1, 1)(whole), object)
    whole[tuple(slice(0, size) for size in values.shape)] = values
    data: Any = whole
    for each in how.filters:
        if (encoded := _ENCODERS.get(each["id"])) is not None:
            data = encoded(data, each)
            continue
        codec = numcodecs.get_codec({name: each[name] for name in each if name != "typesize"})
        data = codec.encode(data.reshape(-1) if data is whole and whole.dtype == object else data)
    return data.tobytes() if isinstance(data, np.ndarray) else bytes(data)


def _values(dataset: Any, where: Any) -> np.ndarray:
    import h5py

    text = h5py.check_string_dtype(dataset.dtype)
    source = dataset.asstr() if text is not None and text.length is None else dataset
    values = np.asarray(source[where])
    return values if values.dtype == object else values.astype(packed(values.dtype))


def _empty(how: Stored) -> Any:
    return "" if how.filters[0]["id"] == "vlen-utf8" else np.zeros(0, how.filters[0]["dtype"])
