"""Records of zip archives. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 to 4.5; Info-ZIP's extra fields."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
END64, LOCATOR64 = b"PK\6\6", b"PK\6\7"
LOCAL_BYTES, CENTRAL_BYTES, END_BYTES, END64_BYTES, LOCATOR64_BYTES = 30, 46, 22, 56, 20
MAX_NAME_BYTES = 0xFFFF
IN_ZIP64, IN_ZIP64_COUNT = 0xFFFFFFFF, 0xFFFF  # where a number is too large for its field, and is elsewhere
ZIP64_EXTRA, UNICODE_PATH_EXTRA, PADDING_EXTRA = 0x0001, 0x7075, 0xD935
MIN_PADDING_BYTES = 6
ENCRYPTED, UTF8 = 0x2041, 0x0800  # flags: also of strong encryption, and of masked headers
STORED, DEFLATED = 0, 8
METHODS = {
    1: "shrunk",
    6: "imploded",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    20: "Zstandard (20)",
    93: "Zstandard",
    94: "MP3",
    95: "xz",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
    99: "encrypted by AES",
}
VERSION_NEEDED, VERSION_ZIP64, MADE_BY_UNIX = 20, 45, 3
FILE_ATTRIBUTES = 0o100644 << 16

LOCAL_HEADER = np.dtype(
    {
        "names": ["signature", "flags", "method", "name", "extra"],
        "formats": ["S4", "<u2", "<u2", "<u2", "<u2"],
        "offsets": [0, 6, 8, 26, 28],
        "itemsize": LOCAL_BYTES,
    }
)
CENTRAL_HEADER = np.dtype(
    {
        "names": ["flags", "method", "crc", "stored", "size", "name", "extra", "comment", "disk", "offset"],
        "formats": ["<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "<u2", "<u2", "<u2", "<u4"],
        "offsets": [8, 10, 16, 20, 24, 28, 30, 32, 34, 42],
        "itemsize": CENTRAL_BYTES,
    }
)
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")


class BadArchive(ValueError):
    """Bytes are no zip archive, or a damaged one; the message says why."""


@dataclass(frozen=True)
class End:
    """What the end of an archive says: where the directory begins and ends, counted from the first byte of the file;
    where the archive ends (`last`); the number of its entries; `shift`, bytes that the file has before the archive's
    first byte; the comment."""

    begin: int
    end: int
    last: int
    entries: int
    shift: int
    comment: bytes


class Member(NamedTuple):
    """A member as it is written: `offset` of its header, `begin` of its bytes; `stored` bytes of `size`."""

    offset: int
    begin: int
    stored: int
    size: int
    method: int
    crc: int
    time: int  # and date, as in DOS


def ends_in(data: bytes) -> list[int]:
    """Where end records may begin in these bytes, the last first."""
    found, place = [], len(data)
    while (place := data.rfind(END, 0, place + len(END) - 1)) >= 0:
        if place + END_BYTES <= len(data):
            found.append(place)
    return found


def comment_bytes(data: bytes, place: int) -> int:
    """Bytes of the comment behind the end record at `place`."""
    found: int = struct.unpack_from("<H", data, place + 20)[0]
    return found


def end_at(tail: bytes, at: int, place: int) -> End:
    """The end record at `place` in `tail`, bytes of a file from byte `at`.

    BadArchive for an archive of several files, and for records that do not fit together.
    """
    _, disk, first, here, entries, size, begin, comment = _END.unpack_from(tail, place)
    end, text = at + place, tail[place + END_BYTES :][:comment]
    if (larger := _end64(tail, at, place)) is not None:
        end, disk, first, here, entries, size, begin = larger
    if disk or first or here != entries:
        raise BadArchive("it is a part of an archive of several files")
    shift = end - size - begin
    if shift < 0 or size < entries * CENTRAL_BYTES:
        raise BadArchive(f"its directory of {entries} entries cannot be {size} bytes at offset {begin}")
    return End(end - size, end, at + place + END_BYTES + comment, entries, shift, text)


def _end64(tail: bytes, at: int, place: int) -> tuple[int, ...] | None:
    """Where the zip64 end record begins, and its numbers; None where there is none."""
    locator = place - LOCATOR64_BYTES
    if locator < 0 or tail[locator : locator + 4] != LOCATOR64:
        return None
    record = locator - END64_BYTES  # it may be longer, where it is extensible
    if record < 0 or tail[record : record + 4] != END64:
        record = tail.rfind(END64, 0, locator)
        if record < 0 or record + END64_BYTES > locator:
            raise BadArchive("its zip64 end record is not where it should be")
    _, _, _, _, disk, first, here, entries, size, begin = _END64.unpack_from(tail, record)
    return at + record, disk, first, here, entries, size, begin


def zip64_values(extra: bytes, count: int) -> tuple[int, ...]:
    """The first `count` numbers of the zip64 extra field. BadArchive where it has fewer."""
    for kind, data in extra_fields(extra):
        if kind == ZIP64_EXTRA and len(data) >= 8 * count:
            return struct.unpack_from(f"<{count}Q", data)
    raise BadArchive("an entry lacks its zip64 sizes")


def extra_fields(extra: bytes) -> list[tuple[int, bytes]]:
    """The extra fields of a header: kind and bytes of each."""
    found, at = [], 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        found.append((kind, extra[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def local_header(name: bytes, member: Member, padding: int = 0) -> bytes:
    """The header before a member. One that needs it has its sizes in zip64 form. `padding`: bytes that it is longer."""
    is_large = max(member.stored, member.size) >= IN_ZIP64
    extra = struct.pack("<HHQQ", ZIP64_EXTRA, 16, member.size, member.stored) if is_large else b""
    extra += struct.pack("<HHH", PADDING_EXTRA, padding - 4, 1) + bytes(padding - 6) if padding else b""
    sizes = (IN_ZIP64, IN_ZIP64) if is_large else (member.stored, member.size)
    version, flags, time, date = _common(name, member, is_large)
    fields = version, flags, member.method, time, date, member.crc, *sizes, len(name), len(extra)
    return _LOCAL.pack(LOCAL, *fields) + name + extra


def begin_of(header: bytes) -> int:
    """How many bytes behind the first of a local header its member begins. BadArchive for what is none."""
    if len(header) < LOCAL_BYTES or not header.startswith(LOCAL):
        raise BadArchive("its local header is damaged")
    name, extra = struct.unpack_from("<2H", header, 26)
    return LOCAL_BYTES + int(name) + int(extra)


def header_bytes(name: bytes, size: int) -> int:
    """Bytes of the header that `local_header` makes."""
    return LOCAL_BYTES + len(name) + (20 if size >= IN_ZIP64 else 0)


def central_header(name: bytes, member: Member) -> bytes:
    """The entry of a member in the directory."""
    numbers = [member.size, member.stored, member.offset]
    large = [number for number in numbers if number >= IN_ZIP64]
    extra = struct.pack(f"<HH{len(large)}Q", ZIP64_EXTRA, 8 * len(large), *large) if large else b""
    size, stored, offset = (min(number, IN_ZIP64) for number in numbers)
    version, flags, time, date = _common(name, member, bool(large))
    fields = member.method, time, date, member.crc, stored, size, len(name), len(extra), 0, 0, 0
    made = MADE_BY_UNIX << 8 | version
    return _CENTRAL.pack(CENTRAL, made, version, flags, *fields, FILE_ATTRIBUTES, offset) + name + extra


def _common(name: bytes, member: Member, is_large: bool) -> tuple[int, int, int, int]:
    """The version that is needed, flags, time and date."""
    return VERSION_ZIP64 if is_large else VERSION_NEEDED, 0 if name.isascii() else UTF8, *divmod_date(member.time)


def divmod_date(time: int) -> tuple[int, int]:
    """Time and date of a number that has both."""
    return time & 0xFFFF, time >> 16


def end_records(entries: int, size: int, begin: int, comment: bytes) -> bytes:
    """The records behind a directory of `size` bytes at offset `begin`."""
    end64 = b""
    if entries >= IN_ZIP64_COUNT or size >= IN_ZIP64 or begin >= IN_ZIP64:
        made = MADE_BY_UNIX << 8 | VERSION_ZIP64
        fields = END64_BYTES - 12, made, VERSION_ZIP64, 0, 0, entries, entries, size, begin
        end64 = _END64.pack(END64, *fields) + _LOCATOR64.pack(LOCATOR64, 0, begin + size, 1)
    few = min(entries, IN_ZIP64_COUNT)
    last = 0, 0, few, few, min(size, IN_ZIP64), min(begin, IN_ZIP64), len(comment)
    return end64 + _END.pack(END, *last) + comment
