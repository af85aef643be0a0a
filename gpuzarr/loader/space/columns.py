"""The axes along which samples have an origin, and where they are in each array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.space.alignment import Lattice, Scale
from gpuzarr.loader.space.samples import Patch, Rows

Arrays = Mapping[str, Sequence[Any]]  # gpuzarr.Array, by name; of each store
Box = tuple[tuple[int, int], ...]  # the first element and the one behind the last, along each axis of samples


@dataclass(frozen=True)
class Column:
    """An axis along which samples have an origin, which is a column of `Space.origins`.

    `axes`: the axis of each array, by name. `size`, `stride`, `pad`: of a patch, in elements of the first array; 1, or
    what rows have, and 0 for rows. `before`, `after`: rows around an origin that a window needs. `scales`: of the
    arrays, by name; `lattice`: where elements of all of them begin. `is_patch`: else it is of rows.
    """

    axes: Mapping[str, int]
    size: int
    stride: int
    pad: int
    is_patch: bool
    scales: Mapping[str, Scale]
    lattice: Lattice
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Wanted:
    """What is asked for along one axis: the axis of the first array, and the terms of a `Column`. `given`: the axis as
    the user says it; None where it is one of the last ones."""

    axis: int
    given: int | str | None
    size: int | None
    stride: int
    pad: int
    is_patch: bool


def wanted(sample: Patch | Rows, first: Any, name: str, is_windowed: bool) -> list[Wanted]:
    """What a sample wants along its axes of the first array, those that are taken whole with size None."""
    if isinstance(sample, Rows):
        axis = axis_of(first, sample.axis, name, "Rows(axis=...)")
        return [Wanted(axis, sample.axis, 1, sample.stride, 0, False)]
    found = [Wanted(0, 0, 1, 1, 0, False)] if is_windowed else []
    for i, (size, given) in enumerate(zip(_shape(sample), _given(sample), strict=True)):
        place = i - len(_shape(sample)) if given is None else given
        stride, pad = None if sample.is_random else _member(sample.stride, i), _member(sample.pad, i)
        number = axis_of(first, place, name, "Patch")
        found.append(Wanted(number, given, size, stride or size or 1, pad or 0, True))
    places = [one.axis for one in found]
    if len(set(places)) < len(places):
        if is_windowed and places.count(0) > 1:
            raise ArgumentError(
                f"Patch: both the window and the patch are along axis 0 of array {name!r}; leave out the window, or "
                "give the patch one axis less"
            )
        raise ArgumentError(f"Patch: axes= names axis {_twice(places)} of array {name!r} twice")
    return found


def axes_in(array: Any, name: str, first: Any, columns: Sequence[Wanted]) -> list[int]:
    """The axes of an array that are those of the first array: by the names of dimensions, if it has all of them, else
    by their place."""
    names = [None if first.dimension_names is None else first.dimension_names[one.axis] for one in columns]
    theirs = array.dimension_names or ()
    if None not in names and set(names) <= set(theirs):
        return [theirs.index(each) for each in names]
    found = []
    for one in columns:
        if isinstance(one.given, str):
            raise ArgumentError(f"array {name!r} has no dimension {one.given!r}, only {shown(theirs)}")
        place = one.axis - first.ndim if one.given is None else one.given
        found.append(axis_of(array, place, name, "the sample"))
    return found


def axis_of(array: Any, given: int | str, name: str, what: str) -> int:
    """The number of an axis, at least 0. ArgumentError where the array has none of that number or name."""
    if isinstance(given, str):
        names = array.dimension_names or ()
        if given not in names:
            raise ArgumentError(f"{what}: array {name!r} has no dimension {given!r}, only {shown(names)}")
        return int(names.index(given))
    if not -array.ndim <= given < array.ndim:
        raise ArgumentError(f"{what}: array {name!r} has no axis {given}: its shape is {array.shape}")
    return given % int(array.ndim)


def _shape(sample: Patch) -> tuple[int | None, ...]:
    assert isinstance(sample.shape, tuple)  # once it was checked
    return sample.shape


def _given(sample: Patch) -> tuple[int | str | None, ...]:
    if sample.axes is None:
        return (None,) * len(_shape(sample))
    assert isinstance(sample.axes, tuple)
    return sample.axes


def _member(given: Any, i: int) -> int | None:
    return None if given is None else given[i]


def _twice(places: Sequence[int]) -> int:
    return next(place for place in places if places.count(place) > 1)
