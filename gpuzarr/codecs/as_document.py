"""Codec objects as members of a document: what the classes of `objects.py` have in common.

A codec has a `name`, and `configuration()` with its arguments as zarr-python writes them.
"""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np

from gpuzarr import codecs
from gpuzarr.batch import ChunkSpec
from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, MetadataError, ZarrDeprecationWarning, warn

Json = dict[str, Any]


def to_dict(codec: Any) -> Json:
    """The codec as `name` and `configuration`, which a document has as JSON."""
    configuration = codec.configuration()
    return {"name": codec.name, "configuration": configuration} if configuration else {"name": codec.name}


def from_dict(cls: Any, data: Json) -> Any:
    """Make the codec of its `name` and `configuration`. ArgumentError for those of another codec."""
    if not isinstance(data, dict) or data.get("name") != cls.name:
        raise ArgumentError(f"{cls.__name__} is made of a dict with the name {cls.name!r}, not {shown(data)}")
    try:
        return cls(**(data.get("configuration") or {}))
    except TypeError as error:
        raise ArgumentError(f"{shown(data)} makes no {cls.__name__}: {error}") from error


def plain(value: Any) -> Any:
    """A value of a configuration in the types of JSON."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list | tuple) else value


def check(codec: Any) -> None:
    """Raise ArgumentError where the arguments of a new codec mean nothing. An Enum becomes its value, and warns."""
    for part in fields(codec):
        if isinstance(value := getattr(codec, part.name), Enum):
            text = f"{type(codec).__name__}({part.name}=...): an enum is deprecated, give {value.value!r}"
            warn(text, ZarrDeprecationWarning)
            object.__setattr__(codec, part.name, value.value)
    check_configuration(codec.name, codec.configuration())


def check_configuration(name: str, configuration: Json) -> None:
    """Raise ArgumentError where the codec of that name does not take the configuration."""
    try:
        codecs.find(name, plain(configuration))
    except MetadataError as error:
        raise ArgumentError(str(error)) from error


def check_index(index_codecs: tuple[Any, ...], ndim: int) -> None:
    """Raise ArgumentError where codecs cannot encode the index of a shard, whose size must be known."""
    shard = {"chunk_shape": [1] * ndim, "codecs": ["bytes"], "index_codecs": [plain(c.to_dict()) for c in index_codecs]}
    try:
        found: Any = codecs.find("sharding_indexed", shard)
        found.index_bytes(ChunkSpec((1,) * ndim, np.dtype(np.uint8), np.uint8(0)))
    except MetadataError as error:
        raise ArgumentError(str(error)) from error


def arguments(codec: Any) -> Json:
    """The arguments that are not None."""
    found = {part.name: getattr(codec, part.name) for part in fields(codec) if part.name[0] != "_"}
    return {name: value for name, value in found.items() if value is not None}


def item(codec: Any, key: str) -> Any:
    """A member of the codec in a document: its "name" or "configuration"."""
    return plain(codec.to_dict())[key]


def equals(codec: Any, other: object) -> bool:
    """Return True if two codecs are of one class with the same arguments, or the other is a dict that says the same."""
    if isinstance(other, dict):
        return bool(plain({"configuration": {}} | codec.to_dict()) == plain({"configuration": {}} | other))
    return vars(codec) == vars(other) if type(other) is type(codec) else NotImplemented
