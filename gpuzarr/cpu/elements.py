"""Convert batches for array codecs to compute with, and parse the dtypes in their configurations."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.checks import shown
from gpuzarr.dtypes.cast import is_float
from gpuzarr.errors import MetadataError

_MAX_DTYPE_LENGTH = 64  # characters: NumPy takes lists of dtypes, too, which no codec has


def native(batch: Any) -> Any:
    """Convert a batch to native byte order; itself where it has that."""
    return batch if batch.dtype.isnative else batch.astype(batch.dtype.newbyteorder("="))


def converted(values: Any, dtype: np.dtype) -> Any:
    """Convert elements as `astype` of NumPy, but floats to uint32 by way of int64. It may be the same array.

    Of a float that uint32 does not hold NumPy makes one number or another, by the element's place in its array. NumPy's
    warnings are for the caller to silence.
    """
    if dtype == np.uint32 and (values.dtype.kind in "fc" or is_float(values.dtype)):
        values = (values.real if values.dtype.kind == "c" else values).astype(np.int64)
    return values.astype(dtype, copy=False)


def rows(batch: Any) -> Any:
    """Reshape a batch to one row a chunk, in C order and native byte order; a view where possible."""
    return native(batch).reshape(len(batch), prod(batch.shape[1:]))


def viewed(batch: Any, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """View the bytes of each chunk as elements of another dtype, of a given shape."""
    if batch.dtype == dtype and batch.shape[1:] == shape:
        return batch
    flat = np.ascontiguousarray(rows(batch))
    if not flat.size:
        return np.empty((len(batch), *shape), dtype)
    return flat.view(dtype).reshape(len(batch), *shape)


def numpy_dtype(text: Any, codec: str) -> np.dtype:
    """Parse a dtype in a configuration, as "<i4" or "int32", with its byte order. MetadataError if it is none."""
    if not isinstance(text, str | np.dtype) or (isinstance(text, str) and len(text) > _MAX_DTYPE_LENGTH):
        raise MetadataError(f"codec {codec!r}: {shown(text)} is not a dtype")
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError, SyntaxError) as error:
        raise MetadataError(f"codec {codec!r}: {shown(text)} is not a dtype") from error
    return dtype


def with_dtypes(configuration: dict[str, Any], codec: str, *names: str) -> dict[str, Any]:
    """A configuration in which these members are parsed, where they are given."""
    given = {name: configuration[name] for name in names if configuration.get(name) is not None}
    return configuration | {name: numpy_dtype(text, codec) for name, text in given.items()}


def part(dtype: np.dtype) -> tuple[np.dtype, int]:
    """The dtype and the number of an element's parts: a complex number has two floats, any other element is one part.

    NumPy does not know that complex numbers of ml_dtypes have two parts, too; those of other narrow floats are records
    of `real` and `imag`.
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
    """The spec of the same bytes as elements of `dtype` (native); of the same shape where the item size is the same."""
    dtype = dtype.newbyteorder("=")
    if dtype == spec.dtype:
        return spec
    sizes = sorted((spec.dtype.itemsize, dtype.itemsize))
    if spec.nbytes is None or dtype.hasobject or not sizes[0] or sizes[1] % sizes[0] or spec.nbytes % dtype.itemsize:
        raise MetadataError(f"codec {codec!r} takes elements of {dtype}, not {spec.dtype} of shape {spec.shape}")
    shape = spec.shape if dtype.itemsize == spec.dtype.itemsize else (spec.nbytes // dtype.itemsize,)
    return ChunkSpec(shape, dtype, cast_fill(spec.fill_value, dtype))


def cast_fill(fill_value: Any, dtype: np.dtype) -> Any:
    """Cast a fill value to a scalar of `dtype`; None where there is none, or it does not fit."""
    fill = np.array(fill_value)
    if fill_value is None or part(fill.dtype)[1] > part(dtype)[1]:
        return None
    try:
        return fill.astype(dtype)[()]
    except (TypeError, ValueError, OverflowError):
        return None
