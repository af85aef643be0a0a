"""Codecs and shards of an array as xarray's encoding has them: objects of zarr-python where it is installed."""

from __future__ import annotations

import json
import warnings
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from gpuzarr.nodes.array import Array

FORMAT = {"zarr_format": 3, "node_type": "array", "chunk_key_encoding": {"name": "default"}}


def codecs_as_encoding(array: Array) -> dict[str, Any]:
    """`compressors`, `filters`, `shards` and, in Zarr v3, `serializer`, as `Dataset.to_zarr` takes them.

    Codecs of v2 are objects of numcodecs. Those of v3 are objects of zarr-python, as xarray's own writer wants; or,
    where that is not installed or does not know a codec, dicts as in metadata, which every writer takes.
    """
    if array.zarr_format == 2:
        return {"compressors": array.compressors, "filters": array.filters, "shards": None}
    filters, serializer, compressors = _of_zarr_python(_codecs_document(array)) or _documents(array)
    return {"compressors": compressors, "filters": filters, "shards": array.shards, "serializer": serializer}


def _codecs_document(array: Array) -> str:
    """The document of an array of one chunk with the same codecs, which many arrays share: it is parsed once."""
    document = array.metadata.document
    members = {name: document.get(name) for name in ("codecs", "data_type", "fill_value")}
    chunk = [1] * array.ndim if array.shards is None else document["chunk_grid"]["configuration"].get("chunk_shape")
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    return json.dumps(members | FORMAT | {"shape": chunk, "chunk_grid": grid}, default=str)


def _documents(array: Array) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]]:
    """Filters, serializer and compressors as documents."""
    filters, compressors = ([codec.to_dict() for codec in each] for each in (array.filters, array.compressors))
    return tuple(filters), array.serializer.to_dict(), tuple(compressors)


@lru_cache(maxsize=256)
def _of_zarr_python(document: str) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]] | None:
    """Filters, serializer and compressors of an array as objects of zarr-python; None if it cannot make them.

    zarr-python adapts codecs to the data type: elements of one byte need no byte order, for example.
    """
    if find_spec("zarr") is None:
        return None
    from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec
    from zarr.core.metadata.v3 import ArrayV3Metadata

    try:
        with warnings.catch_warnings():  # xarray's own engine warns when it opens the array
            warnings.simplefilter("ignore")
            codecs = ArrayV3Metadata.from_dict(json.loads(document)).inner_codecs
    except Exception:  # it raises many kinds for codecs and data types that it does not know
        return None
    by_kind = [
        tuple(c for c in codecs if isinstance(c, k)) for k in (ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)
    ]
    return by_kind[0], by_kind[1][0], by_kind[2]
