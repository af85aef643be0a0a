"""Decode Blosc chunks of snappy streams on the host: numcodecs' build of c-blosc cannot."""

from __future__ import annotations

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import CodecError
from gpuzarr.formats.blosc_frame import BIT_SHUFFLE, BYTE_SHUFFLE, Streams, parse


def decode_snappy(chunks: EncodedBatch, target: EncodedBatch) -> None:
    """Decode chunks into `target`, which has their decoded sizes. CodecError with the chunk's index."""
    streams = parse(chunks, None)
    planes = EncodedBatch(
        np.empty(int(target.sizes.sum()), np.uint8), np.cumsum(target.sizes) - target.sizes, target.sizes
    )
    _decompress(chunks.data, streams, planes)
    headers = streams.headers
    for i in range(len(chunks)):
        shuffle, typesize, blocksize = (
            int(field[i]) for field in (headers.shuffle, headers.typesize, headers.blocksize)
        )
        source, out = planes[i], target[i]
        for start in range(0, len(out), blocksize):
            block = slice(start, start + blocksize)
            _unshuffled(source[block], out[block], shuffle, typesize)


def _decompress(data: np.ndarray, streams: Streams, planes: EncodedBatch) -> None:
    """Decompress every stream to its place in `planes`, still shuffled."""
    from cramjam import snappy

    places = planes.starts[streams.chunk] + streams.target
    rows = zip(
        streams.chunk.tolist(),
        streams.source.tolist(),
        streams.size.tolist(),
        places.tolist(),
        streams.nbytes.tolist(),
        streams.raw.tolist(),
        strict=True,
    )
    for chunk, source, size, place, nbytes, raw in rows:
        stored, out = data[source : source + size], planes.data[place : place + nbytes]
        if raw:
            out[:] = stored
            continue
        try:
            found = snappy.decompress_raw_into(stored, out) if snappy.decompress_raw_len(stored) == nbytes else -1
        except Exception as error:
            raise CodecError(f"blosc: a bad snappy stream: {error}", chunk) from error
        if found != nbytes:
            raise CodecError(f"blosc: a snappy stream is not one of {nbytes} bytes", chunk)


def _unshuffled(block: np.ndarray, out: np.ndarray, shuffle: int, typesize: int) -> None:
    """Unshuffle one block. Bytes at its end that are no whole element are not shuffled."""
    n = len(block) // typesize
    whole = n * typesize
    out[whole:] = block[whole:]
    if shuffle == BYTE_SHUFFLE:
        out[:whole].reshape(n, typesize)[...] = block[:whole].reshape(typesize, n).T
    elif shuffle == BIT_SHUFFLE and n % 8 == 0:
        bits = np.unpackbits(block[:whole].reshape(typesize * 8, n // 8), axis=1, bitorder="little")
        elements = bits.reshape(typesize, 8, n).transpose(2, 0, 1)
        out[:whole].reshape(n, typesize)[...] = np.packbits(elements, axis=2, bitorder="little")[..., 0]
    else:
        out[:whole] = block[:whole]
