"""Codecs and shards of an array as xarray's encoding has them: objects of zarr-python where it is installed."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from gpuzarr.nodes.array import Array


def codecs_as_encoding(array: Array) -> dict[str, Any]:
    """`compressors`, `filters`, `shards` and, in Zarr v3, `serializer`, as `Dataset.to_zarr` takes them.

    Codecs of v2 are objects of numcodecs. Those of v3 are objects of zarr-python, which xarray's own writer wants; or
    where that is not installed, or does not know one, documents, which all take.
    """
    found = {"compressors": array.compressors, "filters": array.filters, "shards": array.shards}
    if array.zarr_format == 2:
        return found
    return {
        "compressors": tuple(map(_foreign, array.compressors)),
        "filters": tuple(map(_foreign, array.filters)),
        "shards": array.shards,
        "serializer": _foreign(array.serializer),
    }


def _foreign(codec: Any) -> Any:
    return _of_zarr_python(json.dumps(codec.to_dict(), sort_keys=True, default=str))


@lru_cache(maxsize=256)
def _of_zarr_python(document: str) -> Any:
    member = json.loads(document)
    if find_spec("zarr") is None:
        return member
    from zarr.registry import get_codec_class

    try:
        return get_codec_class(member["name"]).from_dict(member)
    except Exception:  # it raises many kinds for codecs that it does not know
        return member
