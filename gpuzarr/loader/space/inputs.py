"""The space of samples and the views of arrays that the arguments of a loader mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpuzarr.checks import iterated, number, shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.contract import Space, View
from gpuzarr.loader.settings import Settings
from gpuzarr.loader.space.alignment import Scale, exact, lattice, ratio
from gpuzarr.loader.space.columns import Arrays, Column, Wanted, axes_in, wanted
from gpuzarr.loader.space.domains import boxes, check_fit
from gpuzarr.loader.space.samples import Patch, Rows
from gpuzarr.loader.space.spaces import space_of
from gpuzarr.loader.space.views import Offsets, views_of
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.given import array_given

MAX_OFFSETS = 1 << 16
MAX_OFFSET = 1 << 40  # rows


def parsed(settings: Settings) -> tuple[Space, list[View]]:
    """What the arguments of a loader mean. ArgumentError, which names the array, where they do not fit together."""
    arrays, sample = arrays_of(settings.arrays), sample_of(settings.sample)
    offsets = offsets_of(settings.window, arrays)
    columns = columns_of(arrays, sample, offsets, settings)
    found = boxes(arrays, columns, sample, settings.domains)
    views = views_of(arrays, columns, sample, offsets, settings)
    if isinstance(sample, Patch) and settings.domains is None:
        check_fit(arrays, columns, sample, found)
    return space_of(arrays, columns, sample, found, settings), views


def arrays_of(given: Any) -> dict[str, tuple[Array, ...]]:
    """For each name its array of each store."""
    expected = 'arrays must be a dict such as {"x": array}, or {"x": [array, ...]} with one array for each store'
    if not isinstance(given, Mapping) or not given:
        raise ArgumentError(f"{expected}, not {shown(given)}")
    found = {}
    for name, each in given.items():
        if not isinstance(name, str) or (isinstance(each, list | tuple) and not each):
            raise ArgumentError(f"{expected}, not {shown({name: each})}")
        several = tuple(each) if isinstance(each, list | tuple) else (each,)
        found[name] = tuple([array_given(array, f"array {name!r}") for array in several])
    first = next(iter(found))
    for name, each in found.items():
        if len(each) != len(found[first]):
            raise ArgumentError(
                f"arrays: {first!r} has {len(found[first])} arrays, {name!r} has {len(each)}; give one for each store"
            )
        for store, array in enumerate(each):
            if array.ndim != each[0].ndim:
                raise ArgumentError(f"array {name!r} has {each[0].ndim} axes in store 0, {array.ndim} in store {store}")
    return found


def sample_of(given: Any) -> Patch | Rows:
    """What a sample is."""
    if isinstance(given, str) and given == "rows":
        return Rows()
    if not isinstance(given, Patch | Rows):
        raise ArgumentError(f'sample is "rows", a gpuzarr.Rows or a gpuzarr.Patch, not {shown(given)}')
    return given


def offsets_of(window: Any, arrays: Arrays) -> Offsets:
    """The rows of a sample of each array, counted from its origin; None: the one at the origin, without an axis."""
    if not isinstance(window, Mapping):
        offsets = None if window is None else _offsets(window)
        return dict.fromkeys(arrays, offsets)
    _check_names(window, "window", arrays)
    return {name: _offsets(window[name]) if name in window else None for name in arrays}


def _offsets(given: Any) -> tuple[int, ...]:
    found = list(iterated(given, "window takes lists of integers, such as [-1, 0, 1], or a dict of them, by name"))
    if not 0 < len(found) <= MAX_OFFSETS:
        raise ArgumentError(f"window takes from 1 to {MAX_OFFSETS} offsets, not {len(found)}")
    return tuple([number(offset, "an offset of window", -MAX_OFFSET, MAX_OFFSET) for offset in found])


def _check_names(given: Any, argument: str, arrays: Arrays, needs_all: bool = False) -> None:
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{argument} takes a dict, by the names of arrays, not {shown(given)}")
    if unknown := [name for name in given if name not in arrays]:
        raise ArgumentError(f"{argument} has {shown(unknown[0])}, which is no array; those are {list(arrays)}")
    if missing := [name for name in arrays if needs_all and name not in given]:
        raise ArgumentError(f"{argument} has nothing for array {missing[0]!r}; give it for all arrays")


def columns_of(arrays: Arrays, sample: Patch | Rows, offsets: Offsets, settings: Settings) -> list[Column]:
    """The axes along which samples have an origin."""
    name, first = next(iter(arrays.items()))
    everything = wanted(sample, first[0], name, settings.window is not None)
    along = [one for one in everything if one.size is not None]
    axes = {other: axes_in(each[0], other, first[0], along) for other, each in arrays.items()}
    scales = _scales(arrays, [one for one in everything if one.is_patch], settings)
    rows = [offset for each in offsets.values() for offset in each or (0,)]
    found = []
    for i, one in enumerate(along):
        of = {other: scales[other].get(one.axis, Scale()) for other in arrays}
        column = _column(one, {other: axes[other][i] for other in arrays}, of)
        if not one.is_patch:
            column = replace(column, before=max(0, -min(rows)), after=max(0, max(rows)))
        if not one.is_patch or (settings.spacing is None and settings.translation is None):
            _check_lengths(arrays, column.axes)
        found.append(column)
    return found


def _column(one: Wanted, axes: Mapping[str, int], scales: Mapping[str, Scale]) -> Column:
    assert one.size is not None
    common = lattice(scales.values())
    if common is None:
        raise ArgumentError(f"spacing, translation: along axis {one.axis} elements of the arrays never begin together")
    if one.is_patch and one.stride % common.step:
        raise ArgumentError(
            f"Patch(stride=...): along axis {one.axis} elements of all arrays begin together at multiples of "
            f"{common.step} elements of the first array, so a stride is such a multiple, not {one.stride}"
        )
    return Column(axes, one.size, one.stride, one.pad, one.is_patch, scales, common)


def _check_lengths(arrays: Arrays, axes: Mapping[str, int]) -> None:
    name, first = next(iter(arrays.items()))
    for other, each in arrays.items():
        for store, (one, two) in enumerate(zip(first, each, strict=True)):
            if one.shape[axes[name]] != two.shape[axes[other]]:
                of_store = f", of store {store}," if len(each) > 1 else ""
                raise ArgumentError(
                    f"array {other!r}{of_store} has {two.shape[axes[other]]} elements along axis {axes[other]}, "
                    f"{name!r} has {one.shape[axes[name]]} along axis {axes[name]}: samples are taken along these "
                    "axes, so they must be equally long; of patches of other voxel sizes give spacing="
                )


def _scales(arrays: Arrays, patch: Sequence[Wanted], settings: Settings) -> dict[str, dict[int, Scale]]:
    """Of each array, by the axes of the first one, its elements along the axes of a patch."""
    spacing, translation = settings.spacing, settings.translation
    if spacing is None and translation is None:
        return {name: {} for name in arrays}
    if not patch:
        raise ArgumentError("spacing and translation are for patches: rows have no size")
    if spacing is not None:
        _check_names(spacing, "spacing", arrays, needs_all=True)
    if translation is not None:
        _check_names(translation, "translation", arrays)
    sizes = {name: _numbers(spacing, "spacing", name, 1, len(patch)) for name in arrays}
    shifts = {name: _numbers(translation, "translation", name, 0, len(patch)) for name in arrays}
    for name, each in sizes.items():
        if any(exact(size, f"spacing[{name!r}]") <= 0 for size in each):
            raise ArgumentError(f"spacing[{name!r}] must be above 0, not {shown(each)}")
    unit, begin = (next(iter(of.values())) for of in (sizes, shifts))
    return {
        name: {
            one.axis: Scale(
                ratio(sizes[name][i], unit[i], f"spacing[{name!r}]"),
                ratio(
                    exact(shifts[name][i], f"translation[{name!r}]") - exact(begin[i], "translation"),
                    unit[i],
                    "spacing",
                ),
            )
            for i, one in enumerate(patch)
        }
        for name in arrays
    }


def _numbers(given: Any, argument: str, name: str, default: int, count: int) -> list[Any]:
    """A number for each axis of a patch."""
    if given is None or name not in given:
        return [default] * count
    found = list(iterated(given[name], f"{argument}[{name!r}] takes a number for each axis of a patch"))
    if len(found) != count:
        raise ArgumentError(
            f"{argument}[{name!r}] takes {count} numbers, one for each axis of a patch, not {len(found)}"
        )
    return found
