"""Rows of gpu_kernels: codecs that change each element by itself, as programs of kernels/place_cast.cu."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.contract import ChangesElements, Direction
from gpuzarr.devices.cpu import CPU
from gpuzarr.gpu.cast import changed

CHUNK = 128 << 10  # bytes of the wider elements
FEW = 8  # chunks that are compared with the CPU's
SCALED = {"offset": 100, "scale": 10, "dtype": "<f4", "astype": "<u2"}
CODECS: dict[str, tuple[str, dict[str, Any], str, Direction]] = {
    "fixedscaleoffset u2 to f4": ("numcodecs.fixedscaleoffset", SCALED, "f4", "decode"),
    "fixedscaleoffset f4 to u2": ("numcodecs.fixedscaleoffset", SCALED, "f4", "encode"),
    "astype f8 to f4": ("numcodecs.astype", {"encode_dtype": "<f8", "decode_dtype": "<f4"}, "f4", "decode"),
    "scale_offset f4": ("scale_offset", {"offset": 5, "scale": 0.1}, "f4", "decode"),
    "scale_offset i4": ("scale_offset", {"offset": 5, "scale": 1}, "i4", "decode"),
    "cast_value f4 to u1": (
        "cast_value",
        {"data_type": "uint8", "rounding": "nearest-even", "out_of_range": "clamp"},
        "f4",
        "encode",
    ),
    "bitround f4": ("bitround", {"keepbits": 10}, "f4", "encode"),
}


def programs(clock: Any, nbytes: int, name: str) -> dict[str, list[float]]:
    """GB/s, of half the bytes that are read and written, of chunks of 128 KiB of the wider elements."""
    device, (codec_name, configuration, dtype, direction) = clock.device, CODECS[name]
    codec: Any = find(codec_name, configuration)
    assert isinstance(codec, ChangesElements)
    program = codec.program(ChunkSpec((1,), np.dtype(dtype)), direction)
    assert program is not None
    size = max(program.source.itemsize, program.dtype.itemsize)
    count, elements = max(1, nbytes // CHUNK), CHUNK // size
    spec = ChunkSpec((elements,), np.dtype(dtype))
    values = (np.arange(FEW * elements) % 251).astype(program.source).reshape(FEW, elements)
    source = device.upload(np.resize(values, (count, elements)))
    made = device.array((count, elements), program.dtype)
    changed(device, source, program, made)
    run = codec.decode if direction == "decode" else codec.encode
    assert np.array_equal(device.download(made[:FEW]), run(values, spec, CPU)[:count]), f"{name}: not as on the CPU"
    moved = count * elements * (program.source.itemsize + program.dtype.itemsize) // 2
    return {name: clock.rates(moved, partial(_changed, source=source, program=program, made=made))}


def _changed(device: Any, source: Any, program: Any, made: Any) -> Any:
    return changed(device, source, program, made)
