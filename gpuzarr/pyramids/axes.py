"""Axes of images that are made: their names, types, units, and values for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from numbers import Real
from typing import Any

from gpuzarr.checks import iterated, shown
from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.metadata.common import TYPES
from gpuzarr.pyramids.metadata.model import Axis, Vector

ORDER = "tczyx"
UNITS = {  # what people write, and the name in OME-NGFF, which are those of UDUNITS-2
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometre", "micrometers"), "micrometer"),
    **dict.fromkeys(("nm", "nanometre", "nanometers"), "nanometer"),
    **dict.fromkeys(("mm", "millimetre", "millimeters"), "millimeter"),
    **dict.fromkeys(("cm", "centimetre"), "centimeter"),
    **dict.fromkeys(("m", "metre", "meters"), "meter"),
    **dict.fromkeys(("A", "Å", "angstroms"), "angstrom"),
    **dict.fromkeys(("s", "sec", "seconds"), "second"),
    **dict.fromkeys(("ms", "milliseconds"), "millisecond"),
    **dict.fromkeys(("min", "minutes"), "minute"),
    **dict.fromkeys(("h", "hours"), "hour"),
}
TYPE_ORDER = {"time": 0, "space": 2}  # channels and types of one's own are between


def axes_for(axes: Any, units: Any, ndim: int) -> tuple[Axis, ...]:
    """The axes of an image of `ndim` dimensions.

    `axes`: names, as a text of letters or a list; None: the last ones of "tczyx". Members of a list may be objects of
    OME-NGFF (`{"name": "lifetime", "type": "other"}`), or an `Axis`. `units`: a unit for the space axes, a dict by
    names, or a list with one (or None) for each axis. ArgumentError for axes that OME-NGFF does not allow.
    """
    if axes is None:
        if not 2 <= ndim <= 5:
            raise ArgumentError(f"an image has 2 to 5 axes; this one has {ndim}: give its axes, such as axes='zyx'")
        axes = ORDER[-ndim:]
    given = list(axes) if isinstance(axes, str) else list(iterated(axes, "axes are names, such as 'czyx'"))
    found = tuple(_axis(each) for each in given)
    if len(found) != ndim:
        raise ArgumentError(f"axes {''.join(axis.name for axis in found)!r} do not fit a shape of {ndim} dimensions")
    _check(found)
    said = _by_axis(units, "units", found, None)
    return tuple(
        Axis(axis.name, axis.type, _unit(unit) if unit is not None else axis.unit, axis.more)
        for axis, unit in zip(found, said, strict=True)
    )


def _axis(given: Any) -> Axis:
    if isinstance(given, Axis):
        return given
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        more = {str(key): value for key, value in given.items() if key not in ("name", "type", "unit")}
        return Axis(given["name"], given.get("type", TYPES.get(given["name"])), given.get("unit"), more)
    if not isinstance(given, str) or given not in TYPES:
        raise ArgumentError(
            f"axes have the names t, c, z, y and x, not {shown(given)}; another one says its type: "
            "{'name': 'angle', 'type': 'other'}"
        )
    return Axis(given, TYPES[given])


def _check(axes: tuple[Axis, ...]) -> None:
    """The rules of OME-NGFF 0.4 and 0.5 for axes."""
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names):
        raise ArgumentError(f"axes have a name twice: {shown(names)}")
    if not 2 <= sum(is_space(axis) for axis in axes) <= 3:
        raise ArgumentError(f"an image has two or three axes of space; of {shown(names)} they are not as many")
    if len(axes) > 5 or sum(axis.type == "time" for axis in axes) > 1:
        raise ArgumentError(f"an image has at most 5 axes, of which one is time; not {shown(names)}")
    places = [TYPE_ORDER.get(axis.type or "", 1) for axis in axes]
    if places != sorted(places):
        raise ArgumentError(f"the order of axes is time, channel, space (t, c, z, y, x), not {shown(names)}")


def is_space(axis: Axis) -> bool:
    """True for an axis of space: one along which levels are reduced."""
    return axis.type == "space"


def _unit(given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise ArgumentError(f"units are texts, such as 'micrometer', not {shown(given)}")
    return UNITS.get(given, given)


def vector(given: Any, what: str, axes: tuple[Axis, ...], otherwise: float) -> Vector:
    """A number for each axis: of a number for the space axes, of a dict by names, or of a list."""
    numbers = [otherwise if each is None else each for each in _by_axis(given, what, axes, otherwise)]
    for each in numbers:
        if not isinstance(each, Real) or isinstance(each, bool) or not isfinite(float(each)):
            raise ArgumentError(f"{what} must be finite numbers, not {shown(each)}")
    return tuple(float(each) for each in numbers)


def _by_axis(given: Any, what: str, axes: tuple[Axis, ...], otherwise: Any) -> list[Any]:
    """A value for each axis."""
    if given is None:
        return [otherwise] * len(axes)
    if isinstance(given, Mapping):
        names = [axis.name for axis in axes]
        if unknown := sorted(map(str, given.keys() - set(names))):
            raise ArgumentError(f"{what} has the axis {unknown[0]!r}, which is none of {shown(names)}")
        return [given.get(name, otherwise) for name in names]
    if isinstance(given, str | Real):
        return [given if is_space(axis) else otherwise for axis in axes]
    members = list(iterated(given, f"{what} are a value, a dict by axes, or a list with a value for each axis"))
    if len(members) != len(axes):
        raise ArgumentError(f"{what} has {len(members)} members for {len(axes)} axes")
    return members
