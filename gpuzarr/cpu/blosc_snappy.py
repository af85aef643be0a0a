"""Decode and encode Blosc chunks of snappy streams on the host: numcodecs' build of c-blosc cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import CodecError
from gpuzarr.formats.blosc_frame import BIT_SHUFFLE, BYTE_SHUFFLE, HEADER, Streams, parse
from gpuzarr.formats.blosc_shape import MAX_CHUNK_BYTES, FrameShape


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


def encode_snappy(chunk: np.ndarray, shape: FrameShape) -> bytes:
    """The frame of a chunk: of the shape that c-blosc gives it, or a copy where that is not larger."""
    if shape.nbytes > MAX_CHUNK_BYTES:
        raise CodecError(f"Blosc takes at most {MAX_CHUNK_BYTES} bytes a chunk")
    blocks = [] if shape.copied else _blocks(chunk, shape)
    table = np.cumsum([HEADER + 4 * len(blocks), *map(len, blocks)])
    if shape.copied or table[-1] >= HEADER + shape.nbytes:
        return _header(replace(shape, copied=True), HEADER + shape.nbytes) + chunk.tobytes()
    return _header(shape, int(table[-1])) + table[:-1].astype("<u4").tobytes() + b"".join(blocks)


def _header(shape: FrameShape, size: int) -> bytes:
    return np.array([shape.first_word, shape.nbytes, shape.blocksize, size], "<u4").tobytes()


def _blocks(chunk: np.ndarray, shape: FrameShape) -> list[bytes]:
    """The streams of each block, each behind its size; raw ones where snappy does not make them smaller."""
    from cramjam import snappy

    made = []
    for start in range(0, shape.nbytes, shape.blocksize):
        block = _shuffled(chunk[start : start + shape.blocksize], shape.shuffle, shape.typesize)
        streams = []
        for plain in np.split(block, shape.splits if len(block) == shape.blocksize else 1):
            packed = bytes(snappy.compress_raw(plain))
            packed = packed if len(packed) < len(plain) else plain.tobytes()
            streams.append(len(packed).to_bytes(4, "little") + packed)
        made.append(b"".join(streams))
    return made


def _shuffled(block: np.ndarray, shuffle: int, typesize: int) -> np.ndarray:
    """Shuffle one block: the reverse of `_unshuffled`."""
    n = len(block) // typesize
    whole, tail = block[: n * typesize].reshape(n, typesize), block[n * typesize :]
    if shuffle == BYTE_SHUFFLE:
        return np.concatenate([whole.T.reshape(-1), tail])
    if shuffle == BIT_SHUFFLE and n % 8 == 0:
        bits = np.unpackbits(whole[..., None], axis=2, bitorder="little").transpose(1, 2, 0)
        return np.concatenate([np.packbits(bits, axis=2, bitorder="little").reshape(-1), tail])
    return np.ascontiguousarray(block)


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
