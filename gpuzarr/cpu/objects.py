"""Documents of chunks of Python objects, for json2, msgpack2 and pickle. Source: numcodecs.

A document is a list: the elements (in lists nested as the axes are), their dtype, their shape.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.checks import INT64_MAX, NDIM_MAX, shown
from gpuzarr.errors import CodecError

# Bytes of a document, and for each element, if that is more. A byte may become 80: an empty list.
MAX_OBJECTS_BYTES, MAX_OBJECT_BYTES = 1 << 26, 1 << 10


def of_documents(spec: ChunkSpec) -> BytesSpec:
    """The spec of documents of chunks: up to a limit, or to what the caller allows, if that is more."""
    most = max(MAX_OBJECTS_BYTES, MAX_OBJECT_BYTES * prod(spec.shape), spec.allowed)
    return BytesSpec(None, most, spec.allowed)


def row(document: Any, spec: ChunkSpec) -> np.ndarray:
    """Parse a document to the elements of a chunk, as one row. CodecError where they do not fit `spec`."""
    count = prod(spec.shape)
    if not isinstance(document, list) or len(document) < 2:
        raise CodecError("the document is no list of elements, dtype and shape")
    shape = document[-1]
    if not isinstance(shape, list | tuple) or len(shape) > NDIM_MAX:
        raise CodecError(f"the document has no shape, but {shown(shape)}")
    if not all(type(size) is int and 0 <= size <= INT64_MAX for size in shape):
        raise CodecError(f"the document has no shape, but {shown(shape)}")
    if prod(shape) != count:
        raise CodecError(f"{prod(shape)} elements, expected {count}")
    items = document[:-2]
    for axis, size in enumerate(shape or [1]):
        if axis:
            items = [item for part in items for item in _list(part, size)]
        elif len(items) != size:
            raise CodecError(f"{len(items)} elements on the first axis, expected {size}")
    return _filled(items, spec.dtype)


def flat(batch: np.ndarray) -> np.ndarray:
    """Reshape a batch to one row a chunk, in C order."""
    return batch.reshape(len(batch), prod(batch.shape[1:]))


def document(elements: np.ndarray, shape: tuple[int, ...]) -> list[Any]:
    """Make the document of a chunk of objects."""
    texts = elements.dtype.kind == "T"
    values = (elements.astype(object) if texts else elements).reshape(shape)
    return [*np.atleast_1d(values).tolist(), values.dtype.str, list(shape)]


def _list(part: Any, size: int) -> list[Any]:
    if not isinstance(part, list | tuple) or len(part) != size:
        raise CodecError(f"the elements are not nested as the shape demands ({size} here)")
    return list(part)


def _filled(items: list[Any], dtype: np.dtype) -> np.ndarray:
    if dtype.kind != "O":
        return np.array(items, dtype=dtype)
    return np.fromiter(items, object, len(items))
