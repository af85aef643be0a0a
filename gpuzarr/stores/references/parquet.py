"""References in parquet, as kerchunk and fsspec write them: `.zmetadata`, and files of `record_size` rows.

Row r of `<array>/refs.<i>.parq` is chunk number `i * record_size + r`, in C order, with the columns `path`, `offset`,
`size` and `raw`. Files are read when chunks of theirs are first wanted, and the last ones are kept.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.checks import at, integer, lengths, mapping, required, shown
from gpuzarr.errors import GpuZarrError, MetadataError, StoreError, UnsupportedError
from gpuzarr.per_process import PerProcess
from gpuzarr.stores.contract import Store
from gpuzarr.stores.keys import joined, start_of
from gpuzarr.stores.parts import INLINE, Places, manifests
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.references.document import inline_bytes, load
from gpuzarr.stores.references.reach import Holders, Reach
from gpuzarr.stores.references.table import children, nowhere

MAX_RECORD_ROWS = 1 << 24
MAX_KEPT_ROWS = 1 << 22  # of all files of references that are kept; about 100 MB
MAX_ASKED_RECORDS = 1000  # files of an array that are looked for one by one; of more, those that a listing has
_ARRAY = "/.zarray"
_RECORD = re.compile(r"refs\.(0|[1-9][0-9]{0,17})\.parq")


@dataclass(frozen=True)
class Rows:
    """References of one file, int64 (n,) each: the holders, MISSING and INLINE as in `Places`; `inline` by the row."""

    holders: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    inline: dict[int, bytes]


@dataclass(frozen=True)
class Index:
    """What `.zmetadata` says: documents by their keys, the grid of chunks of each array, rows of a file."""

    documents: dict[str, bytes]
    grids: dict[str, tuple[int, ...]]
    record_size: int


_LOCK = PerProcess(threading.Lock)  # of the numbers of URLs, and the order of files that are kept


class ParquetTable:
    """References in parquet, in a folder of a store. See `Table`."""

    def __init__(self, store: Store, folder: str, reach: Reach, name: str) -> None:
        self._store, self._folder, self._reach, self._name = store, folder, reach, name
        self._index = _read_index(store, self._key(".zmetadata"), name)
        self._numbers: dict[str, int] = {}  # of the URLs seen
        self._urls: list[str] = []
        self._kept: OrderedDict[tuple[str, int], Rows | None] = OrderedDict()  # the last used at the end
        self._holders = Holders(self._urls, reach)

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> tuple[Any, ...]:
        return ParquetTable, (self._store, self._folder, self._reach, self._name)

    def holders(self) -> Holders:
        return self._holders

    def stores(self) -> list[Store]:
        return self._holders.stores()

    def places(self, keys: Sequence[str]) -> Places:
        places = Places(*nowhere(len(keys)), {})
        folders: dict[str, list[int]] = {}
        for i, key in enumerate(keys):
            if (document := self._index.documents.get(key)) is not None:
                places.holders[i], places.inline[i] = INLINE, document  # type: ignore[index]
            else:
                folders.setdefault(key.rpartition("/")[0], []).append(i)
        for folder, which in folders.items():
            if (grid := self._index.grids.get(folder)) is not None:
                numbers = manifests.numbers([keys[i] for i in which], f"{folder}/".lstrip("/"), ".", grid or (1,))
                self._place(places, folder, np.array(which, np.int64), numbers)
        return places

    def _place(self, places: Places, folder: str, which: np.ndarray, numbers: np.ndarray) -> None:
        """Say where chunks of an array lie; number -1 is no chunk."""
        size = self._index.record_size
        for record in np.unique(numbers[numbers >= 0] // size).tolist():
            if (rows := self._rows(folder, record)) is None:
                continue
            of = (numbers >= 0) & (numbers // size == record)
            of[of] = numbers[of] % size < len(rows.holders)
            here, row = which[of], numbers[of] % size
            places.holders[here], places.offsets[here], places.sizes[here] = (
                column[row] for column in (rows.holders, rows.offsets, rows.sizes)
            )
            inline: Any = places.inline
            for i in np.flatnonzero(rows.holders[row] == INLINE):
                inline[int(here[i])] = rows.inline[int(row[i])]

    def _rows(self, folder: str, record: int) -> Rows | None:
        """The references of a file, which is kept; None where there is no such file."""
        with _LOCK.value:
            if (folder, record) in self._kept:
                self._kept.move_to_end((folder, record))
                return self._kept[folder, record]
        rows = self._read(self._key(f"{folder}/refs.{record}.parq"))
        with _LOCK.value:
            self._kept[folder, record] = rows
            while len(self._kept) > max(1, MAX_KEPT_ROWS // self._index.record_size):
                self._kept.popitem(last=False)
        return rows

    def _read(self, key: str) -> Rows | None:
        if (data := self._store.get(key)) is None:
            return None
        with at(f"{key!r} of {self._store!r}"):
            try:
                return self._parsed(_columns(data, self._index.record_size))
            except GpuZarrError:
                raise
            except Exception as error:  # of pyarrow's many classes
                raise MetadataError(f"no parquet file of references: {error}") from error

    def _parsed(self, columns: dict[str, Any]) -> Rows:
        paths, raws = columns["path"], columns["raw"]
        offsets, sizes = columns["offset"], columns["size"]
        numbers = np.array([MISSING, *map(self._number, paths.dictionary.to_pylist())], np.int64)
        holders = numbers[paths.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1]
        if (offsets < 0).any() or (sizes < 0).any() or (offsets > np.iinfo(np.int64).max - sizes).any():
            raise MetadataError("an offset or a size is negative, or too large")
        sizes = np.where((offsets == 0) & (sizes == 0), -1, sizes)
        found = np.flatnonzero(raws.is_valid().to_numpy(zero_copy_only=False)).tolist()
        values = raws.dictionary.to_pylist()
        inline = {row: inline_bytes(values[raws.indices[row].as_py()], f"row {row}") for row in found}
        holders[found] = INLINE
        return Rows(holders, offsets, sizes, inline)

    def _number(self, url: str) -> int:
        with _LOCK.value:
            if (number := self._numbers.get(url)) is None:
                self._urls.append(url)  # first: a child that is forked in between has a URL more, and no wrong number
                number = self._numbers[url] = len(self._urls) - 1
            return number

    def names(self, prefix: str) -> list[str]:
        chunks = [name for name, _ in self._chunks(prefix)] if prefix in self._index.grids else []
        return sorted({*children(self._documents, prefix), *chunks})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = start_of(prefix)
        for key in self._documents:
            if key.startswith(start):
                yield key, len(self._index.documents[key])
        for folder in self._index.grids:
            if f"{folder}/".startswith(start):
                yield from ((joined(folder, name), size) for name, size in self._chunks(folder))

    @cached_property
    def _documents(self) -> list[str]:
        return sorted(self._index.documents)

    def _chunks(self, folder: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of the chunks of an array that are there."""
        grid, size = self._index.grids[folder], self._index.record_size
        for record in self._records(folder, -(-prod(grid) // size)):
            if (rows := self._rows(folder, record)) is None:
                continue
            which = np.flatnonzero(rows.holders != MISSING)
            which = which[which < prod(grid) - record * size]
            for row, name in zip(which.tolist(), manifests.names(which + record * size, grid), strict=True):
                is_inline = rows.holders[row] == INLINE
                yield name, len(rows.inline[row]) if is_inline else int(rows.sizes[row])

    def _records(self, folder: str, count: int) -> Iterable[int]:
        """Numbers of files of references, all below `count`: those that may be there."""
        if count <= MAX_ASKED_RECORDS:
            return range(count)
        found = map(_RECORD.fullmatch, self._store.names(self._key(folder)))
        return [number for number in sorted(int(each[1]) for each in found if each) if number < count]

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name.lstrip('/')}" if self._folder else name.lstrip("/")


def _read_index(store: Store, key: str, name: str) -> Index:
    """Read `.zmetadata`. MetadataError, naming it, where it is wrong."""
    if (data := store.get(key)) is None:
        raise StoreError(f"there are no references at {key!r} of {store!r}")
    found = load(data, name)
    with at(f"{key!r} of {store!r}"):
        documents = mapping(required(found, "metadata"), "metadata")
        record_size = integer(found.get("record_size", 10000), "record_size", 1, MAX_RECORD_ROWS)
        grids = {
            path.removesuffix(".zarray").removesuffix("/"): _grid(mapping(document, path), path)
            for path, document in documents.items()
            if f"/{path}".endswith(_ARRAY)
        }
    whole = {path: inline_bytes(document, path) for path, document in documents.items()}
    return Index({**whole, ".zmetadata": data}, grids, record_size)


def _grid(document: dict[str, Any], path: str) -> tuple[int, ...]:
    """The numbers of chunks along the axes of an array."""
    with at(path):
        shape = lengths(required(document, "shape"), "shape")
        chunks = lengths(required(document, "chunks"), "chunks", len(shape))
        if document.get("dimension_separator", ".") != "." and len(shape) > 1:
            raise UnsupportedError("references in parquet to chunks with dimension_separator '/'")
        return tuple(-(-size // max(chunk, 1)) for size, chunk in zip(shape, chunks, strict=True))


def _columns(data: bytes, record_size: int) -> dict[str, Any]:
    """The columns of a file: `path` and `raw` as dictionary arrays of pyarrow, `offset` and `size` as int64."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise StoreError("references in parquet need pyarrow: pip install pyarrow") from error
    texts = ("path", "raw")
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(texts))
    if file.metadata.num_rows > record_size:
        raise MetadataError(f"{file.metadata.num_rows} rows, more than the record_size {record_size}")
    table = file.read(
        [name for name in (*texts, "offset", "size") if name in file.schema_arrow.names], use_threads=False
    )
    return {name: _column(table, name, name in texts) for name in (*texts, "offset", "size")}


def _column(table: Any, name: str, is_text: bool) -> Any:
    import pyarrow as pa

    if name not in table.column_names:
        empty = pa.nulls(len(table), pa.string() if is_text else pa.int64())
        return empty.dictionary_encode() if is_text else np.zeros(len(table), np.int64)
    column = table.column(name).combine_chunks()
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not is_text:
        return column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):  # of nulls alone
        column = pa.nulls(len(column), pa.string()) if column.null_count == len(column) else None
    if column is None or not pa.types.is_dictionary(column.type):
        if column is None:
            raise MetadataError(f"column {name} has {shown(kind)}, not text")
        column = column.dictionary_encode()
    return column
