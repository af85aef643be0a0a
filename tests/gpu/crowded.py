"""Chunks that lie crowded on a device, so that whatever is written beside one is seen; and bits shuffled by NumPy."""

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.gpu.shuffle import Blocks


def crowded(device, chunks):
    """The chunks at every alignment, a few bytes apart."""
    sizes = np.array([len(c) for c in chunks], np.int64)
    starts = np.cumsum(sizes + 3) - sizes
    data = np.full(int(starts[-1] + sizes[-1] + 5), 0xEE, np.uint8)
    for start, chunk in zip(starts, chunks, strict=True):
        data[start : start + len(chunk)] = chunk
    return EncodedBatch(device.upload(data), starts, sizes, data)


def addresses(device, encoded):
    return np.uint64(device.address(encoded.data)) + encoded.starts.astype(np.uint64)


def expect(device, encoded, chunks):
    """`encoded` holds the chunks, and every other byte is as `crowded` left it."""
    want = np.full(len(encoded.data), 0xEE, np.uint8)
    for start, chunk in zip(encoded.starts, chunks, strict=True):
        want[start : start + len(chunk)] = chunk
    np.testing.assert_array_equal(device.download(encoded.data), want)


def unwritten(device, sizes):
    """A target for chunks of such sizes, crowded too."""
    return crowded(device, [np.zeros(n, np.uint8) for n in sizes])


def random(rng, sizes):
    return [rng.integers(0, 256, n, dtype=np.uint8) for n in sizes]


def unshuffled(chunk, width):
    n = len(chunk) // width
    return np.concatenate([chunk[: n * width].reshape(width, n).T.reshape(-1), chunk[n * width :]])


def bitunshuffled(chunk, width):
    n = len(chunk) // width
    bits = np.unpackbits(chunk[: n * width].reshape(width * 8, n // 8), axis=1, bitorder="little")
    elements = bits.reshape(width, 8, n).transpose(2, 0, 1)
    return np.concatenate([np.packbits(elements, axis=2, bitorder="little").reshape(-1), chunk[n * width :]])


def blocks(device, source, target, width, first, own):
    widths = np.full(len(first), width)
    return Blocks(addresses(device, target), target.sizes, widths, first, own, addresses(device, source))
