"""What the specification of OME-Zarr demands of a document beyond what is needed to read it.

Readers here are tolerant: an image whose colours are wrong still opens. This finds what another reader may refuse.

Source: https://ngff.openmicroscopy.org/0.4/, 0.5/ and 0.6/, the statements with MUST, and the JSON schemas beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpuzarr.checks import required, shown
from gpuzarr.errors import MetadataError
from gpuzarr.pyramids.metadata import namespace, version_of
from gpuzarr.pyramids.metadata.rules_images import multiscale_rules, scene_rules, typed

WINDOW = ("start", "min", "end", "max")
RGBA = 4
NAME, WELL = r"[A-Za-z0-9]+", r"[A-Za-z0-9]+/[A-Za-z0-9]+"
FIELD = r"(?!\.+$)(?!__)[A-Za-z0-9_.-]+"


def violations(attributes: Mapping[str, Any]) -> list[str]:
    """Sentences about what the attributes of a group have against the specification; none if they have no OME metadata.

    MetadataError if `ome` is no object at all, or its version is missing; UnsupportedError for a later version.
    """
    parts, prefix = namespace(attributes)
    try:
        return _violations(parts, prefix) if parts else []
    except RecursionError as error:
        raise MetadataError("the OME metadata are nested too deeply") from error


def _violations(parts: dict[str, Any], prefix: str) -> list[str]:
    version = version_of(required(parts, "version", "ome"), "ome.version") if prefix else "0.4"
    found: list[str] = []
    multiscales = parts.get("multiscales", [])
    if prefix and not isinstance(multiscales, list):
        found.append(f"{prefix}multiscales must be a list, not {shown(multiscales)}")
    for i, member in enumerate(multiscales if isinstance(multiscales, list) else ()):
        found += multiscale_rules(member, f"{prefix}multiscales[{i}]", version)
    for name, rules in RULES.items():
        if name in parts:
            part, where = parts[name], f"{prefix}{name}"
            found += rules(part, where) if isinstance(part, dict) else [f"{where} must be an object"]
    return found


def _objects(part: dict[str, Any], name: str, where: str, is_needed: bool = False) -> Iterator[Any]:
    """The objects of a list that must not be empty nor have one twice; or sentences about it."""
    if name not in part:
        if is_needed:
            yield f"{where}.{name} is missing"
        return
    members = part[name]
    if not isinstance(members, list) or not members:
        yield f"{where}.{name} must be a list that is not empty, not {shown(members)}"
        return
    seen = [repr(each) for each in members]
    if len(set(seen)) < len(seen):
        yield f"{where}.{name} has a member twice"
    for i, each in enumerate(members):
        yield (each, f"{where}.{name}[{i}]") if isinstance(each, dict) else f"{where}.{name}[{i}] must be an object"


def _integer(each: dict[str, Any], name: str, where: str, least: int | None, is_needed: bool = False) -> Iterator[str]:
    """A member that is an integer, at least `least`."""
    value = each.get(name)
    if name in each or is_needed:
        is_one = isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)
        if not is_one:
            wanted = "an integer" if least is None else f"an integer from {least} on"
            yield f"{where}.{name} must be {wanted}, not {shown(value)}"


def _text(each: dict[str, Any], name: str, where: str, pattern: str, wanted: str) -> Iterator[str]:
    value = each.get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        yield f"{where}.{name} must be {wanted}, not {shown(value)}"


def _plate(plate: dict[str, Any], where: str) -> Iterator[str]:
    yield from typed(plate, where, name=str)
    yield from _integer(plate, "field_count", where, 1)
    names: dict[str, list[Any]] = {}
    for kind in ("rows", "columns"):
        for found in _objects(plate, kind, where, True):
            if isinstance(found, str):
                yield found
                continue
            yield from _text(found[0], "name", found[1], NAME, "letters and digits")
            names.setdefault(kind, []).append(found[0].get("name"))
    for found in _objects(plate, "wells", where, True):
        yield from [found] if isinstance(found, str) else _well_of_plate(found[0], found[1], names)
    for found in _objects(plate, "acquisitions", where):
        if isinstance(found, str):
            yield found
            continue
        yield from typed(found[0], found[1], name=str)
        yield from _integer(found[0], "id", found[1], 0, True)
        for name, least in (("maximumfieldcount", 1), ("starttime", 0), ("endtime", 0)):
            yield from _integer(found[0], name, found[1], least)


def _well_of_plate(well: dict[str, Any], where: str, names: dict[str, list[Any]]) -> Iterator[str]:
    wrong = list(_text(well, "path", where, WELL, "'row/column', in letters and digits"))
    for name in ("rowIndex", "columnIndex"):
        wrong += _integer(well, name, where, 0, True)
    yield from wrong
    if not wrong:
        indexes = (names.get("rows", []), well["rowIndex"]), (names.get("columns", []), well["columnIndex"])
        wanted = [listed[index] if index < len(listed) else None for listed, index in indexes]
        if well["path"].split("/") != wanted:
            yield f"{where}.path is {well['path']!r}, and its row and column are {shown(wanted)}"


def _well(well: dict[str, Any], where: str) -> Iterator[str]:
    for found in _objects(well, "images", where, True):
        if isinstance(found, str):
            yield found
            continue
        yield from _text(found[0], "path", found[1], FIELD, "letters, digits and '_.-'")
        yield from _integer(found[0], "acquisition", found[1], None)


def _label(label: dict[str, Any], where: str) -> Iterator[str]:
    for name in ("colors", "properties"):
        for found in _objects(label, name, where):
            if isinstance(found, str):
                yield found
                continue
            each, place = found
            yield from _integer(each, "label-value", place, None, True)
            rgba = each.get("rgba", [0] * RGBA) if name == "colors" else [0] * RGBA
            if not isinstance(rgba, list) or len(rgba) != RGBA or not all(map(_is_byte, rgba)):
                yield f"{place}.rgba must have {RGBA} integers from 0 to 255, not {shown(rgba)}"


def _is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _omero(omero: dict[str, Any], where: str) -> Iterator[str]:
    if omero.get("channels") == []:
        return
    for found in _objects(omero, "channels", where, True):
        if isinstance(found, str):
            if "twice" not in found:
                yield found
            continue
        channel, place = found
        yield from typed(channel, place, label=str, family=str, color=str, active=bool)
        if "window" in channel:
            window = channel["window"]
            numbers = [window.get(name) for name in WINDOW] if isinstance(window, dict) else [None]
            if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
                yield f"{place}.window must have the numbers {', '.join(WINDOW)}, not {shown(window)}"


RULES = {"plate": _plate, "well": _well, "image-label": _label, "omero": _omero, "scene": scene_rules}
