"""Loops that call a library for each chunk: the same bytes and the same errors as calls from Python, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr import native
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import parse
from gpuzarr.cpu.chunkwise import pack
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CodecError

pytestmark = pytest.mark.usefixtures("compiled")
SIZE = 1000
CODECS = {
    "zstd": {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
    "blosc": {
        "name": "blosc",
        "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0},
    },
    "lz4": {"name": "numcodecs.lz4", "configuration": {"acceleration": 1}},
    **{
        f"hdf5_bitshuffle {cname}": {
            "name": "gpuzarr.hdf5_bitshuffle",
            "configuration": {"elementsize": 3, "block_elements": 64, "cname": cname},
        }
        for cname in ("none", "lz4", "zstd")
    },
    "lz4h5": {"name": "imagecodecs_lz4h5", "configuration": {"blocksize": 300}},
    "lzf": {"name": "imagecodecs_lzf", "configuration": {"header": False}},
    "lzf with a header": "imagecodecs_lzf",
    "crc32c": "crc32c",
    "crc32c, at the start": {"name": "numcodecs.crc32c", "configuration": {"location": "start"}},
    "fletcher32": "numcodecs.fletcher32",
    "jenkins_lookup3": {
        "name": "numcodecs.jenkins_lookup3",
        "configuration": {"initval": 5, "prefix": "13 characters"},
    },
}
SPEC = BytesSpec(SIZE)


def outcome(codec: Any, chunks: EncodedBatch, does: str) -> Any:
    """The chunks that a codec makes; or its error, and of which chunk."""
    try:
        made = getattr(codec, does)(chunks, SPEC, CPU)
    except CodecError as error:
        return str(error), error.index
    return [made[i].tobytes() for i in range(len(made))]


def both(codec: Any, chunks: EncodedBatch, does: str = "decode") -> tuple[Any, Any]:
    """By the C library, and without it."""
    by_library = outcome(codec, chunks, does)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "library", lambda: None)
        return by_library, outcome(codec, chunks, does)


@pytest.mark.parametrize("name", CODECS)
@settings(deadline=None)
@given(data=st.data())
def test_chunks_good_and_bad(name: str, data: st.DataObject) -> None:
    (codec,) = parse([CODECS[name]])
    count = data.draw(st.integers(1, 5))
    values = [np.random.default_rng(i).integers(0, 4, SIZE, "u1").tobytes() for i in range(count)]
    by_library, by_python = both(codec, pack(values, CPU), "encode")
    assert by_library == by_python
    stored = [bytearray(chunk) for chunk in by_library]
    good = both(codec, pack(stored, CPU))
    assert good == (values, values)
    for i in data.draw(st.lists(st.integers(0, count - 1), max_size=2)):
        kind = data.draw(st.sampled_from(["cut", "flip", "longer"]))
        if kind == "cut" and stored[i]:
            del stored[i][data.draw(st.integers(0, len(stored[i]) - 1), label="kept") :]
        elif kind == "flip" and stored[i]:
            stored[i][data.draw(st.integers(0, len(stored[i]) - 1), label="byte")] ^= data.draw(st.integers(1, 255))
        else:
            stored[i] += b"\0"
    by_library, by_python = both(codec, pack(stored, CPU))
    assert by_library == by_python
