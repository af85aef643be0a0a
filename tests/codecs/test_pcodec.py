"""pcodec: files are decoded once, part by part; those of other versions by the function for whole files."""

from __future__ import annotations

import numpy as np
import pytest
from pcodec import ChunkConfig, PagingSpec, standalone

from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.codecs import find, pcodec
from gpuzarr.cpu import pco_library
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CodecError

DTYPES = ("u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8")


def files(dtype: str, size: int) -> list[tuple[np.ndarray, bytes]]:
    """Elements, and files of them, of one part and of many."""
    rng = np.random.default_rng(size)
    bits = rng.integers(0, 256, size * np.dtype(dtype).itemsize, np.uint8).view(dtype)
    walk = np.cumsum(rng.normal(size=size)).astype(dtype)
    made = []
    for values in (bits, walk, np.full(size, 7, dtype)):
        for level, page in ((0, 1 << 18), (8, 300), (12, 1 << 18)):
            config = ChunkConfig(compression_level=level, paging_spec=PagingSpec.equal_pages_up_to(page))
            made.append((values, bytes(standalone.simple_compress(values, config))))
    return made


def decoded(stored: bytes, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    batch = EncodedBatch(np.frombuffer(stored, np.uint8), np.zeros(1, np.int64), np.array([len(stored)]))
    made: np.ndarray = find("numcodecs.pcodec", {}, 3).decode(batch, ChunkSpec(shape, dtype), CPU)
    return made[0]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_files_are_decoded_once(dtype, size, monkeypatch):
    monkeypatch.setattr(pcodec, "_filled", lambda data, out: pytest.fail("decoded by the function for whole files"))
    for values, stored in files(dtype, size):
        assert decoded(stored, (size,), values.dtype).tobytes() == values.tobytes()


@pytest.mark.parametrize("is_known", [True, False], ids=["part by part", "whole files"])
def test_damage_is_found_either_way(is_known, monkeypatch):
    if not is_known:
        monkeypatch.setattr(pco_library, "_VERSIONS", ())
    for values, stored in files("f4", 700):
        assert decoded(stored, (7, 100), values.dtype).tobytes() == values.tobytes()
        for bad in (stored + b"\0", stored + b"junk", stored + stored, stored[:-1], stored[: len(stored) // 2], b""):
            with pytest.raises(CodecError):
                decoded(bad, (700,), values.dtype)
        for shape in ((699,), (701,)):
            with pytest.raises(CodecError, match="elements"):
                decoded(stored, shape, values.dtype)
        with pytest.raises(CodecError):
            decoded(stored, (700,), np.dtype("i4"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_damage_of_the_beginning_is_what_pco_finds(dtype):
    """Each bit of what stands before the first part: elements come where pco decodes the file, and are its own."""
    for values, stored in files(dtype, 300)[:2]:
        for bit in range(8 * 14):
            bad = bytearray(stored)
            bad[bit // 8] ^= 1 << bit % 8
            try:
                expected = standalone.simple_decompress(bytes(bad))
            except BaseException:  # a panic of pco is no Exception
                expected = None
            if expected is None:
                with pytest.raises(CodecError):
                    decoded(bytes(bad), values.shape, values.dtype)
            elif expected.dtype == values.dtype and len(expected) == len(values):
                assert decoded(bytes(bad), values.shape, values.dtype).tobytes() == expected.tobytes()
