"""Pieces of documents that several versions share: axes as objects, names, what is said of the method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuzarr.checks import mapping, required, sequence, shown
from gpuzarr.errors import MetadataError, UnsupportedError
from gpuzarr.pyramids.metadata.model import Axis, Dataset, Multiscale

MAX_LEVELS = 64
MAX_AXES = 32


def text(value: Any, field: str) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise MetadataError(f"{field} must be text, not {shown(value)}")
    return value


def parse_axes(value: Any, field: str) -> tuple[Axis, ...]:
    """Axes: objects with a name (since 0.4), or names alone (0.3)."""
    members = sequence(value, field)
    if not 0 < len(members) <= MAX_AXES:
        raise MetadataError(f"{field} must have 1 to {MAX_AXES} members, not {len(members)}")
    axes = tuple(_axis(member, f"{field}[{i}]") for i, member in enumerate(members))
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names):
        raise MetadataError(f"{field} has a name twice: {shown(names)}")
    return axes


def _axis(value: Any, field: str) -> Axis:
    if isinstance(value, str):
        return Axis(text(value, field), TYPES.get(value))
    given = dict(mapping(value, field))
    name = text(required(given, "name", field), f"{field}.name")
    kind, unit = given.get("type"), given.get("unit")
    for key, each in (("type", kind), ("unit", unit)):
        if each is not None and not isinstance(each, str):
            raise MetadataError(f"{field}.{key} must be text, not {shown(each)}")
    more = {key: each for key, each in given.items() if key not in ("name", "type", "unit")}
    return Axis(name, kind, unit or None, more)


TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}  # by the names of axes


def axes_document(axes: tuple[Axis, ...]) -> list[dict[str, Any]]:
    """Axes as objects."""
    known = [{"name": axis.name, "type": axis.type, "unit": axis.unit} for axis in axes]
    return [
        {key: value for key, value in each.items() if value is not None} | dict(axis.more)
        for each, axis in zip(known, axes, strict=True)
    ]


def parse_datasets(value: Any, field: str) -> list[tuple[str, dict[str, Any], str]]:
    """For each level its path, its object and the place of that in the document."""
    members = sequence(value, field)
    if not members:
        raise MetadataError(f"{field} is empty")
    if len(members) > MAX_LEVELS:
        raise UnsupportedError(f"{field} has {len(members)} levels, more than {MAX_LEVELS}")
    places = [f"{field}[{i}]" for i in range(len(members))]
    objects = [mapping(member, where) for member, where in zip(members, places, strict=True)]
    return [
        (text(required(each, "path", where), f"{where}.path"), each, where)
        for each, where in zip(objects, places, strict=True)
    ]


def multiscale(given: Mapping[str, Any], field: str, axes: tuple[Axis, ...], datasets: list[Dataset]) -> Multiscale:
    """A multiscale with its name, its type and its metadata, which are left out where they make no sense."""
    name, kind, told = given.get("name"), given.get("type"), given.get("metadata")
    if name is not None and not isinstance(name, str):
        raise MetadataError(f"{field}.name must be text, not {shown(name)}")
    return Multiscale(
        *(axes, tuple(datasets), name),
        kind if isinstance(kind, str) else None,
        told if isinstance(told, dict) else {},
    )


def about(multiscale: Multiscale) -> dict[str, Any]:
    """Name, type and metadata, as they stand in a document."""
    told = {"name": multiscale.name, "type": multiscale.type, "metadata": dict(multiscale.metadata)}
    return {key: value for key, value in told.items() if value}


def steps(dataset: Dataset) -> list[dict[str, Any]]:
    """The scale, and the translation unless it is 0 everywhere."""
    if dataset.scale is None:
        raise MetadataError(f"level {dataset.path!r} has no scale, which this version needs")
    found: list[dict[str, Any]] = [{"type": "scale", "scale": list(dataset.scale)}]
    if dataset.translation is not None and any(dataset.translation):
        found.append({"type": "translation", "translation": list(dataset.translation)})
    return found
