"""Parse the Blosc 1 container: the place and decoded size of each compressed stream, of all chunks of a batch at once.

A chunk is a header of 16 bytes, then (unless the rest is a raw copy) the offset of each block as int32, then the
blocks; a block is one stream, or one for each byte of the element. A stream is its size as int32, and as many bytes; a
stream that has its decoded size is raw.
Source: c-blosc 1.21 `blosc.c` (its README_CHUNK_FORMAT is wrong about the offsets of blocks: they count from the start
of the chunk).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import CodecError

HEADER = 16
MIN_BLOCK_BYTES, MAX_SMALL_BYTES = 32, 255  # c-blosc's blocks have 65 bytes and more, unless the chunk is small
CODECS = ("blosclz", "lz4", "snappy", "zlib", "zstd")
BLOSCLZ, LZ4, SNAPPY, ZLIB, ZSTD = range(5)
NO_SHUFFLE, BYTE_SHUFFLE, BIT_SHUFFLE = range(3)

_SHUFFLED, _COPIED, _BITSHUFFLED, _RESERVED, _WHOLE = 1, 2, 4, 8, 16  # flag bits
_HEADER = struct.Struct("<BBBBiii")
_MAX_BLOCK = (2**31 - 1 - 4 * 255) // 3
_MAX_SPLITS = 16
_MIN_ELEMENTS = 128  # of a block that is split


@dataclass(frozen=True)
class Headers:
    """The fields of the header of each chunk; int64 arrays with one item a chunk, `copied` and `split` bool.

    A chunk that is `copied` (raw bytes follow the header) has NO_SHUFFLE here.
    """

    codec: np.ndarray  # BLOSCLZ, LZ4 (also for lz4hc), SNAPPY, ZLIB or ZSTD
    shuffle: np.ndarray  # NO_SHUFFLE, BYTE_SHUFFLE or BIT_SHUFFLE; each block by itself
    typesize: np.ndarray
    nbytes: np.ndarray  # of the decoded chunk
    blocksize: np.ndarray
    copied: np.ndarray
    split: np.ndarray  # whether full blocks are `typesize` streams; a shorter last block is one

    @property
    def blocks(self) -> np.ndarray:
        """Blocks of each chunk; 0 where it is copied or empty."""
        return np.where(self.copied, 0, -(-self.nbytes // self.blocksize))


@dataclass(frozen=True)
class Streams:
    """Every stream of every chunk of an encoded batch; int64 arrays with one item a stream, `raw` bool.

    They are sorted by (chunk, target). The streams of a chunk decode to its `headers.nbytes` bytes without gaps; then
    each block is unshuffled. A copied chunk is one raw stream.
    """

    headers: Headers
    chunk: np.ndarray  # index of the chunk in the encoded batch
    source: np.ndarray  # offset of the compressed bytes in the encoded batch's data
    size: np.ndarray  # compressed bytes
    target: np.ndarray  # offset of the decoded bytes in the decoded chunk, before the unshuffle
    nbytes: np.ndarray  # decoded bytes
    raw: np.ndarray  # not compressed


def parse(encoded: EncodedBatch, expected_nbytes: int | None) -> Streams:
    """Parse every chunk of `encoded`, whose bytes must be in host memory, to its streams.

    CodecError for a chunk whose header, offsets or sizes of streams do not fit its stored size, or that does not decode
    to `expected_nbytes` (None: not known). Nothing is allocated that the stored bytes do not justify, at 4 bytes for
    each block and stream.
    """
    data = encoded.data if encoded.host is None else encoded.host
    headers = parse_headers(encoded, expected_nbytes)
    blocks = headers.blocks
    full = np.where(headers.copied, 0, headers.nbytes // headers.blocksize)
    streams = np.where(headers.split, full * headers.typesize + (blocks - full), blocks)
    _refuse(HEADER + 4 * (blocks + streams) > encoded.sizes, "blosc: the chunk is too short for its block table")

    chunk = np.repeat(np.arange(len(encoded)), blocks)
    number = _counting(blocks)
    at = encoded.starts[chunk] + HEADER + 4 * number
    offset = _int32(data, at)
    _refuse((offset < HEADER) | (offset > encoded.sizes[chunk] - 4), "blosc: a block begins outside the chunk", chunk)

    whole = number < full[chunk]
    size = np.where(whole, headers.blocksize[chunk], headers.nbytes[chunk] - number * headers.blocksize[chunk])
    splits = np.where(whole & headers.split[chunk], headers.typesize[chunk], 1)
    target = number * headers.blocksize[chunk]
    start, end = encoded.starts[chunk] + offset, (encoded.starts + encoded.sizes)[chunk]
    return _streams(headers, encoded, *_walk(data, _Blocks(chunk, start, end, target, size, splits)))


@dataclass(frozen=True)
class _Blocks:
    """Each block that is not copied: its start, the end of its chunk, its target, its bytes, its streams."""

    chunk: np.ndarray
    start: np.ndarray
    end: np.ndarray
    target: np.ndarray
    size: np.ndarray
    splits: np.ndarray


class Cut(NamedTuple):
    """A frame made of some blocks of another, in its memory: from its byte `start` to its end.

    It decodes to `nbytes` bytes, those from byte `skipped` of the decoded chunk on. `overwritten`: the bytes of the old
    frame that the header and the table of the new one replaced.
    """

    skipped: int
    start: int
    nbytes: int
    overwritten: bytes = b""

    def undo(self, frame: Any) -> None:
        """Restore the old frame."""
        frame[self.start : self.start + len(self.overwritten)] = self.overwritten


def cut_out(frame: Any, first: int, last: int) -> Cut:
    """Make of a frame, in its own memory, one of only the blocks that hold its decoded bytes `first` to before `last`.

    `frame` is a writable buffer with a header that was checked.
    """
    version, lz_version, flags, typesize, nbytes, blocksize, size = _HEADER.unpack_from(frame)
    blocks, short = -(-nbytes // blocksize), nbytes % blocksize
    begin, end = first // blocksize, -(-last // blocksize)
    if short:
        begin = min(begin, max(blocks - 2, 0))  # a frame has at least one full block
    if flags & _COPIED or end - begin == blocks or size < HEADER + 4 * blocks:
        return Cut(0, 0, nbytes)
    skipped, cut, starts = begin * blocksize, 4 * begin, struct.Struct(f"<{end - begin}I")
    overwritten = bytes(frame[cut : cut + HEADER + starts.size])
    moved = [start - cut & 0xFFFFFFFF for start in starts.unpack_from(frame, HEADER + cut)]
    part = min(nbytes, end * blocksize) - skipped
    _HEADER.pack_into(frame, cut, version, lz_version, flags, typesize, part, blocksize, size - cut)
    starts.pack_into(frame, HEADER + cut, *moved)
    return Cut(skipped, cut, part, overwritten)


def parse_headers(encoded: EncodedBatch, expected_nbytes: int | None) -> Headers:
    """Parse the header of every chunk. CodecError where it does not fit the stored size or `expected_nbytes`."""
    data = encoded.data if encoded.host is None else encoded.host
    sizes = encoded.sizes
    _refuse(sizes < HEADER, "blosc: the chunk is shorter than its header of 16 bytes")
    raw = data[encoded.starts[:, None] + np.arange(HEADER)]
    version, version_codec, flags, typesize = raw[:, :4].astype(np.int64).T
    nbytes, blocksize, stored = raw.view("<i4")[:, 1:].astype(np.int64).T
    _refuse((version != 2) | (flags & _RESERVED != 0), "blosc: not version 2 of the format")
    _refuse(stored != sizes, "blosc: the header's compressed size is not the stored size")
    if expected_nbytes is not None:
        _refuse(nbytes != expected_nbytes, f"blosc: the header's decoded size is not {expected_nbytes}")
    empty = nbytes == 0
    copied = (flags & _COPIED != 0) | empty
    _refuse((nbytes < 0) | ((typesize == 0) & ~empty), "blosc: bad decoded size or typesize")
    most = np.minimum(nbytes, _MAX_BLOCK)
    small = (blocksize < MIN_BLOCK_BYTES) & (nbytes > MAX_SMALL_BYTES)
    _refuse(((blocksize <= 0) | (blocksize > most) | small) & ~empty, "blosc: bad block size")
    _refuse(copied & ~empty & (stored != nbytes + HEADER), "blosc: a copied chunk of a wrong size")
    codec = flags >> 5
    _refuse(~copied & ((codec > ZSTD) | (version_codec != 1)), "blosc: unknown inner codec")
    blocksize, typesize = np.maximum(blocksize, 1), np.maximum(typesize, 1)
    split = (flags & _WHOLE == 0) & (typesize <= _MAX_SPLITS) & (blocksize // typesize >= _MIN_ELEMENTS) & ~copied
    split &= (nbytes >= blocksize) & (typesize > 1)
    _refuse(split & (blocksize % typesize != 0), "blosc: the block size is no multiple of the typesize")
    byte = (flags & _SHUFFLED != 0) & (typesize > 1)
    shuffle = np.where(copied, NO_SHUFFLE, np.where(byte, BYTE_SHUFFLE, np.where(flags & _BITSHUFFLED, BIT_SHUFFLE, 0)))
    return Headers(codec, shuffle, typesize, nbytes, blocksize, copied, split)


def _walk(data: np.ndarray, blocks: _Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Find the streams of all blocks by their size prefixes, the k-th of every block in step k.

    Returns the chunk of each, and an array of their (source, size, target, nbytes).
    """
    first = np.cumsum(blocks.splits) - blocks.splits
    found = np.empty((4, int(blocks.splits.sum())), np.int64)
    nbytes, position = blocks.size // blocks.splits, blocks.start.copy()
    for step in range(int(blocks.splits.max(initial=0))):
        live = np.flatnonzero(blocks.splits > step)
        start, end, chunk, part = position[live], blocks.end[live], blocks.chunk[live], nbytes[live]
        _refuse(start + 4 > end, "blosc: a stream begins outside the chunk", chunk)
        size = _int32(data, start)
        _refuse((size <= 0) | (size > end - start - 4), "blosc: a stream reaches beyond the chunk", chunk)
        found[:, first[live] + step] = start + 4, size, blocks.target[live] + step * part, part
        position[live] = start + 4 + size
    return np.repeat(blocks.chunk, blocks.splits), found


def _streams(headers: Headers, encoded: EncodedBatch, chunk: np.ndarray, found: np.ndarray) -> Streams:
    """Merge the streams that were found with those of copied chunks, in order of chunks."""
    copied = np.flatnonzero(headers.copied & (headers.nbytes > 0))
    if len(copied):
        nbytes = headers.nbytes[copied]
        more = np.stack([encoded.starts[copied] + HEADER, nbytes, np.zeros_like(nbytes), nbytes])
        chunk, found = np.concatenate([chunk, copied]), np.concatenate([found, more], axis=1)
        order = np.argsort(chunk, kind="stable")
        chunk, found = chunk[order], found[:, order]
    source, size, target, nbytes = found
    return Streams(headers, chunk, source, size, target, nbytes, size == nbytes)


def _counting(counts: np.ndarray) -> np.ndarray:
    """0 to counts[0] - 1, then 0 to counts[1] - 1, and so on."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _int32(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The little-endian int32 at each offset, as int64."""
    return data[at[:, None] + np.arange(4)].view("<i4")[:, 0].astype(np.int64)


def _refuse(bad: np.ndarray, message: str, chunk: np.ndarray | None = None) -> None:
    """Raise CodecError for the first bad item; `chunk`: the chunk of each item, if they are not chunks."""
    if bad.any():
        first = int(np.argmax(bad))
        raise CodecError(message, first if chunk is None else int(chunk[first]))
