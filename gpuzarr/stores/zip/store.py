"""Store in a zip archive: a file, or an object of another store."""

from __future__ import annotations

import os
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gpuzarr.batch import EncodedBatch
from gpuzarr.checks import flag, one_of, shown
from gpuzarr.errors import ArgumentError, ReadOnlyError, StoreError, StoreKindError, UnsupportedCallError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.documents import unchanged_document
from gpuzarr.stores.guards import Guard
from gpuzarr.stores.hidden import hidden, is_hidden, rebased
from gpuzarr.stores.key_locks import LOCKS, Locked
from gpuzarr.stores.keys import check, check_prefix, is_key
from gpuzarr.stores.local.folders import why_no_path
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.parts.objects import PartObjects
from gpuzarr.stores.parts.store import concurrency, why_not_to_device
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.zip.opening import opened
from gpuzarr.stores.zip.sink import ZipSink
from gpuzarr.stores.zip.table import ZipTable
from gpuzarr.stores.zip.writing import Writing

Mode = Literal["r", "w", "a", "x"]


@dataclass(frozen=True)
class ZipStore:
    """A zip archive (`.zip`, or `.ozx` of OME-Zarr) as a store.

    Members may be stored as they are, or compressed by DEFLATE; those that are stored are read as fast as files. The
    directory of the archive is read once, and again when the file has changed.

    What is written is read at once by this store. Others see it when the archive has its directory: after `close`, at
    the end of a `with` block, after `flush`, or when the store is no longer used. A process that is killed loses what
    it wrote since then; whatever was in the archive before is still there. One process at a time writes an archive.

    An object that is written again takes the place of the old one, whose bytes stay in the file, as do those of what is
    deleted.

    Parameters
    ----------
    root
        The path of the archive.
    mode
        "r": read an archive. "a": read it and append to it; it is made if it is missing. "w": make a new one, which
        takes the place of an old one when it is complete for the first time. "x": make one where there is none.
    read_only
        True: nothing is written. Default: True if `mode` is "r".
    compression
        How members are written: `zipfile.ZIP_STORED` (0) or `zipfile.ZIP_DEFLATED` (8). Chunks are compressed by the
        codecs of their arrays, so it is rarely of use.
    allowZip64
        False: an archive of more than 4 GiB is a StoreError, as older programs cannot read it.

    Examples
    --------
    >>> with gpuzarr.storage.ZipStore("a.zip", mode="w") as store:
    ...     gpuzarr.save(store, np.arange(3))
    >>> gpuzarr.load(gpuzarr.storage.ZipStore("a.zip"))
    array([0, 1, 2])
    """

    root: Any  # a str or an os.PathLike[str]; once the store is made, a pathlib.Path, or the key in `store`
    mode: Mode = field(default="r", kw_only=True, compare=False)
    read_only: bool | None = field(default=None, kw_only=True, compare=False)
    compression: int = field(default=zipfile.ZIP_STORED, kw_only=True, compare=False)
    allowZip64: bool = field(default=True, kw_only=True, compare=False)
    store: Any = field(default=None, kw_only=True)
    _table: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        one_of(self.mode, "mode", "r", "w", "a", "x")
        read_only = self.mode == "r" if self.read_only is None else flag(self.read_only, "read_only")
        if (self.mode == "r" and not read_only) or (self.mode in "wx" and read_only):
            raise ArgumentError(f"mode={self.mode!r} and read_only={read_only} do not go together")
        if self.compression not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArgumentError(f"compression is ZIP_STORED (0) or ZIP_DEFLATED (8), not {shown(self.compression)}")
        root = self.root
        if self.store is None:
            root = os.fspath(root) if isinstance(root, os.PathLike) else root
            if not isinstance(root, str):
                raise StoreKindError(f"an archive is a path (str or pathlib.Path), not {shown(root)}")
            if (why := why_no_path("", root)) is not None:
                raise StoreError(f"there can be no archive {root!r}: {why}")
            root = Path(os.path.abspath(root) if read_only else os.path.realpath(root))  # a link stays one
        self._set("root", root)
        self._set("read_only", read_only)
        self._set("_table", self._opened())

    @classmethod
    def of(cls, store: Store, key: str, mode: Mode = "r", **options: Any) -> ZipStore:
        """The archive that is an object of a store, such as a remote one, of which it is read by ranges.

        Parameters
        ----------
        store
            A store of `gpuzarr/stores/contract.py`: a LocalStore, a RemoteStore, a MappingStore.
        key
            The key of the archive in it.
        mode
            As of the class. Other archives than those in folders are only read.
        options
            Other parameters of the class.

        Examples
        --------
        >>> with gpuzarr.storage.ZipStore("a.zip", mode="w") as store:
        ...     gpuzarr.save(store, np.arange(3))
        >>> around = gpuzarr.storage.MemoryStore({"b/a.zip": open("a.zip", "rb").read()})
        >>> gpuzarr.load(gpuzarr.storage.ZipStore.of(around, "b/a.zip"))
        array([0, 1, 2])
        """
        if isinstance(store, LocalStore):
            return cls(store.path(key), mode=mode, **options)
        return cls(key, mode=mode, store=store, **options)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def _outer(self) -> tuple[Store, str]:
        """The store that has the archive, and its key there."""
        return (LocalStore(self.root.parent), self.root.name) if self.store is None else (self.store, self.root)

    def _opened(self) -> ZipTable | Writing:
        outer, key = self._outer
        if self.read_only:
            return ZipTable(outer, key)
        if self.store is not None:
            raise UnsupportedCallError(
                f"the archive {key!r} of {outer!r} can only be read: write it to a file, and copy it"
            )
        is_deflating = self.compression == zipfile.ZIP_DEFLATED
        writing = opened(outer, key, str(self.root), self.mode, is_deflating, flag(self.allowZip64, "allowZip64"))
        weakref.finalize(self, writing.end)
        return writing

    def __repr__(self) -> str:
        return f"ZipStore({str(self.root)!r})" if self.store is None else f"ZipStore({self.root!r} of {self.store!r})"

    def __str__(self) -> str:
        return f"zip://{self.root}" if self.store is None else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a store that reads the archive, which is completed before."""
        self.flush()
        return _reading, (self.root, self.store)

    @property
    def path(self) -> Any:
        """The path of the archive, as zarr-python calls it."""
        return self.root

    @property
    def comment(self) -> bytes:
        """The comment of the archive."""
        table = self._table
        return table.comment if isinstance(table, Writing) else table.directory().end.comment

    def flush(self) -> None:
        """Complete the archive: write the directory, if something was written since it was.

        Examples
        --------
        >>> store = gpuzarr.storage.ZipStore("a.zip", mode="w")
        >>> gpuzarr.save(store, np.arange(3))
        >>> store.flush()
        >>> gpuzarr.load("a.zip")
        array([0, 1, 2])
        """
        if isinstance(self._table, Writing):
            self._table.complete()

    def close(self) -> None:
        """Complete the archive. Nothing can be written any more; what is in it can still be read."""
        if isinstance(self._table, Writing):
            self._table.end()

    def discard(self) -> None:
        """Close the archive without what was written since it was complete: a new one goes."""
        if isinstance(self._table, Writing):
            self._table.file.close()

    def __enter__(self) -> ZipStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def with_read_only(self, read_only: bool = False) -> ZipStore:
        """The same archive, to which nothing is written if `read_only` is True; else one that is appended to."""
        if flag(read_only, "read_only") == self.read_only:
            return self
        if not read_only:
            return ZipStore(
                self.root, mode="a", compression=self.compression, allowZip64=self.allowZip64, store=self.store
            )
        view = object.__new__(ZipStore)
        view.__dict__.update(self.__dict__, read_only=True, _writer=self)  # which must not end before
        return view

    @property
    def has_cheap_lengths(self) -> bool:
        return True

    @property
    def concurrency(self) -> int:
        """See `Waits`."""
        return concurrency(self._table)

    @property
    def guard(self) -> Guard:
        """See `HasGuard`: one process at a time writes an archive."""
        return "alone"

    def get(self, key: str) -> bytes | None:
        check(self, [key])
        return unchanged_document(self, key)

    def open(self, keys: Sequence[str], threads: int = 1) -> PartObjects:
        return PartObjects(self, self._table, keys, threads)

    def why_not_to_device(self) -> str | None:
        return why_not_to_device(self._table)

    def why_read_only(self, keys: Sequence[str]) -> str | None:
        if self.read_only:
            return "it was opened for reading only: give mode='a' to append to it"
        return None if self._table.file.is_open else "it is closed"

    def why_no_key(self, key: str) -> str | None:
        return None if is_key(key) else f"{key!r} cannot be the name of a member of an archive"

    def names(self, prefix: str) -> list[str]:
        check_prefix(self, prefix)
        return sorted(name for name in self._table.names(prefix) if not hidden(name))

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        check_prefix(self, prefix)
        return (row for row in self._table.objects(prefix) if not hidden(row[0].rpartition("/")[2]))

    def set(self, key: str, data: Any) -> None:
        check(self, [key])
        self._writing(key).add([key], [data])

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        check(self, keys)
        if keys:
            self._writing(keys[0]).add(keys, [encoded.on_host(i) for i in range(len(keys))])

    def create(self, key: str) -> ZipSink:
        check(self, [key])
        return ZipSink(self._writing(key), key)

    def delete(self, keys: Sequence[str]) -> None:
        check(self, keys)
        if keys:
            self._writing(keys[0]).remove(keys)

    def delete_prefix(self, prefix: str) -> None:
        check_prefix(self, prefix)
        writing = self._writing(prefix)
        writing.remove(writing.below(prefix))

    def holds(self, prefix: str) -> bool:
        check_prefix(self, prefix)
        return next((True for key, _ in self._table.objects(prefix) if prefix or not is_hidden(key)), False) or (
            bool(prefix) and self._table.places([prefix]).holders[0] != MISSING
        )

    def move(self, source: str, target: str, order: Callable[[Iterable[str]], list[str]]) -> None:
        """See `Moves`. All in one step."""
        writing = self._writing(source or target)
        keys = order(key for key in writing.below(source) if source or not is_hidden(key))
        for key in keys:
            check(self, [rebased(key, source, target)])
        writing.move(keys, source, target)

    def locked(self, keys: Sequence[str]) -> Locked:
        """Locks between the threads of the process that writes."""
        check(self, keys)
        where = id(self._writing(*keys[:1]))
        return Locked(LOCKS.value.of((where, key) for key in sorted(set(keys))))

    def _writing(self, key: str = "") -> Writing:
        """What is written to. ReadOnlyError, naming the key, if nothing is."""
        if self.read_only:
            raise ReadOnlyError(f"cannot write {key!r} of {self!r}: {self.why_read_only([key])}")
        writing: Writing = self._table
        return writing


def _reading(root: Any, store: Any) -> ZipStore:
    return ZipStore(root, store=store)
