"""What an enemy makes: documents of any chain, chunks that become very large; and how much of it to try."""

from __future__ import annotations

import gc
import gzip
import json
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numcodecs
import numpy as np

from tests import nasty

LITTLE: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
BOMB_BYTES = 64 << 20


def document(
    codecs: list[Any], dtype: Any = "uint8", shape: tuple[int, ...] = (4,), fill: Any = 0, chunks: Any = None
) -> bytes:
    """Metadata of an array of Zarr v3, of one chunk unless `chunks` says something else."""
    chunks = shape if chunks is None else chunks
    return json.dumps(nasty.array(shape, chunks, codecs, data_type=dtype, fill_value=fill, attributes={})).encode()


def shards(inner: list[int], codecs: list[Any], index: list[Any] | None = None) -> dict[str, Any]:
    """The codec sharding_indexed, whose index has no checksum."""
    configuration = {"chunk_shape": inner, "codecs": codecs, "index_codecs": index or [LITTLE]}
    return {"name": "sharding_indexed", "configuration": configuration}


def zeros_by_zstd(nbytes: int, declares: bool = False) -> bytes:
    """A frame of zeros: a block of 4 bytes for each 128 KiB. `declares`: whether its header has the size."""
    count = -(-nbytes >> 17)
    header = b"\xa0" + struct.pack("<I", nbytes) if declares else b"\0\x58"
    sizes = [min(1 << 17, nbytes - (i << 17)) for i in range(count)]
    blocks = [((i == count - 1) | 2 | size << 3).to_bytes(3, "little") + b"\0" for i, size in enumerate(sizes)]
    return struct.pack("<I", 0xFD2FB528) + header + b"".join(blocks)


def zeros_by_blosc(nbytes: int) -> bytes:
    """A frame of zeros, in which the offsets of all blocks name one block."""
    block = 1 << 20
    one = bytes(numcodecs.Blosc("lz4", 5, 0, block).encode(np.zeros(block, np.uint8)))
    stream, count = one[20:], nbytes // block
    header = struct.pack("<BBBBiii", 2, 1, one[2], 1, nbytes, block, 16 + 4 * count + len(stream))
    return header + struct.pack("<I", 16 + 4 * count) * count + stream


@cache
def bomb(name: str) -> bytes:
    """BOMB_BYTES zeros as a codec of this name makes them."""
    if name == "zstd":
        return zeros_by_zstd(BOMB_BYTES)
    if name == "blosc":
        return zeros_by_blosc(BOMB_BYTES)
    if name == "gzip":
        return gzip.compress(bytes(BOMB_BYTES), 1)
    return bytes(numcodecs.get_codec({"id": name}).encode(np.zeros(BOMB_BYTES, np.uint8)))


@contextmanager
def memory_below(nbytes: int) -> Iterator[None]:
    """Context in which NumPy and Python may not hold more than `nbytes` bytes at once.

    Garbage is collected as often as in the programs of users, and not as in tests/conftest.py.
    """
    often = gc.get_threshold()
    tracemalloc.start()
    try:
        gc.set_threshold(700, 10, 10)
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        gc.set_threshold(*often)
        tracemalloc.stop()
    assert peak < nbytes, f"{peak} bytes were held"
