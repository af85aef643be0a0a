"""Raw streams of deflate: as libdeflate and zlib make them, on both devices, and what follows them is ignored."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, measured
from gpuzarr.codecs import find
from gpuzarr.errors import CodecError, MetadataError
from tests.chunks import CPU, batch_on, decoded, plain, whole

CODEC = find("imagecodecs_deflate", {"raw": True})
SIZES = (1, 2, 7, 1000, 65_537)


def raw(data: bytes, level: int = 6) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("nbytes", SIZES)
def test_zlib_agrees(nbytes: int, device: Any) -> None:
    data = plain(nbytes, "mixed")
    for stored in (raw(data), raw(data, 0), raw(data) + b"what follows"):
        assert bytes(decoded(device, CODEC, BytesSpec(nbytes), stored, stored)[1]) == data
    on = device if CODEC.why_host_to_encode(BytesSpec(nbytes)) is None else CPU
    made = CODEC.encode(batch_on(on, [data]), BytesSpec(nbytes), on)
    made = on.download(measured(made, on)[0]).tobytes() if on.gpu else whole(made)[0]
    assert zlib.decompress(made, -15) == data


def test_libdeflate_agrees() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    data = plain(5000, "mixed")
    (ours,) = whole(CODEC.encode(batch_on(CPU, [data]), BytesSpec(len(data)), CPU))
    assert imagecodecs.deflate_decode(ours, raw=True, out=len(data)) == data
    theirs = bytes(imagecodecs.deflate_encode(data, raw=True))
    assert bytes(decoded(CPU, CODEC, BytesSpec(len(data)), theirs)[0]) == data
    assert bytes(decoded(CPU, CODEC, BytesSpec(None), theirs)[0]) == data


def test_nothing_is_nothing(device: Any) -> None:
    assert bytes(decoded(device, CODEC, BytesSpec(0), raw(b""))[0]) == b""


def test_damage_names_its_chunk(device: Any) -> None:
    data = plain(1000, "mixed")
    good = raw(data)
    for bad in (good[: len(good) // 2], b"", b"\xff" * 40, raw(data[:-1]), raw(data + b"?")):
        with pytest.raises(CodecError) as caught:
            decoded(device, CODEC, BytesSpec(1000), good, bad, good)
        assert caught.value.index == 1


def test_random_bytes_raise_nothing_else(device: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        try:
            decoded(device, CODEC, BytesSpec(300), rng.bytes(int(rng.integers(1, 60))))
        except CodecError as error:
            assert error.index == 0


def test_its_configuration() -> None:
    for bad in ({"level": 13}, {"level": "6"}, {"raw": 1}, {"window": 15}):
        with pytest.raises(MetadataError):
            find("imagecodecs_deflate", bad)
    assert find("imagecodecs_deflate", {"level": None}).level is None
