"""The Blosc 1 container: where each compressed stream of each chunk lies, and what it becomes.

A chunk is a header of 16 bytes, then (unless it is a plain copy) one int32 a block saying where the block
begins, then the blocks; a block is one stream, or one for each byte of the element. A stream is an int32
size and so many bytes; a stream of its decoded size is stored raw.
Source: c-blosc 1.21 `blosc.c` (its README_CHUNK_FORMAT is wrong about the block starts: they count from
the start of the chunk). All chunks of an encoded batch are parsed at once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import CodecError

HEADER = 16
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
    """What the header of each chunk says; int64 arrays with one item a chunk, `copied` and `split` bool.

    A chunk that is `copied` (its bytes follow the header as they are) has NO_SHUFFLE here.
    """

    codec: np.ndarray  # BLOSCLZ, LZ4 (also for lz4hc), SNAPPY, ZLIB or ZSTD
    shuffle: np.ndarray  # NO_SHUFFLE, BYTE_SHUFFLE or BIT_SHUFFLE; of each block by itself
    typesize: np.ndarray
    nbytes: np.ndarray  # of the decoded chunk
    blocksize: np.ndarray
    copied: np.ndarray
    split: np.ndarray  # whether whole blocks are `typesize` streams; a shorter last block never is

    @property
    def blocks(self) -> np.ndarray:
        """How many blocks each chunk has; 0 where it is copied or empty."""
        return np.where(self.copied, 0, -(-self.nbytes // self.blocksize))


@dataclass(frozen=True)
class Streams:
    """Every stream of every chunk of an encoded batch; int64 arrays with one item a stream, `raw` bool.

    Sorted by (chunk, target). The streams of a chunk fill its `headers.nbytes` bytes without gaps; after
    that the shuffle of each block is undone. A copied chunk is one raw stream.
    """

    headers: Headers
    chunk: np.ndarray  # which chunk of the encoded batch
    source: np.ndarray  # where the compressed bytes begin in the encoded batch's data
    size: np.ndarray  # how many compressed bytes
    target: np.ndarray  # where the decoded bytes begin, in the decoded chunk before the shuffle is undone
    nbytes: np.ndarray  # how many decoded bytes
    raw: np.ndarray  # stored as they are


def parse(encoded: EncodedBatch, expected_nbytes: int | None) -> Streams:
    """The streams of every chunk of `encoded`, whose bytes are in host memory.

    CodecError for a chunk whose header, block starts or stream sizes do not fit its stored size, or that
    does not decode to `expected_nbytes` (None: not known). Nothing is allocated that the stored bytes,
    at 4 each for a block or stream, do not justify.
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
    """Each block that is not copied: where it begins and its chunk ends, where it goes, its bytes and streams."""

    chunk: np.ndarray
    start: np.ndarray
    end: np.ndarray
    target: np.ndarray
    size: np.ndarray
    splits: np.ndarray


class Cut(NamedTuple):
    """A frame made of some blocks of another, in the memory of that: it begins at its byte `start`, and ends with it.

    It decodes to `nbytes` bytes, those from byte `skipped` of the decoded chunk on. `overwritten`: the bytes of the old
    frame that lay where the new one's header and table of blocks lie.
    """

    skipped: int
    start: int
    nbytes: int
    overwritten: bytes = b""

    def undo(self, frame: Any) -> None:
        """Make the old frame of it again."""
        frame[self.start : self.start + len(self.overwritten)] = self.overwritten


def cut_out(frame: Any, first: int, last: int) -> Cut:
    """Make of a frame, in its own memory, one of only the blocks that hold its decoded bytes `first` to before `last`.

    `frame` is a writable buffer with a header that was checked.
    """
    version, lz_version, flags, typesize, nbytes, blocksize, size = _HEADER.unpack_from(frame)
    blocks, short = -(-nbytes // blocksize), nbytes % blocksize
    begin, end = first // blocksize, -(-last // blocksize)
    if short:
        begin = min(begin, max(blocks - 2, 0))  # a frame has a whole block at least
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
    """The header of every chunk, checked against its stored size and against `expected_nbytes`."""
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
    _refuse(((blocksize <= 0) | (blocksize > most)) & ~empty, "blosc: bad block size")
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
    """The streams of all blocks, from their size prefixes: the k-th of every block in step k.

    Their chunks, and an array of their (source, size, target, nbytes).
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
    """The streams that were found, and the one of each copied chunk that is not empty, in order of chunks."""
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
    """0 .. counts[0]-1, 0 .. counts[1]-1, and so on."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _int32(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The little-endian int32 at each place, as int64."""
    return data[at[:, None] + np.arange(4)].view("<i4")[:, 0].astype(np.int64)


def _refuse(bad: np.ndarray, message: str, chunk: np.ndarray | None = None) -> None:
    """CodecError for the first chunk that is bad; `chunk` says which chunk each item of `bad` belongs to."""
    if bad.any():
        first = int(np.argmax(bad))
        raise CodecError(message, first if chunk is None else int(chunk[first]))
