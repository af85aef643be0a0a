"""Codecs of arrays, each with a plain model: what numcodecs or NumPy makes of one chunk.

A row is a function that draws a codec for chunks of some shape and dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numcodecs
import numpy as np
from hypothesis import strategies as st

Chunk = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Filter:
    """`codec`: as documents have it. `encode` and `decode` are of one chunk, and raise FloatingPointError where the
    conversion of a float is not defined. `in_zarr_python`: it has the codec; of filters of numcodecs it hands over
    elements in the byte order of the codec `bytes`, which they take for their own."""

    codec: dict[str, Any]
    encode: Callable[[Chunk], Chunk]
    decode: Callable[[Chunk], Chunk]
    shape: tuple[int, ...]
    dtype: np.dtype
    in_zarr_python: bool = False


def drawn(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    """One of the filters that take chunks of this shape and dtype."""
    fitting = [row for row, kinds in FILTERS.items() if dtype.kind in kinds]
    return draw(st.sampled_from(fitting))(draw, shape, dtype)


def of_numcodecs(shape: tuple[int, ...], of: np.dtype, id: str, after: Any = None, **configuration: Any) -> Filter:
    """A filter of numcodecs, which takes chunks as flat arrays. `after`: the stored dtype."""
    library = numcodecs.get_codec({"id": id, **configuration})
    kept = np.dtype(configuration.get("dtype", of) if after is None else after)  # in its byte order
    taken = np.dtype(configuration.get("dtype", configuration.get("decode_dtype", of)))
    stored = kept.newbyteorder("=")

    def encode(chunk: Chunk) -> Chunk:
        made = np.asarray(library.encode(np.ascontiguousarray(chunk.astype(taken))))
        return made.reshape(shape).view(of) if id == "bitround" else made.reshape(shape).astype(stored)

    def decode(chunk: Chunk) -> Chunk:
        made = np.asarray(library.decode(np.ascontiguousarray(chunk.astype(kept))))
        return (made if id == "bitround" else made.astype(of)).reshape(shape)

    codec = {"name": f"numcodecs.{id}", "configuration": configuration}
    return Filter(codec, encode, decode, shape, stored, in_zarr_python=">" not in str(configuration))


def moved(
    name: str, configuration: Any, shape: tuple[int, ...], dtype: np.dtype, *ways: Any, known: bool = False
) -> Filter:
    """A filter that moves elements: `ways`, there and back."""
    return Filter({"name": name, "configuration": configuration}, *ways, shape, dtype, known)


def order_of(draw: Any, dtype: np.dtype) -> str:
    """The dtype as a text, in either byte order."""
    return dtype.newbyteorder(draw(st.sampled_from("<>"))).str


def transpose(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    order = draw(st.permutations(range(len(shape))))
    after = tuple(shape[axis] for axis in order)
    ways = lambda chunk: chunk.transpose(order), lambda chunk: chunk.transpose(np.argsort(order))
    return moved("transpose", {"order": list(order)}, after, dtype, *ways, known=True)


def reshape(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    cut = draw(st.integers(0, len(shape)))
    parts = [list(range(cut)), list(range(cut, len(shape)))]
    sizes: list[Any] = draw(st.sampled_from([[-1], [part for part in parts if part], [prod(shape[:cut]), -1], [1, -1]]))
    target = np.empty(shape).reshape([prod(shape[a] for a in s) if isinstance(s, list) else s for s in sizes]).shape
    ways = lambda chunk: chunk.reshape(target), lambda chunk: chunk.reshape(shape)
    return moved("reshape", {"shape": sizes}, target, dtype, *ways)


def squeeze(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    target = tuple(size for size in shape if size != 1) or (1,)
    ways = lambda chunk: chunk.reshape(target), lambda chunk: chunk.reshape(shape)
    return moved("zarrs.squeeze", {}, target, dtype, *ways)


def delta(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    wide = [
        kind
        for kind in ["i1", "i2", "i4", "i8", "f2", "f4", "f8"]
        if np.dtype(kind).kind == dtype.kind or dtype.kind == "u"
    ]
    after = draw(st.sampled_from([dtype, dtype, *map(np.dtype, wide)]))
    given = {"dtype": order_of(draw, dtype), "astype": order_of(draw, after)}
    return of_numcodecs(shape, dtype, "delta", given["astype"], **given)


def fixedscaleoffset(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    after = draw(st.sampled_from([None, "u1", "<i2", ">i4", "<i8", "<f4", ">f8", "<u8"]))
    given = {
        "offset": draw(st.sampled_from([0, 10, -3, 0.5, 1000])),
        "scale": draw(st.sampled_from([1, 2, 10, 0.1, 0.5])),
    }
    given |= {"dtype": order_of(draw, dtype)} | ({} if after is None else {"astype": after})
    return of_numcodecs(shape, dtype, "fixedscaleoffset", after, **given)


def quantize(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    after = draw(st.sampled_from(["<f2", ">f4", "<f8", dtype.str]))
    given = {"digits": draw(st.integers(-2, 5)), "dtype": order_of(draw, dtype), "astype": after}
    return of_numcodecs(shape, dtype, "quantize", after, **given)


def bitround(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    return of_numcodecs(shape, dtype, "bitround", keepbits=draw(st.integers(0, np.finfo(dtype).nmant)))


def astype(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    after = draw(st.sampled_from(["|i1", "|u1", "<i2", ">u2", "<i4", ">u4", "<i8", "<u8", "<f2", "<f4", ">f8", "|b1"]))
    return of_numcodecs(shape, dtype, "astype", after, encode_dtype=after, decode_dtype=order_of(draw, dtype))


def scale_offset(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    """Of integers there is no model, but errors: tests/codecs/test_numbers.py has the rules."""
    numbers = ([0, 2, -0.5, 100], [1, 4, 0.25, 3, -1]) if dtype.kind == "f" else ([0, 2, 100], [1, 2, 3])
    offset, scale = (draw(st.sampled_from(some)) for some in numbers)
    o, s = dtype.type(offset), dtype.type(scale)
    ways = lambda chunk: ((chunk - o) * s).astype(dtype), lambda chunk: (chunk / s + o).astype(dtype)
    ways = ways if dtype.kind == "f" else (no_model, no_model)
    return moved("scale_offset", {"offset": offset, "scale": scale}, shape, dtype, *ways)


def cast_value(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Filter:
    """Between integers, with wrapping, and to wider floats; other rules are in tests/codecs/test_numbers.py."""
    names = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")
    target = np.dtype(draw(st.sampled_from(names)))
    given: dict[str, Any] = {"data_type": target.name}
    if target.kind != "f":
        given |= {"out_of_range": draw(st.sampled_from(["wrap", "wrap", "clamp", "error"]))}
        given |= {"rounding": draw(st.sampled_from(["nearest-even", "towards-zero", "nearest-away"]))}
    if draw(st.integers(0, 3)) == 0:
        given["scalar_map"] = {"encode": [[0, 7], [1, 0]], "decode": [[7, 0]]}
    plain = "scalar_map" not in given and (dtype.kind, target.kind) != ("f", "f")
    plain = plain and dtype.kind != "f" and given.get("out_of_range") == "wrap"
    ways = (lambda chunk: chunk.astype(target), lambda chunk: chunk.astype(dtype)) if plain else (no_model, no_model)
    return moved("cast_value", given, shape, target, *ways)


def no_model(chunk: Chunk) -> Chunk:
    raise FloatingPointError("no plain model")


Row = Callable[[Any, tuple[int, ...], np.dtype], Filter]
FILTERS: dict[Row, str] = {  # with the kinds of dtypes that each takes
    transpose: "biufc",
    reshape: "biufc",
    squeeze: "biufc",
    delta: "iuf",
    fixedscaleoffset: "iuf",
    quantize: "f",
    bitround: "f",
    astype: "biuf",
    scale_offset: "iuf",
    cast_value: "iuf",
}
