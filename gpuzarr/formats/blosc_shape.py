"""The layout of a Blosc frame before anything is compressed: how c-blosc cuts a chunk into blocks and streams.

Source: c-blosc 1.21, observed through numcodecs (tests compare every header with it).
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuzarr.formats.blosc_frame import CODECS, HEADER, ZSTD

MAX_CHUNK_BYTES = 2**31 - 1 - HEADER
_FORMAT, _CODEC_FORMAT = 2, 1  # versions
_SHUFFLED, _COPIED, _BITSHUFFLED, _WHOLE = 1, 2, 4, 16  # flag bits
_L1 = 32 << 10
_FACTORS = (0.25, 0.5, 1, 2, 4, 4, 8, 8, 8, 8)  # of L1, by compression level
_SLOW = ("lz4hc", "zlib", "zstd")  # twice that, of level 9 four times
_SMALLEST = 128  # bytes of a chunk, or elements of a block that is split
_MAX_SPLITS = 16


@dataclass(frozen=True)
class FrameShape:
    """The frame of a chunk of `nbytes` bytes. `copied`: it is not compressed."""

    codec: int  # BLOSCLZ, LZ4 (also for lz4hc), SNAPPY, ZLIB or ZSTD
    shuffle: int  # NO_SHUFFLE, BYTE_SHUFFLE or BIT_SHUFFLE
    typesize: int
    nbytes: int
    blocksize: int
    copied: bool

    @property
    def full(self) -> int:
        """Number of full blocks, of `blocksize` bytes."""
        return self.nbytes // self.blocksize

    @property
    def last(self) -> int:
        """Bytes of the shorter last block; 0 if there is none."""
        return self.nbytes % self.blocksize

    @property
    def splits(self) -> int:
        """Number of streams of a full block."""
        return self.typesize if _splits(self.codec, self.typesize, self.blocksize) else 1

    @property
    def part(self) -> int:
        """Bytes of a stream of a full block."""
        return self.blocksize // self.splits

    @property
    def streams(self) -> int:
        return self.full * self.splits + (self.last > 0)

    @property
    def first_word(self) -> int:
        """The first four bytes of the header, as a little-endian number."""
        flags = self.codec << 5 | (0, _SHUFFLED, _BITSHUFFLED)[self.shuffle]
        flags |= _COPIED if self.copied else 0
        flags |= 0 if _splits(self.codec, self.typesize, self.blocksize) else _WHOLE
        return _FORMAT | _CODEC_FORMAT << 8 | flags << 16 | self.typesize << 24


def frame_shape(cname: str, clevel: int, shuffle: int, typesize: int, nbytes: int, blocksize: int) -> FrameShape:
    """The frame that c-blosc makes of a chunk of `nbytes` bytes. `blocksize`: bytes asked for, 0 for automatic."""
    typesize = typesize if typesize <= 255 else 1
    codec = CODECS.index("lz4" if cname == "lz4hc" else cname)
    size = max(blocksize, _SMALLEST) if blocksize else _usual(cname, clevel) if nbytes >= _L1 else nbytes
    size = _blocksize(codec, clevel, typesize, nbytes, size)
    return FrameShape(codec, shuffle, typesize, nbytes, size, clevel == 0 or nbytes < _SMALLEST)


def _splits(codec: int, typesize: int, blocksize: int) -> bool:
    return codec != ZSTD and typesize <= _MAX_SPLITS and blocksize // typesize >= _SMALLEST


def _usual(cname: str, clevel: int) -> int:
    """Bytes of a block that is not split, where nobody asks for others."""
    slow = (4 if clevel == 9 else 2) if cname in _SLOW else 1
    return int(slow * _L1 * _FACTORS[clevel])


def _blocksize(codec: int, clevel: int, typesize: int, nbytes: int, size: int) -> int:
    """Bytes of a block of the frame, where `size` are wanted before blocks are split."""
    if nbytes < typesize:
        return 1
    if clevel > 0 and _splits(codec, typesize, size):
        size = min(max(min(size, 256 << 10) * typesize, 64 << 10), 1 << 20)
    size = min(size, nbytes)
    return size // typesize * typesize if size > typesize else size
