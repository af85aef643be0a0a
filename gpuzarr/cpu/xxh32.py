"""XXH32 with the seed of lz4-java, of many runs of bytes. Source: the specification of xxHash."""

from __future__ import annotations

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address
from gpuzarr.cpu.functions import address_of

SEED = 0x9747B28C
_PRIMES = tuple(np.uint32(p) for p in (2654435761, 2246822519, 3266489917, 668265263, 374761393))


def xxh32(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The hash, uint32, of each data[starts[i] : starts[i] + sizes[i]]. `data`: uint8 (n,)."""
    found = np.empty(len(sizes), np.uint32)
    if (library := native.library()) is not None:
        places, nbytes = address(data) + np.asarray(starts, np.int64), np.ascontiguousarray(sizes, np.int64)
        library.gpuzarr_checksums(
            address_of(library.gpuzarr_xxh32), len(found), address(places), address(nbytes), address(found)
        )
        return found
    for size in np.unique(sizes).tolist():  # most blocks have the same
        which = np.flatnonzero(sizes == size)
        found[which] = _of_rows(data[np.asarray(starts)[which][:, None] + np.arange(size)])
    return found


def _of_rows(rows: np.ndarray) -> np.ndarray:
    """The hash of each row of bytes."""
    first, second, third, fourth, fifth = _PRIMES
    count, size = rows.shape
    words = np.ascontiguousarray(rows[:, : size // 4 * 4]).view("<u4").astype(np.uint32).T
    seed, stripes = np.uint32(SEED), size // 16
    with np.errstate(over="ignore"):
        made = np.full(count, seed + fifth)
        if stripes:
            lanes = np.array([seed + first + second, seed + second, seed, seed - first], np.uint32)
            lanes = np.repeat(lanes[:, None], count, 1)
            for i in range(stripes):
                lanes = _rotated(lanes + words[4 * i : 4 * i + 4] * second, 13) * first
            made = _rotated(lanes[0], 1) + _rotated(lanes[1], 7) + _rotated(lanes[2], 12) + _rotated(lanes[3], 18)
        made = made + np.uint32(size & 0xFFFFFFFF)
        for word in words[4 * stripes :]:
            made = _rotated(made + word * third, 17) * fourth
        for column in rows[:, size // 4 * 4 :].T:
            made = _rotated(made + column.astype(np.uint32) * fifth, 11) * first
        made = (made ^ made >> np.uint32(15)) * second
        made = (made ^ made >> np.uint32(13)) * third
        return np.asarray(made ^ made >> np.uint32(16))


def _rotated(words: np.ndarray, bits: int) -> np.ndarray:
    return np.asarray(words << np.uint32(bits) | words >> np.uint32(32 - bits))
