"""Convert codecs as users give them to the JSON of a document.

A codec is given as a name; as a dict in the form of either version of Zarr; or as an object of zarr-python (which has
`to_dict`), of numcodecs (`get_config`) or of gpuzarr.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from gpuzarr.checks import known, shown
from gpuzarr.errors import MetadataError

Json = dict[str, Any]
_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
_REGISTERED = ("blosc", "gzip", "zstd", "crc32c", "bytes", "transpose", "sharding_indexed", "vlen-utf8", "vlen-bytes")


def listed(given: Any) -> list[Any]:
    """A list of one codec, several, or none."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def v3(codec: Any, itemsize: int) -> Json:
    """A member of a v3 `codecs` list. `itemsize`: bytes by which blosc shuffles if it has no typesize."""
    found = _document(codec)
    if "id" in found:
        name, configuration = found["id"], {key: value for key, value in found.items() if key != "id"}
        name = name if name in _REGISTERED or name.startswith("numcodecs.") else f"numcodecs.{name}"
    else:
        name, configuration = found["name"], dict(found.get("configuration") or {})
    complete = {"blosc": _blosc, "zstd": _zstd, "gzip": _gzip}.get(name)
    configuration = complete(configuration, itemsize) if complete else dict(configuration)
    for part in ("codecs", "index_codecs"):  # of a shard
        if isinstance(configuration.get(part), list | tuple):
            configuration[part] = [v3(member, itemsize) for member in configuration[part]]
    is_needed = configuration or name.startswith("numcodecs.")  # zarr-python needs an empty one, too, for these
    return {"name": name, "configuration": configuration} if is_needed else {"name": name}


def v2(codec: Any) -> Json:
    """A member of a v2 `filters` list, or a `compressor`."""
    found = _document(codec)
    if "id" in found:
        needless = ("checksum",) if found["id"] == "zstd" and not found.get("checksum") else ()
        return {name: value for name, value in found.items() if name not in needless}  # unknown to older numcodecs
    return {"id": found["name"].removeprefix("numcodecs."), **_for_v2(dict(found.get("configuration") or {}))}


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
    return {**found, "configuration": configuration}


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
    made = {"cname": "zstd", "clevel": 5, "blocksize": 0} | given | {"typesize": typesize, "shuffle": shuffle}
    return {name: getattr(value, "value", value) for name, value in made.items()}


def _zstd(given: Json, itemsize: int) -> Json:
    return {"level": 0, "checksum": False} | given


def _gzip(given: Json, itemsize: int) -> Json:
    return {"level": 5} | given
