"""The Zstandard container (RFC 8878): frames one after another, each a header, blocks, and maybe a checksum."""

from __future__ import annotations

from dataclasses import dataclass

from gpuzarr.errors import CodecError

_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_BLOCK = 1 << 17  # bytes that a block can become, at most
_SIZE_OF_CONTENT_SIZE = (0, 2, 4, 8)
_SIZE_OF_DICTIONARY = (0, 1, 2, 4)
_RAW, _RLE = 0, 1


@dataclass(frozen=True)
class Frames:
    """All frames of a chunk. `nbytes`: decoded bytes, None where a header does not say; at most `bound`."""

    count: int
    nbytes: int | None
    bound: int


def content_size(data: bytes | memoryview) -> int | None:
    """What the first frame's header says of its decoded size; None where it does not, or there is no such frame."""
    if len(data) < 6 or int.from_bytes(data[:4], "little") != _MAGIC:
        return None
    return _header(data, 4)[1]


def beginning(data: memoryview, nbytes: int, wanted: int) -> int | None:
    """How many bytes of a frame of `nbytes` decoded bytes hold the first `wanted` of them, if its blocks are full.

    None where all must be decoded: to compare a checksum, or to say what is wrong with a frame that is not what `data`
    is, to its end.
    """
    if content_size(data) != nbytes:
        return None
    at, _, checksum = _header(data, 4)
    seen, enough, last = 0, None, checksum
    while not last and at + 3 <= len(data):
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        seen += min(length, _BLOCK) if kind in (_RAW, _RLE) else _BLOCK
        at += 3 + (1 if kind == _RLE else length)
        if enough is None and seen >= wanted:
            enough = at
    return enough if at == len(data) and last else None


def walk(data: bytes | memoryview) -> Frames:
    """Walk headers of frames and blocks to the end of `data`.

    CodecError where they do not end there, for a dictionary, and where a size cannot be true.
    """
    at, count, nbytes, bound = 0, 0, 0, 0
    sizes_known = True
    while at < len(data):
        magic = int.from_bytes(data[at : at + 4], "little")
        if magic & ~0xF == _SKIPPABLE and at + 8 <= len(data):
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        if magic != _MAGIC or at + 6 > len(data):
            raise CodecError(f"no zstd frame at byte {at}" if at else "not a zstd frame")
        at, size, frame_bound = _frame(data, at + 4)
        if size is not None and size > frame_bound:
            raise CodecError(f"the frame says {size} bytes, and its blocks hold at most {frame_bound}")
        count, bound = count + 1, bound + (frame_bound if size is None else size)
        sizes_known, nbytes = sizes_known and size is not None, nbytes + (size or 0)
    if at != len(data) or not count:
        raise CodecError("the zstd frame is cut short")
    return Frames(count, nbytes if sizes_known else None, bound)


def _header(data: bytes | memoryview, at: int) -> tuple[int, int | None, bool]:
    """Where the header that begins at `at` (behind the magic number) ends, the content size, if a checksum comes."""
    descriptor = data[at]
    single, size_flag = descriptor & 0x20, descriptor >> 6
    if descriptor & 8:
        raise CodecError("a reserved bit is set in the zstd frame header")
    dictionary = _SIZE_OF_DICTIONARY[descriptor & 3]
    length = 1 if single and not size_flag else _SIZE_OF_CONTENT_SIZE[size_flag]
    at += 1 + (0 if single else 1)
    end = at + dictionary + length
    if end > len(data):
        raise CodecError("the zstd frame header is cut short")
    if any(data[at : at + dictionary]):
        raise CodecError("the zstd frame needs a dictionary")
    size = int.from_bytes(data[end - length : end], "little") + (256 if length == 2 else 0)
    return end, size if length else None, bool(descriptor & 4)


def _frame(data: bytes | memoryview, at: int) -> tuple[int, int | None, int]:
    """Where the frame ends, its content size, and the most that its blocks can become."""
    at, size, checksum = _header(data, at)
    bound, last = 0, False
    while not last:
        if at + 3 > len(data):
            raise CodecError("the zstd frame is cut short")
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        bound += min(length, _BLOCK) if kind in (_RAW, _RLE) else _BLOCK
        at += 3 + (1 if kind == _RLE else length)
    return at + (4 if checksum else 0), size, bound
