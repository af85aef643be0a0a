"""Chunks of zarrs' gdeflate: pages of 64 KiB, each compressed by itself to one stream of GDeflate.

Source: https://codec.zarrs.dev/bytes_to_bytes/gdeflate. The decoded bytes, the number of pages, and the stored bytes of
each page come first, each as a little-endian uint64; then the pages. The last page decodes to what is left.

GDeflate is DEFLATE whose bits are dealt out to 32 streams, in words of 4 bytes
(https://github.com/microsoft/DirectStorage, GDeflate/GDeflate/README.md): a page has a multiple of 4 bytes, and at
least one word for each stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuzarr.errors import CodecError

PAGE_BYTES = 1 << 16  # decoded
WORD, HEADER = 8, 16  # bytes of a number, and of the two before the sizes
_PACKET, _STREAMS = 4, 32
LEAST_STORED = _PACKET * _STREAMS  # bytes of a page
MAX_STORED = 2 * PAGE_BYTES + 288  # the most that nvCOMP 6.0 makes of a page; libdeflate makes at most 65,708 bytes


@dataclass(frozen=True)
class Pages:
    """All pages of some chunks, int64, chunk after chunk: the number of its chunk, where its bytes lie, how many these
    are, its place in the decoded chunk, its decoded bytes. `good`: a mask of the chunks that are sound, whose pages
    alone are here."""

    chunk: np.ndarray
    source: np.ndarray
    size: np.ndarray
    target: np.ndarray
    nbytes: np.ndarray
    good: np.ndarray


def count_of(nbytes: int) -> int:
    """Pages of a chunk of `nbytes` decoded bytes."""
    return -(-nbytes // PAGE_BYTES)


def most_stored(nbytes: int) -> int:
    """The most bytes that a chunk of `nbytes` decoded bytes is stored as."""
    return header_bytes(nbytes) + count_of(nbytes) * MAX_STORED


def declared(chunk: np.ndarray) -> int:
    """The decoded bytes that a chunk declares. CodecError where its stored bytes cannot hold so many pages."""
    nbytes = int.from_bytes(chunk[:WORD].tobytes(), "little")
    if len(chunk) < header_bytes(nbytes) + count_of(nbytes) * LEAST_STORED:
        raise CodecError(f"{nbytes} bytes are declared, more than {len(chunk)} stored bytes hold")
    return nbytes


def header_bytes(nbytes: int) -> int:
    """Bytes before the first page."""
    return HEADER + WORD * count_of(nbytes)


def pages(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> Pages:
    """The pages of chunks at `starts` of `data` that become `nbytes` bytes each."""
    count, header = count_of(nbytes), header_bytes(nbytes)
    good = sizes >= header
    words = np.full((len(starts), 2 + count), -1, np.int64)
    for i in np.flatnonzero(good).tolist():
        words[i] = data[starts[i] : starts[i] + header].view("<i8")
    stored = words[:, 2:]
    good &= (words[:, 0] == nbytes) & (words[:, 1] == count)
    good &= ((stored >= LEAST_STORED) & (stored <= MAX_STORED) & (stored % _PACKET == 0)).all(axis=1)
    ends = stored.cumsum(axis=1)
    good &= (ends[:, -1] if count else 0) + header == sizes
    some, target = np.flatnonzero(good), np.arange(count) * PAGE_BYTES
    each = np.minimum(PAGE_BYTES, nbytes - target)
    source = starts[some, None] + header + ends[some] - stored[some]
    chunk, place, decoded = np.repeat(some, count), np.tile(target, len(some)), np.tile(each, len(some))
    return Pages(chunk, source.reshape(-1), stored[some].reshape(-1), place, decoded, good)


def header(nbytes: int, stored: list[int]) -> bytes:
    """What is before pages of `stored` bytes."""
    return np.array([nbytes, len(stored), *stored], "<u8").tobytes()
