"""The views of arrays that the arguments of a loader mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpuzarr.dtypes.cast import Cast
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.contract import View
from gpuzarr.loader.settings import Settings
from gpuzarr.loader.space.casts import casts, dtype_of, spread_over
from gpuzarr.loader.space.columns import Arrays, Column
from gpuzarr.loader.space.patch_views import PatchView
from gpuzarr.loader.space.row_views import RowsView
from gpuzarr.loader.space.samples import Part, Patch, Rows
from gpuzarr.loader.space.view_axes import Along, PatchAxis, RowAxis, Whole

Offsets = Mapping[str, tuple[int, ...] | None]  # of a window, by the name of the array; None: it has none
Axes = dict[str, list[Along]]  # of each array, by name


def views_of(
    arrays: Arrays, columns: Sequence[Column], sample: Patch | Rows, offsets: Offsets, settings: Settings
) -> list[View]:
    """A view of each array."""
    axes = {name: _axes(name, each, columns, offsets[name]) for name, each in arrays.items()}
    if settings.part is not None:
        _take_part(axes, arrays, columns, settings.part)
    found: list[View] = []
    for name, cast in casts(arrays, settings.dtype, settings.normalize, settings.fill_to_nan).items():
        each, cast = arrays[name], tuple([spread_over(name, one, axes[name]) for one in cast])
        of = (name, each, cast, dtype_of(name, each, cast), pad_value(each[0], cast[0]))
        if isinstance(sample, Patch):
            found.append(PatchView(*of, tuple(axes[name]), sample.pad_mode))
        else:
            found.append(RowsView(*of, tuple([one for one in axes[name] if not isinstance(one, PatchAxis)])))
    return found


def pad_value(array: Any, cast: Cast | None) -> Any:
    """The fill value of an array, as it is in a batch; where it defines none, the default of its dtype."""
    value = np.zeros(1, array.dtype)[0] if array.fill_value is None else array.fill_value
    return value if cast is None else cast.one(value)


def _axes(name: str, each: Sequence[Any], columns: Sequence[Column], offsets: tuple[int, ...] | None) -> list[Along]:
    places = {column.axes[name]: number for number, column in enumerate(columns)}
    found: list[Along] = []
    for axis, length in enumerate(each[0].shape):
        if axis in places:
            number = places[axis]
            found.append(_along(name, number, columns[number], offsets))
            continue
        for store, array in enumerate(each):
            if array.shape[axis] != length:
                raise ArgumentError(
                    f"array {name!r} has {length} elements along axis {axis} in store 0, {array.shape[axis]} in store "
                    f"{store}: samples have all of that axis, so it must be as long in each"
                )
        found.append(Whole(range(length)))
    return found


def _along(name: str, number: int, column: Column, offsets: tuple[int, ...] | None) -> Along:
    if not column.is_patch:
        return RowAxis(number, offsets)
    scale, lattice = column.scales[name], column.lattice
    size, per = column.size / scale.size, lattice.step / scale.size
    if size.denominator != 1:
        raise ArgumentError(
            f"Patch: {column.size} elements of the first array are {float(size):.6g} elements of {name!r} along its "
            f"axis {column.axes[name]}; by spacing= multiples of {lattice.step} are whole elements of all arrays"
        )
    return PatchAxis(number, int(size), int(scale.index(lattice.phase)), lattice.phase, lattice.step, int(per))


def _take_part(axes: Axes, arrays: Arrays, columns: Sequence[Column], part: Any) -> None:
    """Keep of each sample the part that is wanted."""
    if not isinstance(part, Part):
        raise ArgumentError(f"part must be a gpuzarr.Part, not {part!r}")
    places = _places(axes, arrays, columns, part.axis)
    first, axis = next(iter(places.items()))
    size = axes[first][axis].kept or 1
    if size < part.count:
        raise ArgumentError(f"{part}: samples of array {first!r} have only {size} elements along that axis")
    each, more = divmod(size, part.count)
    start = part.index * each + min(part.index, more)
    ends = start, start + each + (part.index < more)
    for name, axis in places.items():
        along = axes[name][axis]
        if along.kept is not None:
            begin, end = (_whole(end * along.kept, size, part, name) for end in ends)
            axes[name][axis] = along.part(begin, end)


def _whole(product: int, size: int, part: Part, name: str) -> int:
    if product % size:
        raise ArgumentError(f"{part}: parts of samples of array {name!r} would not have whole elements")
    return product // size


def _places(axes: Axes, arrays: Arrays, columns: Sequence[Column], axis: int | str) -> dict[str, int]:
    """The axis of each array that is split, by name, of those that have it."""
    names = {name: list(each[0].dimension_names or ()) for name, each in arrays.items()}
    if isinstance(axis, str):
        found = {name: of.index(axis) for name, of in names.items() if axis in of}
        if not found:
            raise ArgumentError(f"Part(axis={axis!r}): no array has a dimension of that name")
    else:
        name = next(iter(axes))
        kept = [place for place, along in enumerate(axes[name]) if along.kept is not None]
        if not -len(kept) <= axis < len(kept):
            raise ArgumentError(f"Part(axis={axis}): samples of array {name!r} have {len(kept)} axes")
        place = kept[axis]
        ndim = len(axes[name])
        found = {name: place, **{other: place for other, of in axes.items() if len(of) == ndim}}
    first, place = next(iter(found.items()))
    for column in columns:
        if column.axes[first] == place:
            return {first: place, **{name: column.axes[name] for name in axes}}
    return found
