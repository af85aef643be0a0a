"""The central directory of an archive, as arrays."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np

from gpuzarr.stores.keys import is_key, only_keys
from gpuzarr.stores.zip import records
from gpuzarr.stores.zip.names import Folders, folders_of
from gpuzarr.stores.zip.records import BadArchive, End

_LENGTHS = struct.Struct("<3H").unpack_from
OVERLAPS, OTHER_SIZE, NO_ROOM, NOT_EMPTY = 1, 2, 3, 4
FAULTS = {
    OVERLAPS: "its bytes overlap those of another member",
    OTHER_SIZE: "it is stored as it is, but in another number of bytes than it has",
    NOT_EMPTY: "it has 0 bytes, and the CRC-32 of more",
    NO_ROOM: "its bytes are said to lie where the directory is, or behind it",
}


@dataclass(frozen=True)
class Directory:
    """The entries of an archive. Of several with the same name, the last counts. Arrays have one element an entry.

    `rows`: the entries of objects, by their keys; names that are no keys are left out. `offsets`: of local headers, in
    the file. Bytes begin `least` to `most` bytes behind; `begins`, int64: where they do in the file, -1 as long as
    nobody has looked. `stored` bytes are `sizes` when they are inflated. `faults`: what is wrong with an entry, or 0.

    `data` and `starts`: the bytes of the directory, and where each entry begins in them.
    """

    end: End
    data: bytes
    starts: np.ndarray
    rows: dict[str, int]
    offsets: np.ndarray
    least: np.ndarray
    most: np.ndarray
    begins: np.ndarray
    stored: np.ndarray
    sizes: np.ndarray
    methods: np.ndarray
    checksums: np.ndarray
    flags: np.ndarray
    faults: np.ndarray

    @classmethod
    def parsed(cls, data: bytes, end: End) -> Directory:
        """Parse the bytes of a directory. BadArchive where they are none."""
        starts = _starts(data, end.entries)
        fixed = np.frombuffer(data, np.uint8)[starts[:-1, None] + np.arange(records.CENTRAL_BYTES)]
        if len(fixed) and (fixed[:, :4] != np.frombuffer(records.CENTRAL, np.uint8)).any():
            raise BadArchive("its directory is damaged: an entry has no signature")
        entries = fixed.view(records.CENTRAL_HEADER)[:, 0]
        sizes, stored, offsets = (entries[name].astype(np.int64) for name in ("size", "stored", "offset"))
        _fill_zip64(data, starts, entries, sizes, stored, offsets)
        if len(offsets) and (min(offsets.min(), sizes.min(), stored.min()) < 0 or max(sizes.max(), stored.max()) >> 62):
            raise BadArchive("its directory is damaged: an entry has an absurd size or offset")
        offsets += end.shift
        least = records.LOCAL_BYTES + entries["name"].astype(np.int64)
        room, faults = _room(offsets, stored, least, end.begin)
        methods = entries["method"].astype(np.int64)
        faults[(faults == 0) & (methods == records.STORED) & (sizes != stored)] = OTHER_SIZE
        faults[(faults == 0) & (sizes == 0) & (entries["crc"] != 0)] = NOT_EMPTY
        return cls(
            *(end, data, starts, _rows(_names(data, starts, entries)), offsets, least),
            *(np.minimum(room, least + records.MAX_NAME_BYTES), np.full(len(offsets), -1), stored, sizes, methods),
            *(entries["crc"].astype(np.int64), entries["flags"].astype(np.int64), faults),
        )

    @cached_property
    def folders(self) -> Folders:
        return folders_of(self.rows)

    def numbers(self, keys: Sequence[str]) -> np.ndarray:
        """The entry of each key, -1 where there is none."""
        row = self.rows.get
        return np.array([row(key, -1) for key in keys], np.int64)

    def problem(self, number: int) -> str | None:
        """Why an object cannot be read; None if it can."""
        if self.faults[number]:
            return FAULTS[int(self.faults[number])]
        if self.flags[number] & records.ENCRYPTED:
            return "it is encrypted"
        if (method := int(self.methods[number])) not in (records.STORED, records.DEFLATED):
            name = records.METHODS.get(method, f"method {method}")
            return f"it is compressed by {name}; members of archives may be stored, or compressed by DEFLATE"
        return None

    @cached_property
    def is_readable(self) -> np.ndarray:
        known = (self.methods == records.STORED) | (self.methods == records.DEFLATED)
        return (self.faults == 0) & known & ((self.flags & records.ENCRYPTED) == 0)

    @cached_property
    def are_all_readable(self) -> bool:
        return bool(self.is_readable.all())

    @cached_property
    def has_deflated(self) -> bool:
        return bool((self.methods == records.DEFLATED).any())

    def learn(self, numbers: np.ndarray, heads: np.ndarray) -> np.ndarray:
        """Note where objects begin, as their local headers say. Returns that, counted from these.

        BadArchive for what is not the header of the entry.
        """
        found = np.ascontiguousarray(heads).view(records.LOCAL_HEADER)[:, 0]
        same = found["signature"] == records.LOCAL
        same &= (found["method"] == self.methods[numbers]) & (found["flags"] & records.ENCRYPTED == 0)
        same &= found["name"] + records.LOCAL_BYTES == self.least[numbers]
        if not same.all():
            raise BadArchive("its local header is damaged, or that of another member")
        begins = self.least[numbers] + found["extra"]
        self.begins[numbers] = self.offsets[numbers] + begins
        return begins

    def entry(self, number: int) -> bytes:
        """The bytes of an entry of the directory."""
        return self.data[self.starts[number] : self.starts[number + 1]]


def _starts(data: bytes, count: int) -> np.ndarray:
    """Where the entries begin, and where the last one ends."""
    starts, at = [0], 0
    try:
        for _ in range(count):
            name, extra, comment = _LENGTHS(data, at + 28)
            at += records.CENTRAL_BYTES + name + extra + comment
            starts.append(at)
    except struct.error:
        at = len(data) + 1
    if at > len(data):
        raise BadArchive("its directory is damaged: it is shorter than its entries")
    return np.array(starts, np.int64)


def _fill_zip64(
    data: bytes, starts: np.ndarray, entries: np.ndarray, sizes: np.ndarray, stored: np.ndarray, offsets: np.ndarray
) -> None:
    """Put numbers that are too large for their fields in their places."""
    columns = sizes, stored, offsets
    for i in np.flatnonzero(np.maximum(np.maximum(sizes, stored), offsets) == records.IN_ZIP64).tolist():
        large = [column for column in columns if column[i] == records.IN_ZIP64]
        at = int(starts[i]) + records.CENTRAL_BYTES + int(entries["name"][i])
        values = records.zip64_values(data[at : at + int(entries["extra"][i])], len(large))
        for column, value in zip(large, values, strict=True):
            column[i] = min(value, 1 << 62)


def _room(offsets: np.ndarray, stored: np.ndarray, least: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Bytes behind the first of each local header at which the member's bytes may begin, at most; and faults.

    They must end where the next header begins.
    """
    order = offsets.argsort(kind="stable")
    ends = np.append(offsets[order[1:]], limit)
    room = np.empty_like(offsets)
    room[order] = ends - offsets[order] - stored[order]
    faults = np.where(room < least, OVERLAPS, 0)
    before = np.flatnonzero(faults[order[:-1]])
    faults[order[before + 1]] = OVERLAPS  # the next one, too, as nobody knows which of the two is right
    faults[offsets + least + stored > limit] = NO_ROOM
    return room, faults


def _names(data: bytes, starts: np.ndarray, entries: np.ndarray) -> list[str]:
    """The names of the entries."""
    text = data.decode("latin-1")
    begins = starts[:-1] + records.CENTRAL_BYTES
    ends = begins + entries["name"]
    names = [text[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    if not text.isascii():
        for i, name in enumerate(names):
            if not name.isascii():
                names[i] = _decoded(data, int(begins[i]), entries[i])
    return names


def _decoded(data: bytes, begin: int, entry: np.void) -> str:
    """A name that has other characters than those of ASCII. What is damaged becomes a name that is no key."""
    name, end = data[begin : begin + int(entry["name"])], begin + int(entry["name"])
    if entry["flags"] & records.UTF8:
        return name.decode("utf-8", "surrogateescape")
    for kind, value in records.extra_fields(data[end : end + int(entry["extra"])]):
        if kind == records.UNICODE_PATH_EXTRA and value[:1] == b"\1" and value[1:5] == struct.pack("<I", crc32(name)):
            return value[5:].decode("utf-8", "surrogateescape")
    return name.decode("cp437")


def _rows(names: Sequence[str]) -> dict[str, int]:
    """The entries of objects by their keys."""
    rows = dict(zip(names, range(len(names)), strict=True))
    if len(only_keys(rows)) < len(rows):
        return {name: row for name, row in rows.items() if is_key(name)}
    return rows
