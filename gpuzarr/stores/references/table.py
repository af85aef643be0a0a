"""References of a document as a table of parts."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.errors import ChangedError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.keys import start_of
from gpuzarr.stores.parts import INLINE, Places
from gpuzarr.stores.parts.manifests import Manifest, names, numbers
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.references.document import Columns, copied, inline_bytes
from gpuzarr.stores.references.known import version_of

MAX_AXES = 64  # of an array, each with a folder
DOCUMENTS = ".zarray", "zarr.json"


@dataclass(frozen=True)
class Chunks:
    """The references to the chunks of an array: keys begin with `start`, and coordinates follow."""

    start: str
    separator: str
    manifest: Manifest

    def keys(self) -> list[str]:
        """The keys of all chunks that are there."""
        manifest = self.manifest
        return [self.start + name for name in names(manifest.numbers, manifest.grid, self.separator)]


class ReferenceTable:
    """References of a document. See `Table`. Those to chunks are columns of numbers, without a key for each.

    Parameters
    ----------
    columns, holders
        The references, and where what their `urls` name is.
    name
        Names the table in messages.
    source
        A function and its arguments, which make the table anew from a pickle; None: it is pickled whole.
    version
        That of the only holder, where the references were made of what it has.
    """

    def __init__(
        self,
        columns: Columns,
        holders: Sequence[tuple[Store, str]],
        name: str,
        source: tuple[Any, ...] | None = None,
        version: Any = None,
    ) -> None:
        self._holders, self._name, self._source = holders, name, source
        self._versions = {} if version is None else {0: version}
        self._is_outdated = False
        self.knows_sizes = not (columns.sizes[columns.holders >= 0] < 0).any()
        self._chunks, others = _by_arrays(columns)
        self._rows = {copied(columns.keys[row]): i for i, row in enumerate(others.tolist())}
        self._columns = tuple(each[others] for each in (columns.holders, columns.offsets, columns.sizes))
        self._inline = {
            i: copied(columns.inline[row]) for i, row in enumerate(others.tolist()) if row in columns.inline
        }
        self._keys = sorted(self._rows)

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> Any:
        return (_unpickled, (vars(self),)) if self._source is None else self._source

    def holders(self) -> Sequence[tuple[Store, str]]:
        return self._holders

    def stores(self) -> list[Store]:
        known = getattr(self._holders, "stores", None)
        return [store for store, _ in self._holders] if known is None else known()

    def forget(self) -> None:
        """Look if another file has taken the place of the one that the references were made of: it has to be opened."""
        self._is_outdated = any(version_of(*self._holders[i]) != was for i, was in self._versions.items())

    def places(self, keys: Sequence[str]) -> Places:
        if self._is_outdated:
            raise ChangedError(f"{self._name} is another file than the one that was opened: open it again")
        places = Places(*nowhere(len(keys)), {}, versions=self._versions)
        columns, inline = (places.holders, places.offsets, places.sizes), dict[int, Any]()
        chunks: dict[str, list[int]] = {}
        for i, key in enumerate(keys):
            if (row := self._rows.get(key)) is None:
                chunks.setdefault(key.rpartition("/")[0], []).append(i)
                continue
            for column, values in zip(columns, self._columns, strict=True):
                column[i] = values[row]
            if row in self._inline:
                inline[i] = inline_bytes(self._inline[row], key)
        for folder, some in chunks.items():
            if (array := self._array_around(folder)) is not None:
                found = array.manifest.places([keys[i] for i in some], array.start, array.separator)
                for column, values in zip(columns, (found.holders, found.offsets, found.sizes), strict=True):
                    column[some] = values
                inline |= {some[i]: data for i, data in found.inline.items()}
        return Places(*columns, inline, versions=self._versions)

    def _array_around(self, folder: str) -> Chunks | None:
        """The array that has chunks in a folder: the folder of itself, or of coordinates below it."""
        return self._chunks.get(array_of(folder, self._chunks))

    def names(self, prefix: str) -> list[str]:
        found = children(self._keys, prefix)
        for array in self._chunks.values():
            if start_of(prefix).startswith(array.start):
                found |= children(sorted(array.keys()), prefix)
            elif array.start.startswith(start_of(prefix)) and len(array.manifest.numbers):
                found |= children([array.start + "0"], prefix)
        return sorted(found)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = start_of(prefix)
        for key in self._keys[slice(*below(self._keys, prefix))]:
            row = self._rows[key]
            is_inline = row in self._inline
            yield key, len(inline_bytes(self._inline[row], key)) if is_inline else int(self._columns[2][row])
        for array in self._chunks.values():
            if array.start.startswith(start) or start.startswith(array.start):
                sizes, inline = array.manifest.sizes.tolist(), array.manifest.inline
                for row, key in enumerate(array.keys()):
                    if key.startswith(start):
                        yield key, len(inline[row]) if row in inline else sizes[row]


def _unpickled(state: dict[str, Any]) -> ReferenceTable:
    table = object.__new__(ReferenceTable)
    vars(table).update(state)
    return table


def nowhere(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Holders, offsets and sizes of n objects that are not there."""
    return np.full(n, MISSING, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)


def below(keys: Sequence[str], prefix: str) -> tuple[int, int]:
    """The range of the keys below a prefix, among sorted ones."""
    if not prefix:
        return 0, len(keys)
    return bisect_left(keys, f"{prefix}/"), bisect_left(keys, f"{prefix}0")  # "0" comes right behind "/"


def children(keys: Sequence[str], prefix: str) -> set[str]:
    """The names directly below a prefix, among sorted keys: those of a folder in one step, whatever it has."""
    at, end = below(keys, prefix)
    skip, found = len(start_of(prefix)), set()
    while at < end:
        name, slash, _ = keys[at][skip:].partition("/")
        found.add(name)
        at = bisect_left(keys, f"{keys[at][:skip]}{name}0", at, end) if slash else at + 1
    return found - {"", ".", ".."}


def array_of(folder: str, starts: Any) -> str:
    """The path, among `starts`, of the array whose chunks may lie in a folder; another text if there is none.

    Coordinates may be folders: those of "a/c/0/1" and of "a/0/1" lie in "a", as "a/c", and "a".
    """
    for _ in range(MAX_AXES):
        around, _, name = folder.rpartition("/")
        if folder in starts or not name.isdigit() or name == folder:
            break
        folder = around
    return folder


def _by_arrays(columns: Columns) -> tuple[dict[str, Chunks], np.ndarray]:
    """The references to chunks of arrays, by the folder that they lie in; and the rows of all others."""
    grids = {}
    for row, key in enumerate(columns.keys):
        if key.endswith(DOCUMENTS) and row in columns.inline and (grid := _grid(columns.inline[row], key)) is not None:
            grids[grid[0].removesuffix("/")] = grid
    others, chunks = np.ones(len(columns.keys), bool), {}
    for path, some in _rows_of_arrays(columns.keys, grids).items():
        chunks[path], taken = _chunks(columns, np.concatenate(some), *grids[path])
        others[taken] = False
    return chunks, np.flatnonzero(others)


def _rows_of_arrays(keys: Sequence[str], grids: Mapping[str, Any]) -> dict[str, list[np.ndarray]]:
    """Runs of rows that may have chunks of each array. Documents name chunks array by array, so runs are long."""
    found: dict[str, list[np.ndarray]] = {}
    at = 0
    while at < len(keys):
        path, end = array_of(keys[at].rpartition("/")[0], grids), at + 1
        if path in grids:
            start = grids[path][0]
            while end < len(keys) and keys[end].startswith(start):
                end += 1
            found.setdefault(path, []).append(np.arange(at, end))
        at = end
    return found


def _chunks(
    columns: Columns, rows: np.ndarray, start: str, separator: str, grid: tuple[int, ...]
) -> tuple[Chunks, np.ndarray]:
    """The references to chunks of an array, of those in some rows; and their rows."""
    order = numbers([columns.keys[row] for row in rows.tolist()], start, separator, grid)
    is_chunk = order >= 0
    rows, order = rows[is_chunk], order[is_chunk]
    by_number = order.argsort(kind="stable")
    rows, order = rows[by_number], order[by_number]
    holders = columns.holders[rows]
    inline = {
        i: inline_bytes(columns.inline[int(rows[i])], columns.keys[int(rows[i])])
        for i in np.flatnonzero(holders == INLINE).tolist()
    }
    manifest = Manifest(grid, order, holders, columns.offsets[rows], columns.sizes[rows], inline)
    return Chunks(start, separator, manifest), rows


def _grid(value: Any, key: str) -> tuple[str, str, tuple[int, ...]] | None:
    """How the keys of an array's chunks begin, their separator, and the grid, by its document; None if none is known.

    What is wrong is found by who opens the array.
    """
    folder, _, name = key.rpartition("/")
    try:
        document = value if isinstance(value, dict) else json.loads(inline_bytes(value, key))
        if name == ".zarray":
            start, separator, chunks = "", document.get("dimension_separator", "."), document["chunks"]
        else:
            encoding = document["chunk_key_encoding"]
            is_default = encoding["name"] == "default"
            separator = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
            start, chunks = (
                f"c{separator}" if is_default else "",
                document["chunk_grid"]["configuration"]["chunk_shape"],
            )
        grid = tuple(-(-size // chunk) for size, chunk in zip(document["shape"], chunks, strict=True))
        is_known = grid and separator in ("/", ".") and all(type(each) is int and each >= 0 for each in grid)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
        return None
    return (f"{folder}/{start}".lstrip("/"), separator, grid) if is_known else None
