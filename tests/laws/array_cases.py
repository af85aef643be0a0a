"""The codecs that make arrays of arrays: a row is a codec and the dtype of its chunks."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np

from gpuzarr.codecs import find
from tests.laws.arrays import ArrayCase


def shared(
    id: str, of: str, is_lossless: bool = False, values: tuple[Any, ...] = (), **configuration: Any
) -> ArrayCase:
    """A codec that numcodecs has too."""
    peer = numcodecs.get_codec({"id": id, **configuration})
    return ArrayCase(find(id, configuration, 2), np.dtype(of), peer, is_lossless, values=values)


def ours(name: str, of: str, is_lossless: bool = True, **configuration: Any) -> ArrayCase:
    """A codec that no other library here has."""
    return ArrayCase(find(name, configuration), np.dtype(of), None, is_lossless)


def of_matrices(name: str, of: str, **configuration: Any) -> ArrayCase:
    """A codec of Zarr v3 whose configuration is for chunks of three axes."""
    shapes = (1, 1, 1), (2, 3, 5), (1, 7, 1), (40, 3, 33)
    return ArrayCase(find(name, configuration), np.dtype(of), None, True, shapes)


ARRAY_CASES = {
    "delta": shared("delta", "i4", True, dtype="<i4"),
    "delta narrow": shared("delta", "i4", True, dtype="<i4", astype="<i2"),
    "delta u1": shared("delta", "u1", True, dtype="|u1"),
    "delta big-endian": shared("delta", "u2", True, dtype="<u2", astype=">i2"),
    "delta i8": shared("delta", "i8", True, dtype="<i8"),
    "delta f4": shared("delta", "f4", True, dtype="<f4"),
    "delta f8 as f4": shared("delta", "f8", dtype="<f8", astype="<f4"),
    "delta of times": ours("numcodecs.delta", "M8[s]", dtype="<i8"),
    "fixedscaleoffset f8": shared("fixedscaleoffset", "f8", offset=10, scale=100, dtype="<f8", astype="<i2"),
    "fixedscaleoffset f4": shared("fixedscaleoffset", "f4", offset=0, scale=8, dtype="<f4", astype="<u2"),
    "fixedscaleoffset i4": shared("fixedscaleoffset", "i4", offset=3, scale=2, dtype="<i4", astype="<f8"),
    "quantize": shared("quantize", "f4", digits=2, dtype="<f4"),
    "quantize f2": shared("quantize", "f8", digits=-1, dtype="<f8", astype="<f2"),
    "bitround f2": ours("bitround", "f2", False, keepbits=3),
    "bitround f4": ours("bitround", "f4", False, keepbits=5),
    "bitround f8": ours("bitround", "f8", False, keepbits=0),
    "bitround i4": ours("bitround", "i4", False, keepbits=3),
    "astype": shared("astype", "i4", True, encode_dtype="<i8", decode_dtype="<i4"),
    "astype f4": shared("astype", "f8", True, encode_dtype=">f4", decode_dtype="<f8"),
    "astype u1": shared("astype", "f4", False, encode_dtype="|u1", decode_dtype="<f4"),
    "categorize": shared("categorize", "U2", True, ("1", "2", "7"), labels=["1", "2", "7"], dtype="<U2", astype="|u1"),
    "scale_offset f4": ours("scale_offset", "f4", False, offset=5, scale=0.1),
    "scale_offset f8": ours("scale_offset", "f8", False, offset=-3, scale=4),
    "scale_offset i4": ours("scale_offset", "i4", offset=7, scale=3),
    "scale_offset u1": ours("scale_offset", "u1", offset=0, scale=2),
    "cast_value wrap": ours("cast_value", "i4", False, data_type="uint8", out_of_range="wrap"),
    "cast_value clamp": ours("cast_value", "f8", False, data_type="int8", out_of_range="clamp"),
    "cast_value error": ours("cast_value", "f4", False, data_type="uint16", rounding="towards-zero"),
    "cast_value float": ours("cast_value", "f8", False, data_type="float32"),
    "cast_value half": ours("cast_value", "f4", False, data_type="float16"),
    "cast_value map": ours(
        "cast_value", "i2", False, data_type="uint8", scalar_map={"encode": [[0, 200]], "decode": [[200, 0]]}
    ),
    "packbits": shared("packbits", "b1", True),
    "transpose": of_matrices("transpose", "i4", order=[2, 0, 1]),
    "transpose u1": of_matrices("transpose", "u1", order=[2, 1, 0]),
    "reshape": of_matrices("reshape", "f8", shape=[[0, 1], -1]),
    "singleton_dim": of_matrices("singleton_dim", "u2", operations=[{"insert": 0}, {"insert": 4}]),
    "squeeze": of_matrices("zarrs.squeeze", "u2"),
}
