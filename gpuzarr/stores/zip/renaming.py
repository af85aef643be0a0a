"""Give members that were moved the names of their new keys, which their local headers must have, too."""

from __future__ import annotations

from gpuzarr.stores.zip import records
from gpuzarr.stores.zip.archive import ArchiveFile
from gpuzarr.stores.zip.directory import Directory
from gpuzarr.stores.zip.records import LOCAL_BYTES, Member

PIECE_BYTES = 1 << 23  # of a member that is copied


def renamed(file: ArchiveFile, member: Member, name: bytes) -> Member:
    """Write the name into the header of a member that no directory has yet; where it has no room there, copy it."""
    room = member.begin - member.offset - records.header_bytes(name, max(member.stored, member.size))
    if member.offset < file.complete_end or not (room == 0 or room >= records.MIN_PADDING_BYTES):
        return copied(file, member, name)
    file.write([records.local_header(name, member, room)], member.offset)
    return member


def copied(file: ArchiveFile, member: Member, name: bytes) -> Member:
    """Append a copy of a member, under a name."""
    head = records.header_bytes(name, max(member.stored, member.size))
    at = file.reserve(head + member.stored)
    new = member._replace(offset=at, begin=at + head)
    for done in range(0, member.stored, PIECE_BYTES):
        data = file.read(min(PIECE_BYTES, member.stored - done), member.begin + done)
        file.write([data], new.begin + done)
    file.write([records.local_header(name, new)], at)
    return new


def member_of(file: ArchiveFile, directory: Directory, number: int, time: int) -> Member:
    """An entry of a directory as a member. BadArchive for one that cannot be read."""
    if (problem := directory.problem(number)) is not None:
        raise records.BadArchive(problem)
    offset = int(directory.offsets[number])
    begin = records.begin_of(file.read(LOCAL_BYTES, offset))
    columns = directory.stored, directory.sizes, directory.methods, directory.checksums
    stored, size, method, crc = (int(column[number]) for column in columns)
    return Member(offset, offset + begin, stored, size, method, crc, time)
