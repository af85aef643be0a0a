"""Coordinate transformations: a scale and a translation, made of the steps of a document.

Source: the chapters on `coordinateTransformations` of OME-NGFF 0.4 and 0.6 (https://ngff.openmicroscopy.org).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from gpuzarr.checks import mapping, required, sequence, shown
from gpuzarr.errors import MetadataError
from gpuzarr.pyramids.metadata.model import Vector

MAX_STEPS = 1000  # of a sequence, with those of sequences in it
Placement = tuple[Vector, Vector]


def placement(steps: list[Any], field: str, ndim: int) -> Placement | None:
    """The scale and translation that these steps, one after the other, amount to.

    None if one of them is of another kind, such as an affine map, or has its values in an array.
    """
    scale, offset = [1.0] * ndim, [0.0] * ndim
    is_plain = True
    for step, where in _flat(steps, field):
        kind = step["type"]
        if kind not in ("identity", "scale", "translation") or (kind != "identity" and kind not in step):
            is_plain = False
        elif kind == "scale":
            factors = vector(step["scale"], f"{where}.scale", ndim)
            if 0.0 in factors:
                raise MetadataError(f"{where}.scale has a 0: {shown(factors)}")
            scale = [a * b for a, b in zip(scale, factors, strict=True)]
            offset = [a * b for a, b in zip(offset, factors, strict=True)]
        elif kind == "translation":
            offset = [a + b for a, b in zip(offset, vector(step[kind], f"{where}.{kind}", ndim), strict=True)]
    if not is_plain:
        return None
    if not all(map(isfinite, scale + offset)) or 0.0 in scale:
        raise MetadataError(f"{field}: together the scales are {shown(scale)}, the translations {shown(offset)}")
    return tuple(scale), tuple(offset)


def _flat(steps: list[Any], field: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Steps and their places in the document, those of sequences in the place of these."""
    waiting = [(step, f"{field}[{i}]") for i, step in reversed(list(enumerate(steps)))]
    count = 0
    while waiting:
        step, where = waiting.pop()
        count += 1
        if count > MAX_STEPS:
            raise MetadataError(f"{field} has more than {MAX_STEPS} transformations")
        kind = required(mapping(step, where), "type")
        if not isinstance(kind, str):
            raise MetadataError(f"{where}.type must be text, not {shown(kind)}")
        if kind != "sequence":
            yield step, where
            continue
        inner = sequence(step.get("transformations"), f"{where}.transformations")
        waiting += [(each, f"{where}.transformations[{i}]") for i, each in reversed(list(enumerate(inner)))]


def vector(value: Any, field: str, ndim: int) -> Vector:
    """A finite number for each axis."""
    numbers = sequence(value, field)
    if len(numbers) != ndim:
        raise MetadataError(f"{field} must have {ndim} members, one for each axis, not {len(numbers)}")
    return tuple(number(each, f"{field}[{i}]") for i, each in enumerate(numbers))


def number(value: Any, field: str) -> float:
    """A finite number of JSON."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(found := float(value)):
            return found
    except OverflowError:  # an integer of hundreds of digits
        pass
    raise MetadataError(f"{field} must be a finite number, not {shown(value)}")
