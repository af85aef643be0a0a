"""Batches of decoded chunks in the form that array codecs compute with, and the dtypes in their configurations."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.errors import MetadataError


def native(batch: Any) -> Any:
    """The batch in native byte order; itself where it is that already."""
    return batch if batch.dtype.isnative else batch.astype(batch.dtype.newbyteorder("="))


def rows(batch: Any) -> Any:
    """One row a chunk, its elements in C order, in native byte order; a view where that is possible."""
    return native(batch).reshape(len(batch), prod(batch.shape[1:]))


def viewed(batch: Any, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """The bytes of each chunk as elements of another dtype."""
    if batch.dtype == dtype and batch.shape[1:] == shape:
        return batch
    flat = np.ascontiguousarray(rows(batch))
    if not flat.size:
        return np.empty((len(batch), *shape), dtype)
    return flat.view(dtype).reshape(len(batch), *shape)


def numpy_dtype(text: Any, codec: str) -> np.dtype:
    """The dtype that a configuration names as "<i4" or "int32", with its byte order. MetadataError if none is meant."""
    if not isinstance(text, str | np.dtype):
        raise MetadataError(f"codec {codec!r}: {text!r} is not a dtype")
    try:
        dtype = np.dtype(text)
    except TypeError as error:
        raise MetadataError(f"codec {codec!r}: {text!r} is not a dtype") from error
    return dtype


def part(dtype: np.dtype) -> tuple[np.dtype, int]:
    """What an element is made of, and of how many: a complex number of two floats, any other of itself.

    The complex numbers of ml_dtypes have two parts too, which NumPy does not know; those of other narrow floats are
    records of `real` and `imag`.
    """
    if dtype.names == ("real", "imag"):
        return dtype["real"], 2
    if dtype.kind == "c":
        return np.dtype(f"f{dtype.itemsize // 2}"), 2
    if dtype.name in ("complex32", "bcomplex32"):
        import ml_dtypes

        return np.dtype(np.float16 if dtype.name == "complex32" else ml_dtypes.bfloat16), 2
    return dtype, 1


def reinterpreted(spec: ChunkSpec, dtype: np.dtype, codec: str) -> ChunkSpec:
    """`spec` with its bytes taken as elements of `dtype` (native). The shape is kept where the item size is."""
    dtype = dtype.newbyteorder("=")
    if dtype == spec.dtype:
        return spec
    sizes = sorted((spec.dtype.itemsize, dtype.itemsize))
    if spec.nbytes is None or dtype.hasobject or not sizes[0] or sizes[1] % sizes[0] or spec.nbytes % dtype.itemsize:
        raise MetadataError(f"codec {codec!r} takes elements of {dtype}, not {spec.dtype} of shape {spec.shape}")
    shape = spec.shape if dtype.itemsize == spec.dtype.itemsize else (spec.nbytes // dtype.itemsize,)
    return ChunkSpec(shape, dtype, cast_fill(spec.fill_value, dtype))


def cast_fill(fill_value: Any, dtype: np.dtype) -> Any:
    """The fill value as a scalar of `dtype`; None where there is none, or it does not fit."""
    fill = np.array(fill_value)
    if fill_value is None or part(fill.dtype)[1] > part(dtype)[1]:
        return None
    try:
        return fill.astype(dtype)[()]
    except (TypeError, ValueError, OverflowError):
        return None
