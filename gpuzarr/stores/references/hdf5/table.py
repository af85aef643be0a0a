"""A file of HDF5 as a table of parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.errors import ChangedError, GpuZarrError, StoreError
from gpuzarr.stores import manifests
from gpuzarr.stores.contract import Store
from gpuzarr.stores.parts import INLINE, Places
from gpuzarr.stores.places import hashable
from gpuzarr.stores.references.hdf5.chunks import Where, locate, read_by_library, wrong
from gpuzarr.stores.references.hdf5.documents import Documents, Placed
from gpuzarr.stores.references.hdf5.walk import Forbidden
from gpuzarr.stores.references.known import once, version_of
from gpuzarr.stores.references.made import Made
from gpuzarr.stores.references.reach import Holders, Reach
from gpuzarr.stores.references.streams import Stream
from gpuzarr.stores.references.table import children, nowhere

MAX_LISTED = 10_000  # chunks, whose sizes are told together
H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


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
        self._is_outdated = False
        self._read()

    def __repr__(self) -> str:
        return f"{self._key!r} of {self._store!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return table_of, (self._store, self._key, self._reach)

    def holders(self) -> list[tuple[Store, str]]:
        return self._files

    def forget(self) -> None:
        """Another file has taken the place of this one: what was read of it means nothing any more."""
        self._is_outdated = True

    def places(self, keys: Sequence[str]) -> Places:
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
                numbers = manifests.numbers(some, f"{path}/".lstrip("/"), ".", array.grid or (1,))
                there = numbers >= 0
                self._place(places, path, np.array(which)[there], numbers[there])
        return places

    def _place(self, places: Places, path: str, which: np.ndarray, numbers: np.ndarray) -> None:
        """Say where chunks of a dataset lie, or read them."""
        if self._is_outdated:
            raise ChangedError(f"{self!r} is another file than the one that was opened: open it again")
        array = self._arrays[path]
        holders, places.offsets[which], places.sizes[which] = self._where(path).find(numbers)
        places.holders[which] = np.where(holders == 0, array.file, holders)
        if (read := np.flatnonzero(holders == INLINE)).size:
            inline: Any = places.inline
            inline.update((int(which[i]), self._made(path, array, int(numbers[i]))) for i in read)

    def _made(self, path: str, array: Placed, number: int) -> Made:
        """A chunk that h5py reads."""
        store, key = self._files[array.file]
        name = hashable(store), key, repr(self._versions[array.file]), path, number
        nbytes = array.how.nbytes if array.how.by_library else None
        return Made(name, nbytes, partial(self._chunk, array, number))

    def _chunk(self, array: Placed, number: int) -> bytes:
        coordinates = [int(each) for each in np.unravel_index(number, array.grid or (1,))]
        with self._opened(array.file) as file:
            return read_by_library(file[array.path], array.how, coordinates[: len(array.grid)])

    def _where(self, path: str) -> Where:
        """Where the chunks of a dataset lie, found when that is first needed."""
        if (where := self._located.get(path)) is None:
            array = self._arrays[path]
            with self._opened(array.file) as file:
                where = self._located[path] = locate(file[array.path], array.how)
        return where

    def names(self, prefix: str) -> list[str]:
        array = self._arrays.get(prefix)
        chunks = [] if array is None else manifests.names(self._where(prefix).numbers(array.grid), array.grid)
        return sorted({*children(self._listed, prefix), *chunks})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = f"{prefix}/" if prefix else ""
        for key in self._listed:
            if key.startswith(start):
                yield key, len(self._documents[key])
        for path, array in self._arrays.items():
            if f"{path}/".startswith(start) or not start:
                where = self._where(path)
                for numbers in np.array_split(found := where.numbers(array.grid), max(1, len(found) // MAX_LISTED)):
                    keys = [f"{path}/{name}".lstrip("/") for name in manifests.names(numbers, array.grid)]
                    yield from zip(keys, self._sizes(keys), strict=True)

    def _sizes(self, keys: Sequence[str]) -> list[int]:
        places = self.places(keys)
        return [len(places.inline[i]) if i in places.inline else size for i, size in enumerate(places.sizes.tolist())]

    def _read(self) -> None:
        """Read what there is in the files, but for the places of chunks."""
        with self._opened(0) as file, ExitStack() as others:
            numbers = {_fileno(file): 0}
            try:
                found = Documents.of(file, partial(self._other, others, numbers))
            except H5PY_ERRORS as error:
                raise wrong("read", repr(self), error) from error
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
            file = others.enter_context(self._opened(number))
        except StoreError:
            return None  # there is none
        numbers[_fileno(file)] = number
        return file

    @contextmanager
    def _opened(self, number: int) -> Iterator[Any]:
        """Context with a file of h5py, in which what h5py raises becomes a StoreError that names the file."""
        h5py = library()
        store, key = self._files[number]
        name = f"{key!r} of {store!r}"
        try:
            file = h5py.File(Stream(store, key), "r")  # by its path, it would be in the way of who opens it otherwise
        except GpuZarrError:
            raise
        except H5PY_ERRORS as error:
            raise wrong("open", name, error) from error
        with file:
            try:
                yield file
            except GpuZarrError:
                raise
            except H5PY_ERRORS as error:
                raise wrong("read", name, error) from error
            if self._versions[number] is not None and version_of(store, key) != self._versions[number]:
                self._is_outdated = True
                raise ChangedError(f"{name} was replaced while it was read: open it again")


def library() -> Any:
    """h5py, and the filters of hdf5plugin where they are installed. StoreError, saying what to install."""
    try:
        import h5py
    except ImportError as error:
        raise StoreError("files of HDF5 and NetCDF4 need h5py: pip install h5py hdf5plugin") from error
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401
    return h5py


def _fileno(thing: Any) -> int:
    number: int = library().h5o.get_info(thing["/"].id).fileno
    return number
