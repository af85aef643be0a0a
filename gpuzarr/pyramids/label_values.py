"""Colours and properties of labels: the part `image-label` of the metadata of a label image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from gpuzarr.checks import iterated, shown
from gpuzarr.errors import ArgumentError

SOURCE = "../../"  # the path from a label image to its image
VALUE = "label-value"


def label_document(colors: Any, properties: Any) -> dict[str, Any]:
    """The part `image-label`.

    `colors`: a dict from labels to colours, (red, green, blue[, opacity]) from 0 to 255 or "#rrggbb[aa]"; `properties`:
    a dict from labels to dicts. Both may be lists of objects as they stand in the document, too.
    """
    found: dict[str, Any] = {}
    if colors is not None:
        found["colors"] = _unique([{VALUE: n, "rgba": _rgba(color)} for n, color in _pairs(colors, "colors", "rgba")])
    if properties is not None:
        pairs = _pairs(properties, "properties", None)
        found["properties"] = _unique([{VALUE: n} | _properties(value) for n, value in pairs])
    found = {name: value for name, value in found.items() if value}
    return found | {"source": {"image": SOURCE}}


def _pairs(given: Any, what: str, member: str | None) -> list[tuple[int, Any]]:
    """Labels, and what is said of them."""
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        objects = list(iterated(given, f"{what} are a dict from labels, or a list of objects with a {VALUE!r}"))
        if wrong := [each for each in objects if not isinstance(each, Mapping) or VALUE not in each]:
            raise ArgumentError(f"{what}: {shown(wrong[0])} is no object with a {VALUE!r}")
        rest = [{key: value for key, value in each.items() if key != VALUE} for each in objects]
        pairs = [
            (each[VALUE], left if member is None else left.get(member))
            for each, left in zip(objects, rest, strict=True)
        ]
    if wrong := [label for label, _ in pairs if not isinstance(label, Integral) or isinstance(label, bool)]:
        raise ArgumentError(f"{what}: a label is an integer, not {shown(wrong[0])}")
    return [(int(label), value) for label, value in pairs]


def _rgba(color: Any) -> list[int]:
    if isinstance(color, str):
        if not re.fullmatch(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{8})", color):
            raise ArgumentError(f"a colour is '#rrggbb' or '#rrggbbaa', not {shown(color)}")
        channels: list[Any] = list(bytes.fromhex(color.removeprefix("#")))
    else:
        channels = list(iterated(color, "a colour is (red, green, blue), or a text such as '#ff0000'"))
    if len(channels) not in (3, 4) or not all(
        isinstance(each, Integral) and 0 <= int(each) <= 255 for each in channels
    ):
        raise ArgumentError(f"a colour is three or four integers from 0 to 255, not {shown(color)}")
    return [*map(int, channels), 255][:4]


def _properties(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or VALUE in value or not all(isinstance(key, str) for key in value):
        raise ArgumentError(f"the properties of a label are a dict by names, not {shown(value)}")
    return dict(value)


def _unique(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """ArgumentError if a label is there twice."""
    seen = set()
    for each in objects:
        if each[VALUE] in seen:
            raise ArgumentError(f"the label {each[VALUE]} is given twice")
        seen.add(each[VALUE])
    return objects


def colors_of(label: Mapping[str, Any] | None) -> dict[int, tuple[int, ...]]:
    """The colours that a document has, without those that are none."""
    found = [each for each in _objects(label, "colors") if isinstance(each.get("rgba"), list)]
    return {int(each[VALUE]): tuple(each["rgba"]) for each in found if all(_is_number(n) for n in each["rgba"])}


def properties_of(label: Mapping[str, Any] | None) -> dict[int, dict[str, Any]]:
    """The properties that a document has."""
    found = _objects(label, "properties")
    return {int(each[VALUE]): {key: value for key, value in each.items() if key != VALUE} for each in found}


def _objects(label: Mapping[str, Any] | None, member: str) -> list[dict[str, Any]]:
    given = (label or {}).get(member)
    objects = given if isinstance(given, list) else []
    return [each for each in objects if isinstance(each, dict) and _is_number(each.get(VALUE))]


def _is_number(value: Any) -> bool:
    """True for an integer, which some writers have as 7.0."""
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_whole and not isinstance(value, bool)
