"""Levels of an image: by which factors each is reduced, and where its samples lie.

A level has a sample for each window of the finer level; windows at the end of an axis may be cut off, so a level has
`ceil(length / factor)` samples along an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from operator import index
from typing import Any

from gpuzarr.checks import iterated, number, shown
from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.axes import is_space
from gpuzarr.pyramids.metadata.common import MAX_LEVELS
from gpuzarr.pyramids.metadata.model import Axis, Vector

Shape = tuple[int, ...]
Factors = tuple[Shape, ...]  # from each level to the next coarser one
TOLERANCE = 1e-4  # of the ratio of two scales, which somebody may have rounded


def plan(
    shape: Shape, scale: Vector, axes: tuple[Axis, ...], chunks: Shape, levels: Any = "auto", factors: Any = None
) -> Factors:
    """The factors from each level to the next.

    Parameters
    ----------
    shape, scale, axes, chunks
        Of the finest level; a member for each axis.
    levels
        How many levels there are; "auto": until no space axis of a level is longer than its chunks.
    factors
        A factor for the space axes, a list with one for each axis, or a list of such lists, one for each step. None:
        each step halves the space axes that are less than twice as coarse as the finest, so voxels that are longer in
        z become more and more like cubes. Axes of length 1 are left alone.

    Raises
    ------
    ArgumentError
        The levels or factors make no sense.
    """
    count = None if isinstance(levels, str) and levels == "auto" else number(levels, "levels", 1, MAX_LEVELS)
    each_step, given = _given(factors, axes)
    if given is not None:
        if count not in (None, len(given) + 1):
            raise ArgumentError(f"{len(given)} steps of factors make {len(given) + 1} levels, not levels={count}")
        return given
    steps: list[Shape] = []
    while len(steps) + 1 < (count or MAX_LEVELS):
        if count is None and all(n <= c for n, c, axis in zip(shape, chunks, axes, strict=True) if is_space(axis)):
            break
        step = each_step or halved(shape, scale, axes)
        if prod(step) == 1 or reduced(shape, step) == shape:
            if count is not None:
                raise ArgumentError(f"levels={count}: at level {len(steps)} the shape is {shape}; nothing is to reduce")
            break
        steps.append(step)
        shape, scale = reduced(shape, step), tuple(s * f for s, f in zip(scale, step, strict=True))
    return tuple(steps)


def _given(factors: Any, axes: tuple[Axis, ...]) -> tuple[Shape | None, Factors | None]:
    """Factors of every step, or of each of them."""
    if factors is None:
        return None, None
    if hasattr(factors, "__index__"):
        factor = _step([factors], 1)[0]
        return tuple(factor if is_space(axis) else 1 for axis in axes), None
    if isinstance(factors, dict):
        names = [axis.name for axis in axes]
        if unknown := sorted(map(str, factors.keys() - set(names))):
            raise ArgumentError(f"factors has the axis {unknown[0]!r}, which is none of {shown(names)}")
        return _step([factors.get(name, 1) for name in names], len(axes)), None
    members = list(iterated(factors, "factors are integers, or a list of them for each step"))
    if members and hasattr(members[0], "__index__"):
        return _step(members, len(axes)), None
    if len(members) >= MAX_LEVELS:
        raise ArgumentError(f"factors make {len(members) + 1} levels, more than {MAX_LEVELS}")
    return None, tuple(_step(list(iterated(each, "factors of a step are integers")), len(axes)) for each in members)


def _step(given: Sequence[Any], ndim: int) -> Shape:
    try:
        step = tuple(index(each) for each in given)
    except TypeError as error:
        raise ArgumentError(f"factors must be integers, not {shown(given)}") from error
    if len(step) != ndim or min(step) < 1 or max(step) > 1 << 20:
        raise ArgumentError(
            f"factors of a step are integers >= 1, one for each of {ndim} axes, not {shown(given)}; "
            "for several steps give a list of such lists"
        )
    return step


def halved(shape: Shape, scale: Vector, axes: tuple[Axis, ...]) -> Shape:
    """Factors of 2 for the space axes that are less than twice as coarse as the finest, and longer than 1."""
    sizes = [abs(s) if is_space(axis) and n > 1 else None for n, s, axis in zip(shape, scale, axes, strict=True)]
    finest = min((size for size in sizes if size is not None), default=0.0)
    return tuple(2 if size is not None and size < 2 * finest * (1 - TOLERANCE) else 1 for size in sizes)


def reduced(shape: Shape, step: Shape) -> Shape:
    """The shape of the next coarser level."""
    return tuple(-(-n // f) for n, f in zip(shape, step, strict=True))


def shapes(shape: Shape, factors: Factors) -> tuple[Shape, ...]:
    """The shape of each level."""
    found = [shape]
    for step in factors:
        found.append(reduced(found[-1], step))
    return tuple(found)


def placements(scale: Vector, translation: Vector, factors: Factors, method: str) -> list[tuple[Vector, Vector]]:
    """The scale and translation of each level: the size of its voxels, and the centre of its first sample.

    A sample that stands for a window of f voxels lies at the window's centre, (f - 1) / 2 voxels after the first. The
    method "nearest" takes the first voxel of a window, so there the translation stays.
    """
    total = [1] * len(scale)
    found = [(scale, translation)]
    for step in factors:
        total = [a * b for a, b in zip(total, step, strict=True)]
        moved = [0 if method == "nearest" else (f - 1) / 2 for f in total]
        found.append(
            (
                tuple(s * f for s, f in zip(scale, total, strict=True)),
                tuple(t + s * m for t, s, m in zip(translation, scale, moved, strict=True)),
            )
        )
    return found


def found_factors(shapes: Sequence[Shape], scales: Sequence[Vector | None]) -> Factors | None:
    """The factors between levels that exist; None if one of them is not the finer one in whole windows."""
    steps = []
    for (fine, coarse), (a, b) in zip(pairwise(shapes), pairwise(scales), strict=True):
        ratios = [None] * len(fine) if a is None or b is None else [y / x for x, y in zip(a, b, strict=True)]
        step = tuple(_factor(*each) for each in zip(fine, coarse, ratios, strict=True))
        if reduced(fine, step) != coarse:
            return None
        steps.append(step)
    return tuple(steps)


def _factor(fine: int, coarse: int, ratio: float | None) -> int:
    """The factor along an axis, by the ratio of the scales, or else of the lengths."""
    if ratio is not None and round(ratio) >= 1 and abs(ratio - round(ratio)) <= TOLERANCE * ratio:
        return round(ratio)
    return max(1, round(fine / coarse)) if coarse else 1
