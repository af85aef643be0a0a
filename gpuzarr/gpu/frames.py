"""Check on the host which zstd, zlib and gzip streams nvCOMP may be given, all streams of a batch at once.

nvCOMP promises nothing for damaged input, so all that is cheap to check is checked here: headers, declared sizes, the
chain of zstd's blocks. False does not mean that a stream is bad, only that a CPU library decides.
Sources: RFC 8878 (zstd), RFC 1950 (zlib), RFC 1952 (gzip).
"""

from __future__ import annotations

import numpy as np

_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_BLOCK = 128 << 10  # bytes of a block, at most
_MIN_BLOCK, _SPARE_BLOCKS = 1 << 10, 64  # bytes of blocks, on average, and blocks more; the host walks through others
_DICTIONARY = np.array([0, 1, 2, 4])  # bytes of the dictionary id
_EMPTY_BLOCKS = (0x0003, 0x0001)  # of deflate: the first bytes of a last block of no bytes, fixed codes or stored
_CONTENT = np.array([0, 2, 4, 8])  # bytes of the content size


def bytes_at(data: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    """`count` bytes from each offset as a little-endian number (int64; 8 bytes wrap); zeros beyond the end."""
    where = at[:, None] + np.arange(count)
    found = np.where(where < len(data), data[np.minimum(where, len(data) - 1)], 0).astype(np.uint64)
    shifts = np.uint64(8) * np.arange(count, dtype=np.uint64)
    return np.asarray((found << shifts).sum(axis=1, dtype=np.uint64).view(np.int64))


def zstd_frames(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: np.ndarray | int) -> np.ndarray:
    """Mask of the streams that are exactly one frame of `nbytes` declared bytes, without dictionary or checksum.

    (nvCOMP is not known to verify a frame's checksum, so those frames are left to the host.)
    """
    flags = bytes_at(data, starts + 4, 1)
    single = flags >> 5 & 1
    content = np.where((flags >> 6 == 0) & (single == 1), 1, _CONTENT[flags >> 6])
    at = starts + 5 + (1 - single) + _DICTIONARY[flags & 3]
    good = (sizes >= 9) & (bytes_at(data, starts, 4) == _ZSTD_MAGIC) & (flags & 0b1111 == 0)
    good &= _content_size(data, at, content) == nbytes
    most = _SPARE_BLOCKS + int(np.max(nbytes, initial=0)) // _MIN_BLOCK
    return np.asarray(good & _blocks_fit(data, at + content, starts + sizes, good, most))


def _content_size(data: np.ndarray, at: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Content sizes that zstd frame headers declare; -1 where they declare none."""
    said = np.full(len(at), -1, np.int64)
    for count in (1, 2, 4, 8):
        said = np.where(width == count, bytes_at(data, at, count) + (256 if count == 2 else 0), said)
    return said


def _blocks_fit(data: np.ndarray, at: np.ndarray, ends: np.ndarray, walk: np.ndarray, most: int) -> np.ndarray:
    """Mask of the streams whose chain of blocks from `at` ends with the stream, after at most `most` blocks."""
    fit = np.zeros(len(at), bool)
    live = np.flatnonzero(walk)
    place = at[live]
    while len(live) and (most := most - 1) >= 0:
        header = bytes_at(data, place, 3)
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        after = place + 3 + np.where(kind == 1, 1, size)
        sound = (kind != 3) & (size <= _ZSTD_BLOCK) & (after <= ends[live])
        fit[live] = sound & (last == 1) & (after == ends[live])
        more = sound & (last == 0)
        live, place = live[more], after[more]
    return fit


def zlib_streams(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: np.ndarray | int = 0) -> np.ndarray:
    """Mask of the streams with a zlib header without dictionary, and room for the checksum. zlib declares no size."""
    method, flags = bytes_at(data, starts, 1), bytes_at(data, starts + 1, 1)
    known = (method & 15 == 8) & (method >> 4 <= 7) & (flags & 0x20 == 0)
    return np.asarray(known & ((method * 256 + flags) % 31 == 0) & (sizes >= 8))


def deflate_streams(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> np.ndarray:
    """Mask of the raw streams whose first block is of a kind that exists. They declare no size."""
    return np.asarray((sizes > 0) & (bytes_at(data, starts, 1) >> 1 & 3 != 3))


def snappy_blocks(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> np.ndarray:
    """Mask of the blocks of snappy that declare `nbytes` bytes: 7 bits a byte, the lowest first."""
    head = bytes_at(data, starts, 5)
    declared, live = np.zeros(len(starts), np.int64), np.ones(len(starts), bool)
    for byte in range(5):
        bits = head >> (8 * byte) & 0xFF
        declared |= np.where(live, bits & 0x7F, 0) << (7 * byte)
        live &= bits >= 0x80
    return np.asarray((sizes > 1) & ~live & (declared == nbytes))


def gzip_members(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> np.ndarray:
    """Mask of the streams with a gzip header of 10 bytes that end with `nbytes` as their decoded size.

    A stream of several members ends with the size of its last member, so it fails; unless the members before are
    empty, so a first member that begins with an empty last block fails, too.
    """
    plain = (bytes_at(data, starts, 3) == 0x088B1F) & (bytes_at(data, starts + 3, 1) == 0) & (sizes >= 20)
    plain &= ~np.isin(bytes_at(data, starts + 10, 2), _EMPTY_BLOCKS)
    return np.asarray(plain & (bytes_at(data, starts + np.maximum(sizes - 4, 0), 4) == nbytes % 2**32))
