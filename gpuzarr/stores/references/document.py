"""Documents of kerchunk, of version 0 and 1: objects that are text, base64 or JSON, or ranges of what URLs name.

Source: kerchunk's specification of references. A document of many references is parsed column by column.
"""

from __future__ import annotations

import gc
import json
import zlib
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter
from typing import Any

import numpy as np

from gpuzarr.checks import MAX_DOCUMENT_BYTES, at, mapping, shown
from gpuzarr.errors import MetadataError, UnsupportedError
from gpuzarr.stores.parts import INLINE
from gpuzarr.stores.references.templates import Templates, generated

BASE64 = b"base64:"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, eq=False)
class Columns:
    """References: `keys[row]` is the key of an object, and its row in the other columns, int64 (n,), says where it is.

    `holders[row]` counts in `urls`, or is INLINE where the object is `inline[row]`: text, base64 behind "base64:", or a
    JSON object. It is `sizes[row]` bytes at `offsets[row]` of what the URL names; a size of -1 means up to its end.
    """

    keys: Sequence[str]
    holders: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    urls: Sequence[str]
    inline: Mapping[int, Any]


def load(data: bytes, where: str) -> dict[str, Any]:
    """Load a document, which may be compressed by gzip or Zstandard. MetadataError, naming it, if it is none."""
    with at(where):
        try:
            return mapping(_parsed(_decompressed(data)), "the document")
        except ValueError as error:
            raise MetadataError(f"no JSON: {error}") from error


def _parsed(data: bytes) -> Any:
    """Parse JSON. Millions of lists are made, none of them garbage: looking for some takes as long as parsing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return json.loads(data)
    finally:
        if was_enabled:
            gc.enable()


def parse(document: Any, where: str, overrides: Mapping[str, str] | None = None) -> Columns:
    """Parse a document. `overrides`: templates that replace those of the document.

    MetadataError for a wrong document, naming the key; UnsupportedError for features of Jinja2 and other versions.
    """
    with at(where):
        document = mapping(document, "the document")
        if "version" not in document:
            return columns(document, Templates({}))
        if document["version"] != 1 or isinstance(document["version"], bool):
            raise UnsupportedError(f"references of version {shown(document['version'])}; 0 and 1 are known")
        templates = Templates.parse({**mapping(document.get("templates", {}), "templates"), **(overrides or {})})
        refs = mapping(document.get("refs", {}), "refs")
        if document.get("gen"):
            refs = {**refs, **dict(generated(document["gen"], templates))}
        return columns(refs, templates)


def columns(refs: dict[str, Any], templates: Templates) -> Columns:
    """Make the columns of references."""
    values = list(refs.values())
    ranged = np.array([type(value) is list for value in values], bool)
    lists = list(compress(values, ranged))
    counts = np.array(list(map(len, lists)), np.int64)
    if not (np.isin(counts, (1, 3)).all() and set(map(type, map(itemgetter(0), lists))) <= {str}):
        raise _wrong(refs)
    numbers = {url: number for number, url in enumerate(dict.fromkeys(map(itemgetter(0), lists)))}
    holders = np.full((3, len(values)), (INLINE,), np.int64)
    holders[0][ranged] = list(map(numbers.__getitem__, map(itemgetter(0), lists)))
    holders[1][:], holders[2][:] = 0, -1
    holders[1:, np.flatnonzero(ranged)[counts == 3]] = _places(list(compress(lists, counts == 3)), refs)
    inline = {int(row): values[row] for row in np.flatnonzero(~ranged)}
    if not set(map(type, inline.values())) <= {str, bytes, dict}:
        raise _wrong(refs)
    urls = [copied(templates.render(url)) for url in numbers]
    return Columns(list(refs), holders[0], holders[1], holders[2], urls, inline)


def copied(value: Any) -> Any:
    """A text in memory of its own: what is left of a document must not lie between the millions of texts that go."""
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass") if isinstance(value, str) else value


def _places(parts: list[list[Any]], refs: dict[str, Any]) -> np.ndarray:
    """The offsets and sizes of references to ranges, (2, n)."""
    offsets, sizes = (list(map(itemgetter(column), parts)) for column in (1, 2))
    if not set(map(type, offsets)) | set(map(type, sizes)) <= {int}:
        raise _wrong(refs)
    try:
        found = np.array([offsets, sizes], np.int64)
    except OverflowError as error:
        raise _wrong(refs) from error
    if found.size and (found.min() < 0 or (found[0] > np.iinfo(np.int64).max - found[1]).any()):
        raise _wrong(refs)
    return found


def _wrong(refs: dict[str, Any]) -> MetadataError:
    """The error for the first reference that is none."""
    key = next((key for key, value in refs.items() if not _is_reference(value)), "")
    forms = "text, a JSON object, [url] or [url, offset, size]"
    return MetadataError(f"the reference at {shown(key)} must be {forms}, not {shown(refs.get(key))}")


def _is_reference(value: Any) -> bool:
    if type(value) is not list:
        return isinstance(value, str | bytes | dict)
    numbers = value[1:]
    is_range = not numbers or (
        len(numbers) == 2 and all(type(each) is int and each >= 0 for each in numbers) and sum(numbers) < 2**63
    )
    return bool(value) and isinstance(value[0], str) and is_range


def inline_bytes(value: Any, key: str) -> bytes:
    """The bytes of an object that is in the references themselves. MetadataError, naming the key, for bad base64."""
    data: bytes = json.dumps(value).encode() if isinstance(value, dict) else _encoded(value, key)
    if not data.startswith(BASE64):
        return data
    try:
        return b64decode(data[len(BASE64) :], validate=True)
    except ValueError as error:
        raise MetadataError(f"the reference at {shown(key)} cannot be decoded: {error}") from error


def _encoded(value: str | bytes, key: str) -> bytes:
    try:
        return value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError as error:
        raise MetadataError(f"the reference at {shown(key)} cannot be stored: {error}") from error


def _decompressed(data: bytes) -> bytes:
    if data.startswith(_GZIP):
        return _from_gzip(data)
    return _from_zstd(data) if data.startswith(_ZSTD) else data


def _from_gzip(data: bytes) -> bytes:
    inflater = zlib.decompressobj(31)
    try:
        found = inflater.decompress(data, MAX_DOCUMENT_BYTES + 1)
    except zlib.error as error:
        raise MetadataError(f"bad gzip: {error}") from error
    if len(found) > MAX_DOCUMENT_BYTES or not inflater.eof or inflater.unused_data:
        raise MetadataError(f"it is no gzip file of one member and at most {MAX_DOCUMENT_BYTES} bytes")
    return found


def _from_zstd(data: bytes) -> bytes:
    import cramjam

    into = np.empty(MAX_DOCUMENT_BYTES, np.uint8)  # memory that is not written is not used
    try:
        count: int = cramjam.zstd.decompress_into(data, into)
    except Exception as error:  # of cramjam's own class
        raise MetadataError(f"bad Zstandard, or more than {MAX_DOCUMENT_BYTES} bytes: {error}") from error
    return into[:count].tobytes()
