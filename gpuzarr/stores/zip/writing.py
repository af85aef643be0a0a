"""An archive that is written: its members as they are now, whether or not its directory has them already."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gpuzarr.errors import GpuZarrError, StoreError, as_store_error
from gpuzarr.per_process import PerProcess
from gpuzarr.stores.contract import Store
from gpuzarr.stores.hidden import rebased
from gpuzarr.stores.keys import check, start_of
from gpuzarr.stores.parts.table import Places
from gpuzarr.stores.zip import records, renaming
from gpuzarr.stores.zip.archive import ArchiveFile
from gpuzarr.stores.zip.directory import Directory
from gpuzarr.stores.zip.entries import Entry, in_order, with_new
from gpuzarr.stores.zip.names import Folders, add, folders_of, names_in
from gpuzarr.stores.zip.records import DEFLATED, STORED, BadArchive, Member
from gpuzarr.stores.zip.table import places_of

ISAL_LEVEL = 3  # its best, about as small as zlib's level 5


class Writing:
    """The members of an archive that this process writes. See `Table`; what lies somewhere in it stays there.

    `is_deflating`: members are compressed. `allows_zip64`: the archive may become larger than 4 GiB.
    """

    knows_sizes = True

    def __init__(
        self, store: Any, key: str, file: ArchiveFile, before: Directory | None, is_deflating: bool, allows_zip64: bool
    ) -> None:
        self._store, self._key, self._before = store, key, before
        self.file, self.is_deflating, self._allows_zip64 = file, is_deflating, allows_zip64
        self._entries: dict[str, Entry] = {} if before is None else dict(before.rows)
        self._is_incomplete = file.is_new or file.end == 0
        self._moved: dict[str, str] = {}  # by keys of members that were moved, those that their headers name
        self._folders: Folders | None = None
        self._lock = PerProcess(threading.Lock)
        self.comment = b"" if before is None else before.end.comment

    def __repr__(self) -> str:
        return f"{self._key!r} of {self._store!r}"

    def holders(self) -> list[tuple[Store, str]]:
        return [(self._store, self.file.current.rpartition("/")[2])]

    def places(self, keys: Sequence[str]) -> Places:
        found = [self._entries.get(key) for key in keys]
        rows = np.array([-1 if not isinstance(entry, int) else entry for entry in found], np.int64)
        new = {i: entry for i, entry in enumerate(found) if isinstance(entry, Member)}
        places = places_of(self, self._before, keys, rows)
        return with_new(places, new) if new else places

    def names(self, prefix: str) -> list[str]:
        with self._lock.value:
            if self._folders is None:
                self._folders = folders_of(list(self._entries))
            return names_in(self._folders, prefix)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = start_of(prefix)
        for key, entry in list(self._entries.items()):
            if key.startswith(start):
                yield key, entry.size if isinstance(entry, Member) else int(self._sizes[entry])

    @property
    def _sizes(self) -> np.ndarray:
        assert self._before is not None
        return self._before.sizes

    def why_not_to_device(self) -> str | None:
        if self.is_deflating or (self._before is not None and self._before.has_deflated):
            return f"{self!r} has members that are compressed"
        return None

    def add(self, keys: Sequence[str], chunks: Sequence[Any]) -> None:
        """Append members. One with the key of another takes its place."""
        names = [self._name(key) for key in keys]
        made = [self._encoded(chunk) for chunk in chunks]
        heads = [
            records.header_bytes(name, max(len(data), size))
            for name, (data, size, _, _) in zip(names, made, strict=True)
        ]
        total = sum(heads) + sum([len(data) for data, *_ in made])
        now, pieces, members = _dos_time(), list[Any](), list[Member]()
        try:
            self._check_size(self.file.end + total)
            at = begin = self.file.reserve(total)
            for name, head, (data, size, method, crc) in zip(names, heads, made, strict=True):
                member = Member(at, at + head, len(data), size, method, crc, now)
                pieces += records.local_header(name, member), data
                members.append(member)
                at = member.begin + len(data)
            self.file.write(pieces, begin)
        except OSError as error:
            raise self._problem(keys[0], error) from error
        self._note(dict(zip(keys, members, strict=True)))

    def add_file(self, key: str, source: int, nbytes: int, crc: int) -> None:
        """Append a member that is all of another open file, as it is."""
        name = self._name(key)
        head = records.header_bytes(name, nbytes)
        try:
            self._check_size(self.file.end + head + nbytes)
            at = self.file.reserve(head + nbytes)
            member = Member(at, at + head, nbytes, nbytes, STORED, crc, _dos_time())
            self.file.copy(source, nbytes, member.begin)
            self.file.write([records.local_header(name, member)], at)
        except OSError as error:
            raise self._problem(key, error) from error
        self._note({key: member})

    def remove(self, keys: Sequence[str]) -> None:
        """Drop members from the directory; their bytes stay in the file."""
        with self._lock.value:
            for key in keys:
                self._moved.pop(key, None)
                if self._entries.pop(key, None) is not None:
                    self._is_incomplete, self._folders = True, None

    def move(self, keys: Sequence[str], source: str, target: str) -> None:
        """Move members from below a prefix to below another. Their bytes stay where they are."""
        with self._lock.value:
            for key in keys:
                new, named = rebased(key, source, target), self._moved.pop(key, key)
                self._entries[new] = self._entries.pop(key)
                if new != named:
                    self._moved[new] = named
            self._is_incomplete, self._folders = True, None

    def below(self, prefix: str) -> list[str]:
        """The keys at a prefix and below it."""
        start = start_of(prefix)
        return [key for key in list(self._entries) if key.startswith(start) or key == prefix]

    def complete(self) -> None:
        """Write the directory, if something has changed."""
        if not self._is_incomplete or not self.file.is_open:
            return
        try:
            self._rename()
            self.file.complete(self._directory)
        except GpuZarrError:
            raise
        except OSError as error:
            problem = StoreError(f"cannot write the directory of the archive {self!r}: {error.strerror or error}")
            problem.errno = error.errno
            raise problem from error

    def end(self) -> None:
        """Complete the archive, and close it. A forked child only closes it."""
        if not self.file.is_ours:
            return self.file.close()
        try:
            self.complete()
        finally:
            self.file.close()

    def _rename(self) -> None:
        """Have the headers of members that were moved name their keys."""
        for key in list(self._moved):
            if (entry := self._entries.get(key)) is None:
                continue
            if not isinstance(entry, Member):
                assert self._before is not None
                try:
                    entry = renaming.member_of(self.file, self._before, entry, _dos_time())
                except BadArchive as error:
                    raise StoreError(f"cannot move {self._moved[key]!r} of {self!r}: {error}") from error
            self._note({key: renaming.renamed(self.file, entry, key.encode())})

    def _directory(self, begin: int) -> list[bytes]:
        """The directory, at that offset, and the records behind it."""
        with self._lock.value:
            self._is_incomplete = False
            entries = dict(self._entries)
        shift = 0 if self._before is None else self._before.end.shift
        pieces = [self._record(key, entry, shift) for key, entry in in_order(entries)]
        size = sum(map(len, pieces))
        self._check_size(begin + size)
        return [b"".join(pieces), records.end_records(len(pieces), size, begin - shift, self.comment)]

    def _record(self, key: str, entry: Entry, shift: int) -> bytes:
        if not isinstance(entry, Member):
            assert self._before is not None
            return self._before.entry(entry)
        return records.central_header(key.encode(), entry._replace(offset=entry.offset - shift))

    def _encoded(self, chunk: Any) -> tuple[Any, int, int, int]:
        """The bytes to store, those before compression, the method and the checksum."""
        data = memoryview(chunk).cast("B")
        if not self.is_deflating:
            return data, len(data), STORED, _isal().crc32(data)
        stream = _isal().compressobj(ISAL_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return stream.compress(data) + stream.flush(), len(data), DEFLATED, _isal().crc32(data)

    def _name(self, key: str) -> bytes:
        check(self, [key])
        try:
            name = key.encode()
        except UnicodeEncodeError as error:
            raise StoreError(f"{key!r} is not the key of an object of {self!r}: {error}") from error
        if len(name) > records.MAX_NAME_BYTES:
            raise StoreError(f"the key {key[:40]!r}... is too long for {self!r}: {len(name)} bytes")
        return name

    def _note(self, members: dict[str, Member]) -> None:
        with self._lock.value:
            self._is_incomplete = True
            self._entries.update(members)
            for key in members if self._moved else ():
                self._moved.pop(key, None)
            if self._folders is not None:
                for key in members:
                    add(self._folders, key)

    def _check_size(self, end: int) -> None:
        if not self._allows_zip64 and (end >= records.IN_ZIP64 or len(self._entries) >= records.IN_ZIP64_COUNT):
            raise OSError("it would need the zip64 format, and allowZip64 is False")

    def _problem(self, key: str, error: OSError) -> Exception:
        return error if isinstance(error, GpuZarrError) else as_store_error(error, "write", key, self)


def _dos_time() -> int:
    year, month, day, hour, minute, second = time.localtime()[:6]
    return (max(year - 1980, 0) << 9 | month << 5 | day) << 16 | hour << 11 | minute << 5 | second // 2


def _isal() -> Any:
    from isal import isal_zlib

    return isal_zlib
