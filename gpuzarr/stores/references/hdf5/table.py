"""A file of HDF5 as a table of parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import ChangedError, GpuZarrError, StoreError
from gpuzarr.stores.contract import Store, concurrency
from gpuzarr.stores.keys import joined, start_of
from gpuzarr.stores.parts import INLINE, Places, manifests
from gpuzarr.stores.references.hdf5.chunks import Where, locate, locate_few, read_by_library
from gpuzarr.stores.references.hdf5.documents import Documents, Placed
from gpuzarr.stores.references.hdf5.opening import Reading, library, opened
from gpuzarr.stores.references.hdf5.walk import Forbidden
from gpuzarr.stores.references.known import once, version_of
from gpuzarr.stores.references.made import Made, Recent
from gpuzarr.stores.references.reach import Holders, Reach
from gpuzarr.stores.references.streams import Blocks
from gpuzarr.stores.references.table import children, nowhere

MANY_CHUNKS, MAX_LOOKED = 1000, 16  # of so many, so many are looked for one by one, until all are looked at
MAX_LISTED = 10_000  # chunks, whose sizes are told together


def table_of(store: Store, key: str, reach: Reach) -> Hdf5Table:
    """The table of the file at `key`, read once for each version of it. StoreError where it cannot be read."""
    return once("HDF5", store, key, reach, partial(Hdf5Table, store, key, reach))


class Hdf5Table:
    """Groups and datasets of a file, and of those that links in it name and `reach` allows. See `Table`."""

    knows_sizes = True

    def __init__(self, store: Store, key: str, reach: Reach, version: Any) -> None:
        self._store, self._key, self._reach = store, key, reach
        self._files: list[tuple[Store, str]] = [(store, key)]
        self._versions: list[Any] = [version]
        self._located: dict[str, Where] = {}
        self._looked: dict[str, int] = {}  # chunks that were looked for one by one
        self._kept: dict[int, Blocks] = {}
        self._is_outdated = False
        self._read()

    def __repr__(self) -> str:
        return f"{self._key!r} of {self._store!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return table_of, (self._store, self._key, self._reach)

    def holders(self) -> list[tuple[Store, str]]:
        return self._files

    def forget(self) -> None:
        """Look if another file has taken the place of one of these: what was read of it means nothing any more then."""
        self._is_outdated = any(version_of(*self._files[i]) != was for i, was in self._expected.items())

    def places(self, keys: Sequence[str]) -> Places:
        if self._is_outdated:
            raise ChangedError(f"{self!r} is another file than the one that was opened: open it again")
        places = Places(*nowhere(len(keys)), {}, versions=self._expected)
        inline: Any = places.inline
        folders: dict[str, list[int]] = {}
        for i, key in enumerate(keys):
            if (document := self._documents.get(key)) is not None:
                places.holders[i], inline[i] = INLINE, document
            else:
                folders.setdefault(key.rpartition("/")[0], []).append(i)
        for path, which in folders.items():
            if (array := self._arrays.get(path)) is not None:
                some = [keys[i] for i in which]
                numbers = manifests.numbers(some, start_of(path), ".", array.grid or (1,))
                if (there := numbers >= 0).any():  # else it is asked for a document, for which chunks need not be found
                    self._place(places, path, np.array(which)[there], numbers[there])
        return places

    def _place(self, places: Places, path: str, which: np.ndarray, numbers: np.ndarray) -> None:
        """Say where chunks of a dataset lie, or read them."""
        array = self._arrays[path]
        holders, places.offsets[which], places.sizes[which] = self._where(path, numbers).find(numbers)
        places.holders[which] = np.where(holders == 0, array.file, holders)
        if (read := np.flatnonzero(holders == INLINE)).size:
            inline: Any = places.inline
            reading, recent = Reading(*self._files[array.file], self._versions[array.file]), Recent()
            for i in read.tolist():
                number = int(numbers[i])
                make = partial(_chunk, reading, array, number)
                nbytes = array.how.nbytes if array.how.by_library else None
                inline[int(which[i])] = Made(f"{path}/{number}", self._versions[array.file], nbytes, make, recent)

    def _where(self, path: str, wanted: np.ndarray | None = None) -> Where:
        """Where the chunks of a dataset lie, at least those that are wanted; found when that is first needed."""
        if (where := self._located.get(path)) is not None:
            return where
        array = self._arrays[path]
        with opened(self._blocks(array.file)) as file:
            dataset = file[array.path]
            if wanted is not None and dataset.chunks and not array.how.by_library:
                looked = self._looked[path] = self._looked.get(path, 0) + len(wanted)
                if looked <= MAX_LOOKED and prod(array.grid) >= MANY_CHUNKS:
                    return locate_few(dataset, array.how, wanted)
            where = self._located[path] = locate(dataset, array.how)
        return where

    def names(self, prefix: str) -> list[str]:
        array = self._arrays.get(prefix)
        chunks = [] if array is None else manifests.names(self._where(prefix).numbers(array.grid), array.grid)
        return sorted({*children(self._listed, prefix), *chunks})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = start_of(prefix)
        for key in self._listed:
            if key.startswith(start):
                yield key, len(self._documents[key])
        for path, array in self._arrays.items():
            if f"{path}/".startswith(start) or not start:
                where = self._where(path)
                for numbers in np.array_split(found := where.numbers(array.grid), max(1, len(found) // MAX_LISTED)):
                    keys = [joined(path, name) for name in manifests.names(numbers, array.grid)]
                    yield from zip(keys, self._sizes(keys), strict=True)

    def _sizes(self, keys: Sequence[str]) -> list[int]:
        places = self.places(keys)
        return [len(places.inline[i]) if i in places.inline else size for i, size in enumerate(places.sizes.tolist())]

    def _read(self) -> None:
        """Read what there is in the files, but for the places of chunks."""
        with opened(self._blocks(0)) as file, ExitStack() as others:
            numbers = {_fileno(file): 0}
            found = Documents.of(file, partial(self._other, others, numbers))
        self.refused = found.refused
        self._documents, self._listed = found.files, sorted(found.files.keys() - found.unlisted)
        self._arrays = {path: replace(each, file=numbers[each.file]) for path, each in found.arrays.items()}
        self._expected = {i: version for i, version in enumerate(self._versions) if version is not None}

    def _other(self, others: ExitStack, numbers: dict[int, int], linking: Any, name: str) -> Any:
        """Open the file that a link in another one names. See `walk`."""
        store, key = self._files[numbers[_fileno(linking)]]
        try:
            beside = Reach(store, key.rpartition("/")[0], "", self._reach.allow)
            place = Holders([name], beside)[0]
        except GpuZarrError as error:
            return Forbidden(str(error))
        if place not in self._files:
            self._versions.append(version_of(*place))
            self._files.append(place)
        number = self._files.index(place)
        try:
            file = others.enter_context(opened(self._blocks(number)))
        except StoreError:
            return None  # there is none
        numbers[_fileno(file)] = number
        return file

    def _blocks(self, number: int) -> Blocks:
        """A file, of the version that is known; what was read of one that is far away is kept to read more of it."""
        if number in self._kept:
            return self._kept[number]
        blocks = Blocks(*self._files[number], self._versions[number])
        if concurrency(blocks.store) > 1:
            self._kept[number] = blocks
        return blocks


def _chunk(reading: Reading, array: Placed, number: int) -> bytes:
    """A chunk that h5py reads."""
    coordinates = [int(each) for each in np.unravel_index(number, array.grid or (1,))]
    with reading.file() as file:
        return read_by_library(file[array.path], array.how, coordinates[: len(array.grid)])


def _fileno(thing: Any) -> int:
    number: int = library().h5o.get_info(thing["/"].id).fileno
    return number
