"""Convert codecs as users give them to the JSON of a document.

A codec is given as a name; as a dict in the form of either version of Zarr; or as an object of `gpuzarr.codecs` or
zarr-python (which has `to_dict`), of numcodecs (`get_config`) or of a class that decodes. Dicts may hold all of them.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from gpuzarr.checks import known, mapping, shown
from gpuzarr.codecs import class_of
from gpuzarr.errors import MetadataError

Json = dict[str, Any]
_UNKNOWN_TO_OLD = {("zstd", "checksum"): False, ("blosc", "typesize"): None}  # numcodecs; needless there
_OF_THE_DTYPE = {  # members of numcodecs' filters that zarr-python adds
    "numcodecs.astype": "decode_dtype",
    "numcodecs.fixedscaleoffset": "dtype",
    "numcodecs.quantize": "dtype",
}
_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
_REGISTERED = ("blosc", "gzip", "zstd", "crc32c", "bytes", "transpose", "sharding_indexed", "vlen-utf8", "vlen-bytes")


def v3(codec: Any, itemsize: int, dtype: str = "") -> Json:
    """A member of a v3 `codecs` list.

    `itemsize`: bytes by which blosc and shuffle order bytes, if they do not say it; `dtype`: NumPy's name of the
    array's dtype, for the filters of numcodecs that do not name one.
    """
    found = _document(codec)
    if "id" in found:
        name, configuration = found["id"], {key: value for key, value in found.items() if key != "id"}
        name = name if name in _REGISTERED or _is_only_of_v3(name) else f"numcodecs.{name}"
    else:
        name, configuration = _full_name(found["name"]), found.get("configuration") or {}
    configuration = mapping(configuration, f"configuration of codec {name!r}")
    configuration = {key: _json(value, itemsize, dtype) for key, value in configuration.items()}
    complete = {
        "blosc": _blosc,
        "zstd": _zstd,
        "gzip": _gzip,
        "numcodecs.shuffle": _shuffle,
        "zarrs.gdeflate": _gdeflate,
    }.get(name)
    configuration = complete(configuration, itemsize) if complete else configuration
    if name in _OF_THE_DTYPE and dtype and configuration.get(_OF_THE_DTYPE[name]) is None:
        configuration[_OF_THE_DTYPE[name]] = dtype
    for part in ("codecs", "index_codecs"):  # of a shard
        if isinstance(configuration.get(part), list):
            size = 8 if part == "index_codecs" else itemsize
            configuration[part] = [v3(member, size, dtype) for member in configuration[part]]
    is_needed = configuration or name.startswith("numcodecs.")  # zarr-python needs an empty one, too, for these
    return {"name": name, "configuration": configuration} if is_needed else {"name": name}


def _full_name(name: str) -> str:
    """`numcodecs.NAME` if other libraries know the codec by that name; else the name as it is."""
    found = class_of(3, name)
    full = f"numcodecs.{name}"
    return full if found is not None and found.names[0] == full else name


def _is_only_of_v3(name: str) -> bool:
    """Whether a name, given as an id of numcodecs, is that of a codec which numcodecs does not have."""
    is_other = class_of(3, name) is not None and class_of(3, f"numcodecs.{name}") is None
    return is_other or name.startswith("numcodecs.")


def v2(codec: Any) -> Json:
    """A member of a v2 `filters` list, or a `compressor`."""
    found = _document(codec)
    if "id" in found:
        return {key: value for key, value in found.items() if value is not _UNKNOWN_TO_OLD.get((found["id"], key), ...)}
    return {"id": found["name"].removeprefix("numcodecs."), **_for_v2(dict(found.get("configuration") or {}))}


def _json(value: Any, itemsize: int, dtype: str) -> Any:
    """A value of a configuration as JSON: tuples, enums, dtypes, and codecs and data types in it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.dtype):
        return value.str
    if isinstance(value, dict):
        return {name: _json(member, itemsize, dtype) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_json(member, itemsize, dtype) for member in value]
    if hasattr(value, "to_dict") or hasattr(value, "get_config"):
        return v3(value, itemsize, dtype)
    return value.to_json(zarr_format=3) if hasattr(value, "to_json") else value


def _document(codec: Any) -> Json:
    if isinstance(codec, str):
        return {"name": codec}
    if not isinstance(codec, dict | type):
        if hasattr(codec, "to_dict"):
            return _of_zarr(codec)
        if hasattr(codec, "get_config"):
            return dict(codec.get_config())
        if is_dataclass(codec) and hasattr(codec, "names"):
            return _of_ours(codec)
    if isinstance(codec, dict) and isinstance(codec.get("id"), str):
        return codec
    if isinstance(codec, dict) and isinstance(codec.get("name"), str):
        return known(codec, f"codec {codec['name']!r}", ("name", "configuration", "must_understand"))
    raise MetadataError(f"{shown(codec)} is not a codec: give a name, a dict, or an object of zarr-python or numcodecs")


def _of_zarr(codec: Any) -> Json:
    """The JSON of an object of zarr-python, without what it leaves to the array (blosc: typesize and shuffle)."""
    found: Json = codec.to_dict()
    open_still = getattr(codec, "_tunable_attrs", ())
    configuration = {k: v for k, v in (found.get("configuration") or {}).items() if k not in open_still}
    parts = [part for part in ("codecs", "index_codecs") if part in configuration and hasattr(codec, part)]
    inside = {part: getattr(codec, part) for part in parts}
    return {**found, "configuration": configuration | inside}  # codecs in it may leave something to the array, too


def _of_ours(codec: Any) -> Json:
    members = {field.name: getattr(codec, field.name) for field in fields(codec)}
    given = {name: _plain(value) for name, value in members.items() if value is not None}
    return {"name": codec.names[0], "configuration": given} if codec.names else {"id": codec.ids[0], **given}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if isinstance(value, np.dtype):
        return value.str
    return _of_ours(value) if is_dataclass(value) else value


def _for_v2(configuration: Json) -> Json:
    shuffle = configuration.get("shuffle")
    return configuration | ({"shuffle": _SHUFFLES.index(shuffle)} if shuffle in _SHUFFLES else {})


def _blosc(given: Json, itemsize: int) -> Json:
    """A configuration with all members that the specification requires, and the name of the shuffle."""
    typesize = given.get("typesize") or max(itemsize, 1)
    shuffle = given.get("shuffle", "bitshuffle" if typesize == 1 else "shuffle")
    if isinstance(shuffle, int):
        shuffle = _SHUFFLES[shuffle] if shuffle >= 0 else _SHUFFLES[2 if typesize == 1 else 1]
    return {"cname": "zstd", "clevel": 5, "blocksize": 0} | given | {"typesize": typesize, "shuffle": shuffle}


def _shuffle(given: Json, itemsize: int) -> Json:
    return given | {"elementsize": given.get("elementsize") or max(itemsize, 1)}


def _zstd(given: Json, itemsize: int) -> Json:
    return {"level": 0, "checksum": False} | given


def _gzip(given: Json, itemsize: int) -> Json:
    return {"level": 5} | given


def _gdeflate(given: Json, itemsize: int) -> Json:
    return {"level": 9} | given
