"""What becomes of elements on their way into a batch: `dtype`, `normalize` and `fill_to_nan` of a loader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.dtypes.cast import Cast, Spread, is_float, spread
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.space.columns import Arrays
from gpuzarr.loader.space.view_axes import Along, Whole
from gpuzarr.nodes.casting import Casting, result


def casts(arrays: Arrays, dtype: Any, normalize: Any, fill_to_nan: Any) -> dict[str, tuple[Cast | None, ...]]:
    """For each name, what becomes of the elements of its array in each store."""
    given = {"dtype": dtype, "normalize": normalize, "fill_to_nan": fill_to_nan}
    for argument, value in given.items():
        if isinstance(value, Mapping) and (unknown := [name for name in value if name not in arrays]):
            raise ArgumentError(f"{argument} has {shown(unknown[0])}, which is no array; those are {list(arrays)}")
    if normalize is not None and not isinstance(normalize, Mapping):
        raise ArgumentError(f"normalize takes a dict of name and (mean, standard deviation), not {shown(normalize)}")
    found = {name: tuple([_cast(name, array, **given) for array in each]) for name, each in arrays.items()}
    for argument in ("dtype", "fill_to_nan"):
        _check_use(argument, given[argument], arrays, found)
    return found


def _check_use(argument: str, value: Any, arrays: Arrays, found: Mapping[str, Sequence[Cast | None]]) -> None:
    """ArgumentError if one value is given for all floats, but there are none."""
    if value is None or value is False or isinstance(value, Mapping):
        return
    if not any(is_float(result(array, cast)[0]) for name in arrays for array, cast in zip(arrays[name], found[name])):  # noqa: B905
        raise ArgumentError(
            f"{argument}={shown(value)} is for arrays of floats, or those that normalize makes floats, but "
            f"{', '.join(f'{name!r} is {each[0].dtype}' for name, each in arrays.items())}; name arrays of other "
            f"dtypes: {argument}={{{next(iter(arrays))!r}: {shown(value)}}}"
        )


def dtype_of(name: str, arrays: Any, casts: tuple[Cast | None, ...]) -> np.dtype[Any]:
    """The dtype of an array of the batch. ArgumentError where stores have several."""
    found = [result(array, cast)[0] for array, cast in zip(arrays, casts, strict=True)]
    for store, dtype in enumerate(found):
        if dtype != found[0]:
            raise ArgumentError(f"array {name!r} is of {found[0]} in store 0, of {dtype} in store {store}: give dtype=")
    return found[0]


def scaled(name: str, given: Any, ndim: int) -> tuple[Any, Any]:
    """The scale and the offset that make (value - mean) / std of values: numbers, or arrays that broadcast against the
    `ndim` axes of the array."""
    try:
        mean, std = given
    except (TypeError, ValueError) as error:
        how = "; give its `.normalize`" if hasattr(given, "normalize") else ""
        raise ArgumentError(f"normalize[{name!r}] is (mean, standard deviation), not {shown(given)}{how}") from error
    mean, std = (_numbers(name, each) for each in (mean, std))
    if not np.all(std > 0):
        raise ArgumentError(f"normalize[{name!r}]: standard deviations must be above 0, not {shown(given[1])}")
    with np.errstate(over="ignore"):
        scale, offset = 1 / std, -mean / std
    if not mean.shape and not std.shape:
        return float(scale), float(offset)
    if max(scale.ndim, offset.ndim) > ndim:
        raise ArgumentError(f"normalize[{name!r}] has more axes than the array, which has {ndim}")
    return _with_axes(scale, ndim), _with_axes(offset, ndim)


def _with_axes(values: np.ndarray, ndim: int) -> np.ndarray:
    return values.reshape((1,) * (ndim - values.ndim) + values.shape)


def _numbers(name: str, given: Any) -> np.ndarray:
    try:
        found = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"normalize[{name!r}] takes numbers, not {shown(given)}: {error}") from error
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise ArgumentError(f"normalize[{name!r}] takes finite numbers, or arrays of them: not {shown(given)}")
    return found.astype(np.float64)


def spread_over(name: str, cast: Cast | None, axes: Sequence[Along]) -> Cast | None:
    """A cast whose numbers are spread over the axes of an array as one whose numbers are spread over a sample."""
    if cast is None or not cast.is_spread:
        return cast
    return replace(cast, scale=_over(name, cast.scale, axes), offset=_over(name, cast.offset, axes))


def _over(name: str, number: Spread, axes: Sequence[Along]) -> Spread:
    index: list[Any] = []
    for place, (along, length) in enumerate(zip(axes, number.shape, strict=True)):
        if isinstance(along, Whole) and 1 < length >= along.elements.stop:
            index.append(slice(along.elements.start, along.elements.stop))
        elif length == 1:
            index.append(0 if along.kept is None else slice(None))
        else:
            takes = "that of the array" if isinstance(along, Whole) else "1: samples have their origin along it"
            raise ArgumentError(f"normalize[{name!r}] has length {length} along axis {place}, which takes {takes}")
    return Spread.of(number.values[tuple(index)])


def _check_broadcast(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    for axis, (length, of_array) in enumerate(zip(shape, wanted, strict=True)):
        if length not in (1, of_array):
            raise ArgumentError(
                f"normalize[{name!r}] has length {length} along axis {axis}, along which the array has {of_array}; it "
                "takes numbers that broadcast against the array"
            )


def _cast(name: str, array: Any, dtype: Any, normalize: Any, fill_to_nan: Any) -> Cast | None:
    scale, offset = scaled(name, normalize[name], array.ndim) if normalize and name in normalize else (None, None)
    over: Any = None if isinstance(scale, float | None) else (scale, offset)
    for spread_numbers in over or ():
        _check_broadcast(name, spread_numbers.shape, array.shape)
    scale, offset = (scale, offset) if over is None else (1.0, 0.0)
    its_dtype = dtype.get(name) if isinstance(dtype, Mapping) else None
    try:
        if not isinstance(dtype, Mapping) and (scale is not None or is_float(array.dtype)):
            its_dtype = dtype
        casting = Casting(its_dtype, scale, offset)
        cast = casting.of(array)
        if isinstance(fill_to_nan, Mapping):
            wanted = fill_to_nan.get(name)
        else:
            wanted = fill_to_nan if is_float(array.dtype if cast is None else cast.dtype) else None
        if wanted is not None and wanted is not False:
            cast = Casting(its_dtype, scale, offset, wanted).of(array)
        return cast if over is None or cast is None else spread(cast, *over)
    except ArgumentError as error:
        raise ArgumentError(f"array {name!r}: {error}") from error
