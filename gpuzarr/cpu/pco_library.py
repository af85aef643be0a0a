"""pco, by the functions of the package pcodec that decode a file part by part, and tell how much of it they read.

numcodecs stores a chunk as a standalone file of pco. This is (pco, standalone/compressor.rs): "pco!"; the version; from
version 3 on, the number type of all parts, or 0; a size hint (6 bits: its number of bits less 1; then these bits, and
zeros to the end of a byte); the header that all parts share; for each part (a "chunk" of pco) its number type, its
number of elements less 1 (3 bytes, little-endian), its metadata and its page; and a 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_MAGIC = b"pco!"
_VERSIONS = (2, 3)
_WITH_TYPE = 3
_NUMBER_TYPES = {"u4": 1, "u8": 2, "i4": 3, "i8": 4, "f4": 5, "f8": 6, "u2": 7, "i2": 8, "f2": 9}
_PREAMBLE = 4  # bytes before a part: its number type and number of elements
_MAX_HEADER_BYTES = 64
_MAX_METADATA_BYTES = 1 << 16  # of a part; with more of it, `decode_exactly` gives up
_SPARE_PAGE_BYTES = 1 << 12  # by which a page may be larger than its elements


def decode_exactly(data: np.ndarray, out: np.ndarray) -> bool:
    """Decode a file that has exactly the elements of `out`, an array of one axis, and is followed by nothing.

    `data`: uint8. Returns False, with any values in `out`, where it is no such file, or this function cannot tell.
    """
    try:
        return _decode(data, out)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # a panic of pco is a BaseException
        return False


def _decode(data: np.ndarray, out: np.ndarray) -> bool:
    from pcodec.wrapped import FileDecompressor

    head = data[:_MAX_HEADER_BYTES].tobytes()
    if head[: len(_MAGIC)] != _MAGIC or head[len(_MAGIC)] not in _VERSIONS:
        return False
    of, at = _NUMBER_TYPES[out.dtype.str[1:]], len(_MAGIC) + 1
    if head[len(_MAGIC)] >= _WITH_TYPE:
        if head[at] not in (0, of):
            return False
        at += 1
    bits = 6 + 1 + (head[at] & 63)
    hint = head[at : at + (bits + 7) // 8]
    if int.from_bytes(hint, "little") >> bits:
        return False
    at += len(hint)
    file, read = FileDecompressor.new(head[at:])
    at, filled, name = at + read, 0, f"{out.dtype.kind}{8 * out.dtype.itemsize}"
    while (preamble := data[at : at + _PREAMBLE].tobytes())[0]:
        if preamble[0] != of:
            return False
        part = out[filled : filled + 1 + int.from_bytes(preamble[1:], "little")]
        if len(part) <= int.from_bytes(preamble[1:], "little"):
            return False
        at += _PREAMBLE
        likely = (len(data) - at) * len(part) // (len(out) - filled)
        at, filled = _decode_part(file, name, data, at, part, likely), filled + len(part)
    return filled == len(out) and at + 1 == len(data)


def _decode_part(file: Any, name: str, data: np.ndarray, at: int, out: np.ndarray, likely: int) -> int:
    """Decode the part whose metadata begin at `at`; return where it ends. `likely`: about how many bytes it has."""
    part, size = file.chunk_decompressor(data[at : at + _MAX_METADATA_BYTES].tobytes(), name)
    at += size
    try:  # pcodec takes `bytes` only, which are copies: so of no more than is likely to be needed
        read = _read_page(part, data[at : at + likely + likely // 4 + _SPARE_PAGE_BYTES], out)
    except RuntimeError:
        read = _read_page(part, data[at : at + out.nbytes + _SPARE_PAGE_BYTES], out)
    return at + read


def _read_page(part: Any, page: np.ndarray, out: np.ndarray) -> int:
    progress, size = part.read_page_into(page.tobytes(), len(out), out)
    if not progress.finished or progress.n_processed != len(out):
        raise ValueError("the page has fewer elements")
    return int(size)
