"""Coordinate transformations: the scale and translation that the steps of a document amount to.

A step that is understood here gives each coordinate of its output from one coordinate of its input, by a scale and a
translation: a list of (number of the input, scale, translation), one for each output. Such steps follow one another
without losing that form; it is a scale and a translation when each output comes from the input of its own number.

Source: the chapters on `coordinateTransformations` of OME-NGFF 0.4 and 0.6 (https://ngff.openmicroscopy.org).
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from gpuzarr.checks import integer, mapping, required, sequence, shown
from gpuzarr.errors import MetadataError
from gpuzarr.pyramids.metadata.model import Vector

MAX_STEPS = 1000  # with those within sequences, and the parts of byDimension
MAX_AXIS = 31
Placement = tuple[Vector, Vector]
Map = list[tuple[int, float, float]]


def placement(steps: list[Any], field: str, ndim: int) -> Placement | None:
    """The scale and translation that these steps, one after the other, amount to.

    None if they amount to more, such as an exchange of axes or an affine map, or are not to be seen from the document
    alone, such as a map whose matrix is stored in an array.
    """
    try:
        found = _sequence(steps, field, ndim, _Budget(field))
    except RecursionError as error:
        raise MetadataError(f"{field} has transformations that are nested too deeply") from error
    if found is None or [each[0] for each in found] != list(range(ndim)):
        return None
    scale, offset = tuple(each[1] for each in found), tuple(each[2] for each in found)
    if not all(map(isfinite, scale + offset)) or 0.0 in scale:
        raise MetadataError(f"{field}: together the scales are {shown(scale)}, the translations {shown(offset)}")
    return scale, offset


class _Budget:
    """How many steps may still come."""

    def __init__(self, field: str) -> None:
        self._field, self._left = field, MAX_STEPS

    def take(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise MetadataError(f"{self._field} has more than {MAX_STEPS} transformations")


def _sequence(steps: list[Any], field: str, ndim: int, budget: _Budget) -> Map | None:
    found: Map = [(i, 1.0, 0.0) for i in range(ndim)]
    for i, step in enumerate(steps):
        then = _transformation(step, f"{field}[{i}]", ndim, budget)
        if then is None or len(then) != ndim:  # how many coordinates come after it is not known, or others
            return None
        found = [(found[j][0], found[j][1] * scale, found[j][2] * scale + moved) for j, scale, moved in then]
    return found


def _transformation(step: Any, where: str, ndim: int, budget: _Budget) -> Map | None:
    """What a transformation of `ndim` coordinates does; None if that is not of the form above.

    MetadataError if it is of a kind that is known here, and wrong.
    """
    budget.take()
    kind = required(mapping(step, where), "type", where)
    if not isinstance(kind, str):
        raise MetadataError(f"{where}.type must be text, not {shown(kind)}")
    if kind == "identity":
        return [(i, 1.0, 0.0) for i in range(ndim)]
    if kind == "sequence":
        member = f"{where}.transformations"
        return _sequence(sequence(step.get("transformations"), member), member, ndim, budget)
    if kind == "byDimension":
        return _by_dimension(step, where, ndim, budget)
    read = KINDS.get(kind)
    if read is None or (kind not in step and "path" in step):
        return None
    if kind not in step:
        raise MetadataError(f"{where}.{kind} is missing")
    return read(step[kind], f"{where}.{kind}", ndim)


def _scale(value: Any, field: str, ndim: int) -> Map:
    factors = vector(value, field, ndim)
    if 0.0 in factors:
        raise MetadataError(f"{field} has a 0: {shown(factors)}")
    return [(i, factor, 0.0) for i, factor in enumerate(factors)]


def _translation(value: Any, field: str, ndim: int) -> Map:
    return [(i, 1.0, moved) for i, moved in enumerate(vector(value, field, ndim))]


def _map_axis(value: Any, field: str, ndim: int) -> Map | None:
    """For each output the number of its input. Drafts of 0.6 had names there."""
    if isinstance(value, dict):
        return None
    found = [integer(each, f"{field}[{i}]", 0, ndim - 1) for i, each in enumerate(sequence(value, field))]
    if sorted(found) != list(range(ndim)):
        raise MetadataError(f"{field} must have each number from 0 to {ndim - 1} once, not {shown(found)}")
    return [(i, 1.0, 0.0) for i in found]


def _affine(value: Any, field: str, ndim: int) -> Map | None:
    """A row for each output: the numbers that the inputs are multiplied by, and what is added."""
    rows = [vector(row, f"{field}[{i}]", ndim + 1) for i, row in enumerate(sequence(value, field))]
    return _rows([row[:-1] for row in rows], [row[-1] for row in rows])


def _rotation(value: Any, field: str, ndim: int) -> Map | None:
    rows = [vector(row, f"{field}[{i}]", ndim) for i, row in enumerate(sequence(value, field))]
    if len(rows) != ndim:
        raise MetadataError(f"{field} must have {ndim} rows, one for each axis, not {len(rows)}")
    return _rows(rows, [0.0] * ndim)


def _rows(rows: list[Vector], moved: list[float]) -> Map | None:
    """The map of a matrix if each row has one number that is not 0."""
    places = [[i for i, each in enumerate(row) if each] for row in rows]
    if any(len(place) != 1 for place in places):
        return None
    return [(place[0], row[place[0]], add) for place, row, add in zip(places, rows, moved, strict=True)]


KINDS: dict[str, Callable[[Any, str, int], Map | None]] = {
    "scale": _scale,
    "translation": _translation,
    "mapAxis": _map_axis,
    "affine": _affine,
    "rotation": _rotation,
}


def _by_dimension(step: dict[str, Any], where: str, ndim: int, budget: _Budget) -> Map | None:
    """Transformations of some coordinates each. Each output is that of one of them."""
    field = f"{where}.transformations"
    outputs: dict[int, tuple[int, float, float]] = {}
    is_known = True
    for i, each in enumerate(sequence(step.get("transformations"), field)):
        part = mapping(each, f"{field}[{i}]")
        sources, targets = (_numbers(part, name, f"{field}[{i}]") for name in ("input", "output"))
        inner = required(part, "transformation", f"{field}[{i}]")
        if sources is None or targets is None:
            return None
        if any(source >= ndim for source in sources) or outputs.keys() & set(targets):
            raise MetadataError(f"{field}[{i}] has an input axis that there is not, or an output axis twice")
        found = _transformation(inner, f"{field}[{i}].transformation", len(sources), budget)
        is_known = is_known and found is not None and len(found) == len(targets)
        filled = found if is_known and found is not None else [(0, 1.0, 0.0)] * len(targets)
        outputs |= {target: (sources[j], a, b) for target, (j, a, b) in zip(targets, filled, strict=True)}
    if sorted(outputs) != list(range(len(outputs))):
        raise MetadataError(f"{field}: its output axes {shown(sorted(outputs))} are not all from 0 on")
    return [outputs[target] for target in range(len(outputs))] if is_known else None


def _numbers(part: dict[str, Any], name: str, where: str) -> list[int] | None:
    """Numbers of axes; None if they are names, as in drafts. The text of 0.6 writes `input_axes`, its schema
    `inputAxes`."""
    spelled = [spelling for spelling in (f"{name}Axes", f"{name}_axes") if spelling in part]
    if not spelled:
        raise MetadataError(f"{where}.{name}Axes is missing")
    members = sequence(part[spelled[0]], f"{where}.{spelled[0]}")
    if members and all(isinstance(each, str) for each in members):
        return None
    found = [integer(each, f"{where}.{spelled[0]}[{i}]", 0, MAX_AXIS) for i, each in enumerate(members)]
    if not found or len(set(found)) < len(found):
        raise MetadataError(f"{where}.{spelled[0]} must have numbers of axes, each once, not {shown(found)}")
    return found


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
