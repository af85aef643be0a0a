"""LZF streams: HDF5's filter 32000 makes one of each chunk. The same in C: native/lzf.c.

Source: liblzf (http://software.schmorp.de/pkg/liblzf.html), `lzf_d.c`. A token t below 32 is followed by t + 1 literal
bytes. Any other token is a match, which repeats decoded bytes. Its upper 3 bits are a length, to which the next byte is
added if they are 7. Its lower 5 bits and the 8 bits of the byte that follows are a distance. `length` + 2 bytes are
repeated, from `distance` + 1 bytes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError

NAME = "imagecodecs_lzf"
_LONG, _MIN_MATCH, _MAX_MATCH, _MAX_LITERALS, _MAX_DISTANCE = 7, 3, 264, 32, 1 << 13
_HASH_BITS, _HASH = 13, 0x9E3779B1


def _tokens(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """For each token: how many bytes it decodes to; from how far back, 0 for literals; where its literals begin.

    CodecError if the stream is cut short.
    """
    at, end = 0, len(stream)
    while at < end:
        token, at = stream[at], at + 1
        if token < _MAX_LITERALS:
            n, distance, begin = token + 1, 0, at
            at += n
        else:
            is_long = token >> 5 == _LONG
            n = (token >> 5) + _MIN_MATCH - 1 + (stream[at] if is_long and at < end else 0)
            at += 1 + is_long
            begin, distance = at, ((token & 31) << 8) + (stream[at - 1] if at <= end else 0) + 1
        if at > end:
            raise CodecError("the stream is cut short")
        yield n, distance, begin


def decoded_size(stream: bytes) -> int:
    """The decoded size of a stream. CodecError if it is cut short."""
    return sum(n for n, _, _ in _tokens(stream))


def decoded(stream: bytes, nbytes: int) -> bytes:
    """Decode a stream to exactly `nbytes` bytes. CodecError if it is damaged."""
    made = bytearray()
    for n, distance, begin in _tokens(stream):
        if distance > len(made):
            raise CodecError(f"a match goes back {distance} bytes, after only {len(made)}")
        if n > nbytes - len(made):
            raise CodecError(f"the stream decodes to more than {nbytes} bytes")
        if distance:
            piece = bytes(made[len(made) - distance :][:n])
            made += (piece * (n // len(piece) + 1))[:n]
        else:
            made += stream[begin : begin + n]
    if len(made) != nbytes:
        raise CodecError(f"the stream decodes to {len(made)} bytes, expected {nbytes}")
    return bytes(made)


def encoded(data: Any) -> bytes:
    """Encode bytes as one stream."""
    plain, made = np.frombuffer(data, np.uint8).tobytes(), bytearray()
    seen: dict[int, int] = {}  # by the hash of three bytes: where they were last
    at = done = 0
    while at + _MIN_MATCH <= len(plain):
        key = (int.from_bytes(plain[at : at + _MIN_MATCH], "little") * _HASH & 0xFFFFFFFF) >> (32 - _HASH_BITS)
        before, seen[key] = seen.get(key, -1), at
        if before < max(0, at - _MAX_DISTANCE) or plain[before : before + 3] != plain[at : at + 3]:
            at += 1
            continue
        n, most = _MIN_MATCH, min(len(plain) - at, _MAX_MATCH)
        while n < most and plain[at + n] == plain[before + n]:
            n += 1
        made += _literals(plain[done:at]) + _match(at - before - 1, n - _MIN_MATCH + 1)
        done = at = at + n
    return bytes(made + _literals(plain[done:]))


def _literals(plain: bytes) -> bytes:
    runs = [plain[at : at + _MAX_LITERALS] for at in range(0, len(plain), _MAX_LITERALS)]
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def _match(distance: int, length: int) -> bytes:
    long = bytes([length - _LONG]) if length >= _LONG else b""
    return bytes([min(length, _LONG) << 5 | distance >> 8]) + long + bytes([distance & 255])
