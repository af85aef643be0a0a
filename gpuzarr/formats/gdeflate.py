"""The chunk format of zarrs' gdeflate codec: pages of 64 KiB, each compressed on its own to one GDeflate stream.

Source: https://codec.zarrs.dev/bytes_to_bytes/gdeflate. The header holds the decoded size, the number of pages, and the
compressed size of each page, all as little-endian uint64. The pages follow it. The last one may decode to less.

GDeflate is DEFLATE with its bits dealt out to 32 substreams, in words of 4 bytes
(https://github.com/microsoft/DirectStorage, GDeflate/GDeflate/README.md). So the compressed size of a page is a
multiple of 4 bytes, and at least one word for each substream.
"""

from __future__ import annotations

import numpy as np

from gpuzarr.errors import CodecError
from gpuzarr.formats.blocks import Blocks

PAGE_BYTES = 1 << 16  # decoded
WORD, HEADER = 8, 16  # bytes of a number in the header, and of the two numbers before the sizes of pages
_PACKET, _STREAMS = 4, 32  # bytes of a word of GDeflate, and its substreams
MIN_STORED_BYTES = _PACKET * _STREAMS  # of a page
MAX_STORED_BYTES = 2 * PAGE_BYTES + 288  # of a page: nvCOMP 6.0's bound; libdeflate's is 65,708


def count_of(nbytes: int) -> int:
    """Pages of a chunk of `nbytes` decoded bytes."""
    return -(-nbytes // PAGE_BYTES)


def max_stored_bytes(nbytes: int) -> int:
    """The most bytes that a chunk of `nbytes` decoded bytes is stored as."""
    return header_bytes(nbytes) + count_of(nbytes) * MAX_STORED_BYTES


def declared(chunk: np.ndarray) -> int:
    """The decoded size that a chunk declares. CodecError if the chunk is too short for so many pages."""
    nbytes = int.from_bytes(chunk[:WORD].tobytes(), "little")
    if len(chunk) < header_bytes(nbytes) + count_of(nbytes) * MIN_STORED_BYTES:
        raise CodecError(f"the header declares {nbytes} decoded bytes, too many for a chunk of {len(chunk)} bytes")
    return nbytes


def header_bytes(nbytes: int) -> int:
    """Bytes before the first page."""
    return HEADER + WORD * count_of(nbytes)


def pages(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> Blocks:
    """The pages of chunks in `data`, at `starts` and of `sizes` bytes, each of which decodes to `nbytes` bytes."""
    count, header = count_of(nbytes), header_bytes(nbytes)
    good = sizes >= header
    words = np.full((len(starts), 2 + count), -1, np.int64)
    for i in np.flatnonzero(good).tolist():
        words[i] = data[starts[i] : starts[i] + header].view("<i8")
    stored = words[:, 2:]
    good &= (words[:, 0] == nbytes) & (words[:, 1] == count)
    good &= ((stored >= MIN_STORED_BYTES) & (stored <= MAX_STORED_BYTES) & (stored % _PACKET == 0)).all(axis=1)
    ends = stored.cumsum(axis=1)
    good &= (ends[:, -1] if count else 0) + header == sizes
    some, target = np.flatnonzero(good), np.arange(count) * PAGE_BYTES
    each = np.minimum(PAGE_BYTES, nbytes - target)
    source = starts[some, None] + header + ends[some] - stored[some]
    chunk, place, decoded = np.repeat(some, count), np.tile(target, len(some)), np.tile(each, len(some))
    return Blocks(chunk, source.reshape(-1), stored[some].reshape(-1), place, decoded, good, starts + sizes)


def header(nbytes: int, stored: list[int]) -> bytes:
    """The header of a chunk of `nbytes` decoded bytes, whose pages are stored as these numbers of bytes."""
    return np.array([nbytes, len(stored), *stored], "<u8").tobytes()
