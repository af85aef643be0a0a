"""Checks of JSON values and of arguments. Each function returns the value, or raises an error that names the field.

It is a MetadataError for the member of a document, an ArgumentError for the argument of a call.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from typing import Any

from gpuzarr.errors import ArgumentError, MetadataError, UnsupportedError

INT64_MAX = 2**63 - 1
NDIM_MAX = 62  # NumPy has 64; a batch of indexes of shards has two more than the array
MAX_DOCUMENT_BYTES = 1 << 28  # of metadata, which takes about 4 s and 4 GiB to parse; a node has about 1 KiB

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80
_short.maxlist = _short.maxdict = 8
_short.maxlevel = 4


def shown(value: Any) -> str:
    """A short repr of any value, for messages."""
    try:
        return _short.repr(value)
    except Exception:  # an int of thousands of digits; the stack is nearly used up already; a `repr` that fails
        return f"a value of type {type(value).__name__}"


def iterated(values: Any, expected: str) -> Iterator[Any]:
    """An iterator over what the caller gave. ArgumentError, which says what is `expected`, for a str, a dict and what
    cannot be iterated over."""
    try:
        if not isinstance(values, str | dict):
            return iter(values)
    except TypeError as error:
        raise ArgumentError(f"{expected}, not {shown(values)}") from error
    raise ArgumentError(f"{expected}, not {shown(values)}")


@contextmanager
def at(where: str) -> Iterator[None]:
    """Put the name of a document or field in front of the message of a MetadataError raised within."""
    try:
        yield
    except RecursionError as error:
        raise MetadataError(f"{where}: nested too deeply") from error
    except MemoryError as error:  # elements of gigabytes
        raise MetadataError(f"{where}: {error}") from error
    except UnsupportedError as error:
        raise UnsupportedError(f"{where}: {error}") from error
    except MetadataError as error:
        raise MetadataError(f"{where}: {error}") from error


def mapping(value: Any, field: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise MetadataError(f"{field} must be a JSON object, not {shown(value)}")
    return value


def sequence(value: Any, field: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list | tuple):
        raise MetadataError(f"{field} must be a list, not {shown(value)}")
    return list(value)


def integer(value: Any, field: str, low: int = 0, high: int = INT64_MAX) -> int:
    """An integer from `low` to `high`, both included."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise MetadataError(f"{field} must be an integer from {low} to {high}, not {shown(value)}")
    return value


def lengths(value: Any, field: str, ndim: int | None = None) -> tuple[int, ...]:
    """A shape: an integer >= 0 for each axis; `ndim` of them if that is given."""
    members = sequence(value, field)
    if len(members) > NDIM_MAX or ndim not in (None, len(members)):
        wanted = f"at most {NDIM_MAX} members" if ndim is None else f"{ndim} members, one for each axis of the shape"
        raise MetadataError(f"{field} must have {wanted}, not {len(members)}")
    return tuple(integer(member, f"{field}[{i}]") for i, member in enumerate(members))


def required(document: Mapping[str, Any], field: str, where: str = "") -> Any:
    """The member `field` of a document, or of an object at the place `where` in one, which must have it."""
    if field not in document:
        raise MetadataError(f"{where}.{field} is missing" if where else f"{field} is missing")
    return document[field]


def named(value: Any, field: str) -> tuple[str, dict[str, Any]]:
    """The name and configuration of a v3 extension: an object, or a name alone (the short form of spec 3.1)."""
    value = {"name": value} if isinstance(value, str) else mapping(value, field)
    name = required(value, "name") if "name" in value else None
    if not isinstance(name, str):
        raise MetadataError(f"{field} must be a name or an object with a name, not {shown(value)}")
    known(value, f"{field} {name!r}", ("name", "configuration", "must_understand"))
    return name, mapping(value.get("configuration", {}), f"configuration of {field} {name!r}")


def utf8(value: str, field: str) -> str:
    """Text that UTF-8 has bytes for, as chunks of strings need it: without half a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise MetadataError(f"{field} {shown(value)} cannot be stored in chunks: {error}") from error
    return value


def known(value: dict[str, Any], field: str, names: tuple[str, ...]) -> dict[str, Any]:
    """An object that has no members but `names`."""
    unknown = sorted(set(value) - set(names))
    if unknown:
        raise MetadataError(f"{field} has unknown members {shown(unknown)}")
    return value


def listed(given: Any) -> list[Any]:
    """A list of what is given: one thing, a list or tuple of several, or None for nothing."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def one_of(value: Any, name: str, *choices: Any) -> Any:
    """An argument that is one of some texts, integers or None. ArgumentError for anything else."""
    for choice in choices:
        kind = Integral if isinstance(choice, int) else type(choice)
        if isinstance(value, kind) and not isinstance(value, bool) and value == choice:
            return choice
    raise ArgumentError(f"{name} is one of {', '.join(map(repr, choices))}, not {shown(value)}")


def zarr_format(value: Any) -> Any:
    """A version of Zarr, 2 or 3; or None."""
    return one_of(value, "zarr_format", None, 2, 3)


def flag(value: Any, name: str) -> bool:
    """An argument that is true or false, as Python has it. ArgumentError for arrays, which are neither."""
    try:
        return bool(value)
    except Exception as error:  # of the object's own
        raise ArgumentError(f"{name} must be True or False, not {shown(value)}") from error


def number(value: Any, name: str, low: int, high: int = INT64_MAX) -> int:
    """An argument that is an integer (also one of NumPy) from `low` to `high`, both included."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= high:
        raise ArgumentError(f"{name} must be an integer from {low} to {high}, not {shown(value)}")
    return int(value)


def options(value: Any, name: str) -> dict[str, Any]:
    """An argument that is a mapping from texts, or pairs of them, as `dict` takes; it is copied."""
    try:
        found = dict(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be a mapping, not {shown(value)}: {error}") from error
    if wrong := [key for key in found if not isinstance(key, str)]:
        raise ArgumentError(f"a name in {name} must be text, not {shown(wrong[0])}")
    return found
