"""Coordinate systems of earth2studio, and where their values lie among those that are stored.

A coordinate system is a dict from the names of dimensions, in their order, to arrays of coordinates. Source:
`earth2studio/utils/type.py` and `utils/coords.py` of earth2studio 0.19.
"""

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group

Coords = dict[str, np.ndarray]
Slices = tuple[slice, ...]
_PYTHON_TIMES = {datetime.datetime: "datetime64[ns]", datetime.timedelta: "timedelta64[ns]", str: "U"}


def cleaned(coords: Any, what: str = "coords") -> Coords:
    """Check a coordinate system; Python's own times and texts become those of NumPy. ArgumentError if it is none."""
    if not isinstance(coords, Mapping):
        raise ArgumentError(f"{what} must be a dict from names of dimensions to coordinates, not {shown(coords)}")
    return {str(name): _coordinate(str(name), values) for name, values in coords.items()}


def _coordinate(name: str, given: Any) -> np.ndarray:
    values = np.asarray(given)
    if values.ndim == 0:
        raise ArgumentError(f"coordinate {name!r} has no dimension: it must be an array, not {shown(given)}")
    if values.dtype == object and values.size:
        for kind, dtype in _PYTHON_TIMES.items():
            if isinstance(values.flat[0], kind):
                return values.astype(dtype)
    return values


class System(NamedTuple):
    """A coordinate system: coordinates of one dimension, which has their name; others, with their dimensions."""

    lines: Coords
    grids: dict[str, tuple[np.ndarray, list[str]]]


def separated(given: Any) -> System:
    """Check a coordinate system, and part it.

    As in earth2studio (`convert_multidim_to_singledim`): n coordinates of the same n-dimensional shape that follow
    each other, such as "lat" and "lon" of a curvilinear grid, have dimensions "ilat" and "ilon" of their own, which
    count; names that begin with "_" are no coordinates. ArgumentError if there are not n of them.
    """
    coords = {name: values for name, values in cleaned(given).items() if not name.startswith("_")}
    names, system = list(coords), System({}, {})
    while names:
        shape = coords[names[0]].shape
        together, names = names[: len(shape)], names[len(shape) :]
        if [coords[name].shape for name in together] != [shape] * len(shape):
            needed = f"{len(shape)} coordinates of this shape must follow each other"
            raise ArgumentError(f"coordinate {together[0]!r} has shape {shape}: {needed}")
        if len(shape) == 1:
            system.lines[together[0]] = coords[together[0]]
            continue
        dimensions = [f"i{name}" for name in together]
        system.grids.update({name: (coords[name], dimensions) for name in together})
        system.lines.update({name: np.arange(length) for name, length in zip(dimensions, shape, strict=True)})
    return system


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two coordinates are the same; NaN, as in curvilinear grids with holes, is the same as NaN."""
    has_nan = one.dtype.kind in "fcmM" and other.dtype.kind in "fcmM"
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=has_nan)


def check_unique(name: str, values: np.ndarray) -> None:
    """ArgumentError for a coordinate that has a value twice: it would not say which element is meant."""
    found, counts = np.unique(values, return_counts=True)
    if len(found) != values.size:
        raise ArgumentError(f"coordinate {name!r} has a value twice: {found[counts > 1][0]}")


def positions(name: str, stored: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The position among stored coordinates of each that is wanted. ArgumentError for one that is not there."""
    if same(stored, wanted):
        return np.arange(len(stored))
    check_unique(name, stored)
    check_unique(name, wanted)
    try:
        _, of_stored, of_wanted = np.intersect1d(stored, wanted, assume_unique=True, return_indices=True)
    except TypeError as error:
        raise ArgumentError(f"coordinate {name!r} is {stored.dtype} in the store, not {wanted.dtype}") from error
    if len(of_wanted) != len(wanted):
        missing = np.delete(wanted, of_wanted)
        raise ArgumentError(f"coordinate {name!r} is not stored for {shown(missing[0])}; {_range(stored)}")
    found = np.empty(len(wanted), np.intp)
    found[of_wanted] = of_stored
    return found


def _range(stored: np.ndarray) -> str:
    return f"stored are {len(stored)}, from {stored[0]} to {stored[-1]}" if len(stored) else "none is stored"


def boxes(places: list[np.ndarray]) -> Iterator[tuple[Slices, Slices]]:
    """Divide the product of positions into boxes: slices of the stored array, and of the values that go there."""
    for box in product(*map(_runs, places)):
        yield tuple(there for there, _ in box), tuple(here for _, here in box)


def _runs(places: np.ndarray) -> list[tuple[slice, slice]]:
    """Runs of positions that follow each other, and where these are."""
    cuts = [*(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
    starts = [0, *cuts[:-1]] if len(places) else []
    return [
        (slice(int(places[a]), int(places[a]) + b - a), slice(a, b)) for a, b in zip(starts, cuts, strict=bool(starts))
    ]


def stored_coords(group: Group) -> OrderedDict[str, np.ndarray]:
    """The coordinates of a store, in the order of the dimensions of its arrays. Source: `AsyncZarrBackend.coords`."""
    arrays: dict[str, Array] = dict(group.arrays())
    names: dict[str, None] = {}
    for name, array in arrays.items():
        if not is_coordinate(name, array):
            names |= dict.fromkeys(filter(None, array.dimension_names or ()))
    names |= dict.fromkeys(name for name, array in arrays.items() if is_coordinate(name, array))
    return OrderedDict((name, arrays[name][...]) for name in names if name in arrays)


def is_coordinate(name: str, array: Array) -> bool:
    """Whether an array has the coordinates of a dimension: it has the same name."""
    return array.dimension_names == (name,)
