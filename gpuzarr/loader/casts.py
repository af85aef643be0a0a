"""What becomes of elements on their way into a batch: `dtype`, `normalize` and `fill_to_nan` of a loader."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.dtypes.cast import Cast, is_float
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.columns import Arrays
from gpuzarr.nodes.casting import Casting, result


def casts(arrays: Arrays, dtype: Any, normalize: Any, fill_to_nan: Any) -> dict[str, tuple[Cast | None, ...]]:
    """For each name, what becomes of the elements of its array in each store."""
    given = {"dtype": dtype, "normalize": normalize, "fill_to_nan": fill_to_nan}
    for argument, value in given.items():
        if isinstance(value, Mapping) and (unknown := [name for name in value if name not in arrays]):
            raise ArgumentError(f"{argument} has {shown(unknown[0])}, which is no array; those are {list(arrays)}")
    if normalize is not None and not isinstance(normalize, Mapping):
        raise ArgumentError(f"normalize takes a dict of name and (mean, standard deviation), not {shown(normalize)}")
    return {name: tuple([_cast(name, array, **given) for array in each]) for name, each in arrays.items()}


def dtype_of(name: str, arrays: Any, casts: tuple[Cast | None, ...]) -> np.dtype[Any]:
    """The dtype of an array of the batch. ArgumentError where stores have several."""
    found = [result(array, cast)[0] for array, cast in zip(arrays, casts, strict=True)]
    for store, dtype in enumerate(found):
        if dtype != found[0]:
            raise ArgumentError(f"array {name!r} is of {found[0]} in store 0, of {dtype} in store {store}: give dtype=")
    return found[0]


def scaled(name: str, given: Any) -> tuple[Any, Any]:
    """The scale and the offset that make (value - mean) / std of values."""
    try:
        mean, std = given
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"normalize[{name!r}] is (mean, standard deviation), not {shown(given)}") from error
    mean, std = (_number(name, each) for each in (mean, std))
    if std <= 0:
        raise ArgumentError(f"normalize[{name!r}]: the standard deviation must be above 0, not {shown(std)}")
    return 1 / std, -mean / std


def _number(name: str, given: Any) -> float:
    value = given.item() if getattr(given, "shape", None) == () else given
    if not isinstance(value, Real) or isinstance(value, bool) or not isfinite(value):
        raise ArgumentError(f"normalize[{name!r}] takes finite numbers, one mean and one deviation: not {shown(given)}")
    return float(value)


def _cast(name: str, array: Any, dtype: Any, normalize: Any, fill_to_nan: Any) -> Cast | None:
    scale, offset = scaled(name, normalize[name]) if normalize and name in normalize else (None, None)
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
        return cast if wanted is None or wanted is False else Casting(its_dtype, scale, offset, wanted).of(array)
    except ArgumentError as error:
        raise ArgumentError(f"array {name!r}: {error}") from error
