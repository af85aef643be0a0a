"""zfp: what libzfp decodes by its own functions is what zfpy decodes, and both find what is cut short or too long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zfpy

import gpuzarr
from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.codecs import parse
from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu import zfp_library
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CodecError

MODES: dict[str, dict[str, Any]] = {
    "reversible": {},
    "fixed_accuracy": {"tolerance": 0.01},
    "fixed_precision": {"precision": 9},
    "fixed_rate": {"rate": 5.3},
}
NUMBERS = {"fixed_accuracy": 4, "fixed_precision": 3, "fixed_rate": 2}  # of modes, in numcodecs
SHAPES = [(1,), (130,), (9, 13), (5, 1, 7), (3, 4, 5, 6), ()]


@pytest.fixture(params=["libzfp", "zfpy"])
def decoder(request, monkeypatch):
    if request.param == "zfpy":
        monkeypatch.setattr(zfp_library, "library", lambda: None)
    else:
        assert zfp_library.library() is not None


def made(mode: str, dtype: str, shape: tuple[int, ...], header: bool) -> tuple[Chain, bytes, np.ndarray]:
    """A chain, a chunk that zfpy has made, and its elements."""
    values = np.cumsum(np.random.default_rng(4).normal(size=shape) * 30).astype(dtype).reshape(shape or (1,))
    stored = zfpy.compress_numpy(values, write_header=header, **MODES[mode])
    name, given = ("numcodecs.zfpy", {"mode": NUMBERS[mode]}) if header else ("zfp", {"mode": mode})
    chain = Chain.build(
        parse([{"name": name, "configuration": {**given, **MODES[mode]}}]), ChunkSpec(shape, np.dtype(dtype))
    )
    expected = zfpy.decompress_numpy(zfpy.compress_numpy(values, **MODES[mode]))
    return chain, stored, expected.reshape(shape)


def decoded(chain: Chain, stored: bytes) -> np.ndarray:
    chunk = np.frombuffer(stored, np.uint8)
    batch: np.ndarray = chain.decode(EncodedBatch(chunk, np.zeros(1, np.int64), np.array([len(chunk)])), CPU)
    return batch[0]


@pytest.mark.parametrize("header", [False, True], ids=["zfp", "zfpy"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_elements_are_those_of_zfpy_and_damage_is_found(decoder, header, mode, dtype):
    if mode not in NUMBERS and header:
        pytest.skip("numcodecs writes no such chunks")
    for shape in SHAPES:
        chain, stored, expected = made(mode, dtype, shape, header)
        assert decoded(chain, stored).tobytes() == expected.tobytes(), shape
        damaged = [stored + bytes(8), stored + b"\xff" * 8, stored + stored, stored[:-1]]
        if zfp_library.library() is not None:  # zfpy alone does not see that a word is missing which changes nothing
            damaged += [stored[:-8], stored[:-16]]
        for bad in damaged:
            with pytest.raises(CodecError):
                decoded(chain, bad)


@pytest.mark.parametrize("mode", NUMBERS)
@pytest.mark.parametrize("shape", [(1, 1, 1 << 16), (1 << 16, 1, 1), (1 << 12, 1, 1, 16), (1 << 8, 1 << 8)])
def test_a_header_of_another_shape_tells_how_much_zfp_reads(decoder, mode, shape):
    values = np.cumsum(np.random.default_rng(4).normal(size=shape) * 30).astype("f8").reshape(shape)
    stored = zfpy.compress_numpy(values, **MODES[mode])
    codec = parse([{"name": "numcodecs.zfpy", "configuration": {"mode": NUMBERS[mode], **MODES[mode]}}])
    chain = Chain.build(codec, ChunkSpec((values.size,), values.dtype))
    assert decoded(chain, stored).tobytes() == zfpy.decompress_numpy(stored).tobytes()
    for size in (len(stored) // 64 // 8 * 8, len(stored) // 2 // 8 * 8):  # the first: as for blocks of one axis
        with pytest.raises(CodecError):
            decoded(chain, stored[:size])


@pytest.mark.parametrize("least", [1, 40, 5000])
@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_headers_of_mode_expert(dtype, least):
    """As numcodecs makes for a tolerance of 0; also with more bits of a block than it needs, which zfp skips."""
    values = np.arange(300).astype(dtype).reshape(20, 15)
    stored = zfpy.compress_numpy(values, tolerance=0.0)
    if least > 1:  # 15 bits of the header, behind 84 and 12 that are set; the blocks are not those of such a stream
        head = int.from_bytes(stored[:24], "little") | least - 1 << 96
        stored = (head.to_bytes(24, "little") + stored[24:] + bytes(20 * least))[: 24 + 20 * -(-least // 64) * 8]
    chain = Chain.build(parse([{"name": "numcodecs.zfpy", "configuration": {}}]), ChunkSpec((20, 15), np.dtype(dtype)))
    if least == 1:
        assert decoded(chain, stored).tobytes() == zfpy.decompress_numpy(stored).tobytes()
    for bad in (stored[:-8], stored[:32], stored + bytes(4000)):
        with pytest.raises(CodecError):
            decoded(chain, bad)


def test_what_is_written_with_a_tolerance_of_0_is_read(tmp_path):
    values = np.arange(100.0)
    codec = {"name": "numcodecs.zfpy", "configuration": {"mode": 4, "tolerance": 0}}
    array = gpuzarr.create_array(tmp_path, shape=100, chunks=30, dtype="f8", serializer=codec, compressors=None)
    array[...] = values
    np.testing.assert_allclose(array[...], values, rtol=1e-12)
