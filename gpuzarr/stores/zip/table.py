"""Where the members of an archive lie: a table of parts of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuzarr.errors import StoreError
from gpuzarr.per_process import PerProcess
from gpuzarr.stores.contract import Store
from gpuzarr.stores.keys import start_of
from gpuzarr.stores.parts.table import Heads, Places
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.versions import versions
from gpuzarr.stores.zip.directory import Directory
from gpuzarr.stores.zip.loading import Loaded, load
from gpuzarr.stores.zip.names import names_in
from gpuzarr.stores.zip.records import DEFLATED, LOCAL_BYTES


class _Kept:
    """The directory that was loaded last, and a lock for loading it."""

    def __init__(self) -> None:
        self.loaded: Loaded | None = None
        self.lock = PerProcess(threading.Lock)


@dataclass(frozen=True)
class ZipTable:
    """The members of the archive at a key of a store. See `Table`.

    Its directory is loaded once. Where the store knows versions without a request, as a folder does, it is loaded again
    when the archive has changed; else when a read finds that it has changed.
    """

    store: Store
    key: str
    kept: _Kept = field(default_factory=_Kept, init=False, repr=False, compare=False)

    knows_sizes = True

    def __repr__(self) -> str:
        return f"{self.key!r} of {self.store!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return ZipTable, (self.store, self.key)

    def holders(self) -> list[tuple[Store, str]]:
        return [(self.store, self.key)]

    def places(self, keys: Sequence[str]) -> Places:
        directory, version, _ = self._loaded()
        known = {} if version is None else {0: version}
        return places_of(self, directory, keys, directory.numbers(keys), known)

    def names(self, prefix: str) -> list[str]:
        return names_in(self.directory().folders, prefix)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        directory, start = self.directory(), start_of(prefix)
        rows = [(key, row) for key, row in directory.rows.items() if key.startswith(start)]
        return zip([key for key, _ in rows], directory.sizes[[row for _, row in rows]].tolist(), strict=True)

    def directory(self) -> Directory:
        """The directory as it is now, as far as is known."""
        return self._loaded().directory

    def forget(self) -> None:
        self.kept.loaded = None

    def why_not_to_device(self) -> str | None:
        if self.directory().has_deflated:
            return f"{self!r} has members that are compressed"
        return None

    def _loaded(self) -> Loaded:
        if (loaded := self.kept.loaded) is not None and self._is_current(loaded):
            return loaded
        with self.kept.lock.value:
            if (loaded := self.kept.loaded) is None or not self._is_current(loaded):
                self.kept.loaded = loaded = load(self.store, self.key)
        return loaded

    def _is_current(self, loaded: Loaded) -> bool:
        if not self.store.has_cheap_lengths or loaded.version is None:
            return loaded.is_settled
        return loaded.is_settled and versions(self.store, [self.key])[0] == loaded.version


def places_of(
    table: object,
    directory: Directory | None,
    keys: Sequence[str],
    rows: np.ndarray,
    known: Mapping[int, Any] | None = None,
) -> Places:
    """Where members lie that are these entries of a directory, -1 for none. StoreError for one that cannot be read.

    `known`: the version of the archive; None where members stay where they are.
    """
    found, ends = rows >= 0, (known or {}, known is None)
    if directory is None or not found.any():
        nothing = np.zeros(len(keys), np.int64)
        return Places(np.full(len(keys), MISSING), nothing, nothing, {}, None, None, None, *ends)
    if not directory.are_all_readable and np.count_nonzero(bad := found & ~directory.is_readable[rows]):
        i = int(bad.argmax())
        raise StoreError(f"cannot read {keys[i]!r} of {table!r}: {directory.problem(int(rows[i]))}")
    offsets, stored, begins = directory.offsets[rows], directory.stored[rows], directory.begins[rows]
    heads = None
    if (unknown := found & (begins < 0)).any():
        least = np.where(begins < 0, directory.least[rows], begins - offsets)
        most = np.where(unknown, directory.most[rows], least)
        heads = Heads(least, most, LOCAL_BYTES, _learner(directory, rows))
    else:
        offsets = begins
    inflated = checksums = None
    if directory.has_deflated and (packed := found & (directory.methods[rows] == DEFLATED)).any():
        inflated, checksums = np.where(packed, directory.sizes[rows], -1), directory.checksums[rows]
    holders = np.where(found, 0, MISSING)
    return Places(holders, offsets, stored, {}, inflated, checksums, heads, *ends)


def _learner(directory: Directory, rows: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def learn(numbers: np.ndarray, heads: np.ndarray) -> np.ndarray:
        return directory.learn(rows[numbers], heads)

    return learn
