"""Arrays of Zarr v2 whose chunks are encoded as a test says."""

import json

import numcodecs
import numpy as np

RNG = np.random.default_rng(11)


def smooth(shape, dtype):
    """Low bytes that no codec makes smaller, high ones that each does."""
    kind = np.dtype(dtype)
    values = np.cumsum(RNG.standard_normal(shape), axis=-1)
    return (values + 1j * values[::-1] if kind.kind == "c" else values * (1 if kind.kind == "f" else 50)).astype(kind)


def array_of(folder, values, chunks, encode, *, dtype=None, order="C", missing=(), **more):
    """A v2 array: `encode(number, bytes of a chunk)` are its files."""
    kind = np.dtype(dtype or values.dtype)
    filters, compressor = more.pop("filters", None), more.pop("compressor", {"id": "blosc", "cname": "lz4"})
    document = {
        "zarr_format": 2, "shape": values.shape, "chunks": chunks, "dtype": kind.str, "order": order, "fill_value": 5,
        "filters": filters, "compressor": compressor,
    }  # fmt: skip
    folder.mkdir()
    (folder / ".zarray").write_text(json.dumps(document))
    want = values.copy()
    counts = [-(-n // c) for n, c in zip(values.shape, chunks, strict=True)]
    for number, place in enumerate(np.ndindex(*counts)):
        region = tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, chunks, strict=True))
        if number in missing:
            want[region] = 5
            continue
        chunk = np.zeros(chunks, kind)
        part = values[region]
        chunk[tuple(map(slice, part.shape))] = part
        (folder / ".".join(map(str, place))).write_bytes(encode(number, chunk.tobytes(order)))
    return want


def blosc(cname="lz4", shuffle=1, typesize=4, blocksize=0, clevel=5):
    def encode(data):
        return numcodecs.blosc.compress(np.frombuffer(data, f"V{typesize}"), cname.encode(), clevel, shuffle, blocksize)

    return encode
