"""Parse the Zstandard container (RFC 8878): frames, each a header, blocks, and optionally a checksum."""

from __future__ import annotations

from dataclasses import dataclass

from gpuzarr.errors import CodecError

_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_MAX_BLOCK_BYTES = 1 << 17  # decoded
_SIZE_OF_CONTENT_SIZE = (0, 2, 4, 8)
_SIZE_OF_DICTIONARY = (0, 1, 2, 4)
_RAW, _RLE = 0, 1


@dataclass(frozen=True)
class Frames:
    """All frames of a chunk. `nbytes`: decoded bytes, at most `bound`; None where a header does not declare them."""

    count: int
    nbytes: int | None
    bound: int


def content_size(data: bytes | memoryview) -> int | None:
    """The decoded size that the first frame declares; None where it does not, or there is no frame."""
    if len(data) < 6 or int.from_bytes(data[:4], "little") != _MAGIC:
        return None
    return _header(data, 4)[1]


def beginning(data: memoryview, nbytes: int, wanted: int) -> int | None:
    """Bytes of a frame of `nbytes` decoded bytes that hold the first `wanted` of them, if its blocks are full.

    None where all must be decoded: to verify a checksum, or to find what is wrong with `data` that is not exactly one
    such frame.
    """
    if content_size(data) != nbytes:
        return None
    at, _, checksum = _header(data, 4)
    seen, enough, last = 0, None, checksum
    while not last and at + 3 <= len(data):
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        seen += min(length, _MAX_BLOCK_BYTES) if kind in (_RAW, _RLE) else _MAX_BLOCK_BYTES
        at += 3 + (1 if kind == _RLE else length)
        if enough is None and seen >= wanted:
            enough = at
    return enough if at == len(data) and last else None


def walk(data: bytes | memoryview) -> Frames:
    """Parse the headers of all frames and blocks in `data`.

    CodecError where they do not end with it, for a dictionary, and for an impossible size.
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
            raise CodecError(f"the frame declares {size} bytes, and its blocks hold at most {frame_bound}")
        count, bound = count + 1, bound + (frame_bound if size is None else size)
        sizes_known, nbytes = sizes_known and size is not None, nbytes + (size or 0)
    if at != len(data) or not count:
        raise CodecError("the zstd frame is cut short")
    return Frames(count, nbytes if sizes_known else None, bound)


def _header(data: bytes | memoryview, at: int) -> tuple[int, int | None, bool]:
    """Parse the header at `at`, behind the magic number: its end, the content size, whether there is a checksum."""
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
    """Parse one frame: its end, its content size, and the most that its blocks can become."""
    at, size, checksum = _header(data, at)
    bound, last = 0, False
    while not last:
        if at + 3 > len(data):
            raise CodecError("the zstd frame is cut short")
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        bound += min(length, _MAX_BLOCK_BYTES) if kind in (_RAW, _RLE) else _MAX_BLOCK_BYTES
        at += 3 + (1 if kind == _RLE else length)
    return at + (4 if checksum else 0), size, bound
