"""Datasets of N5, written by these few lines from its specification alone."""

from __future__ import annotations

import bz2
import gzip
import itertools
import json
import lzma
import struct
import zlib
from functools import partial
from typing import Any

import numcodecs
import numcodecs.blosc
import numcodecs.zstd
import numpy as np

COMPRESSIONS: dict[str, dict[str, Any]] = {
    "raw": {"type": "raw"},
    "gzip": {"type": "gzip", "level": -1},
    "zlib": {"type": "gzip", "useZlib": True},
    "bzip2": {"type": "bzip2", "blockSize": 9},
    "xz": {"type": "xz", "preset": 6},
    "blosc": {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
    "zstd": {"type": "zstd", "level": 3},
    "lz4": {"type": "lz4", "blockSize": 65536},
}


def compressed(kind: str, data: bytes, item: int) -> bytes:
    encode = {
        "raw": lambda data: data,
        "gzip": partial(gzip.compress, mtime=0),
        "zlib": zlib.compress,
        "bzip2": bz2.compress,
        "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ),
        "blosc": lambda data: numcodecs.blosc.compress(np.frombuffer(data, f"u{item}"), b"lz4", 5, 1),
        "zstd": numcodecs.zstd.compress,
        "lz4": lambda data: numcodecs.get_codec({"id": "lz4"}).encode(data),
    }[kind]
    return encode(data)


def block(values: np.ndarray, kind: str = "raw", mode: int = 0) -> bytes:
    """A block: the first axis is the one whose elements are neighbours."""
    header = struct.pack(f">HH{values.ndim}I", mode, values.ndim, *values.shape)
    data = values.astype(values.dtype.newbyteorder(">")).tobytes("F")
    return header + compressed(kind, data, values.dtype.itemsize)


def dataset(values: np.ndarray, size: tuple[int, ...], kind: str = "raw", cut: bool = True) -> dict[str, bytes]:
    """The objects of a dataset. `cut`: blocks at the end have only the elements that are there, as Java writes them."""
    found = {"attributes.json": json.dumps(attributes(values, size, kind)).encode()}
    padded = np.pad(values, [(0, -n % s) for n, s in zip(values.shape, size, strict=True)])
    counts = [n // s for n, s in zip(padded.shape, size, strict=True)]
    for at in itertools.product(*map(range, counts)):
        place = tuple(slice(i * s, (i + 1) * s) for i, s in zip(at, size, strict=True))
        found["/".join(map(str, at))] = block((values if cut else padded)[place], kind)
    return found


def attributes(values: np.ndarray, size: tuple[int, ...], kind: str = "raw") -> dict[str, Any]:
    return {
        "dimensions": list(values.shape),
        "blockSize": list(size),
        "dataType": values.dtype.name,
        "compression": COMPRESSIONS[kind],
    }


def below(path: str, objects: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{path}/{key}": data for key, data in objects.items()}
