"""Numbers of an array as a read returns them: `values * scale + offset` in another dtype, with NaN for missing ones.

The rules are those of a `Cast`. The CPU's work is here, and `kernels/place_cast.cu` does the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import floor, isfinite, prod
from numbers import Real
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.dtypes import cast_loop
from gpuzarr.dtypes.elements import element
from gpuzarr.errors import ArgumentError, ValueKindError

FLOAT16, FLOAT32, FLOAT64 = np.dtype("f2"), np.dtype("f4"), np.dtype("f8")
_PIECE_BYTES = 1 << 18  # of elements that are computed at once, so that they stay in a core's cache
Dtype = np.dtype[Any]


@dataclass(frozen=True)
class Spread:
    """A number for each element along some axes: `values` broadcast, as in NumPy, against whatever is cast."""

    shape: tuple[int, ...]
    dtype: Dtype
    data: bytes  # of the numbers, in C order: so that equal ones are equal

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """These numbers."""
        return cls(values.shape, values.dtype, values.tobytes())

    @cached_property
    def values(self) -> np.ndarray:
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Cast:
    """What becomes of each element of dtype `source` on its way to a result of `dtype`.

    An element that equals `nan_of` becomes NaN, -0.0 being equal to 0.0; where that is None, none does. It is converted
    to `work`, multiplied by `scale` and then increased by `offset` (scalars of `work`, None for neither), each time
    rounded to nearest, even; and converted to `dtype`, to a bfloat16 or a smaller float of ml_dtypes by way of float32.
    Instead of scalars they may be `Spread`, where what is cast is not a part of a chunk, but whole samples.
    `work` is None for bools, and for integers from integers, of which the lowest bits are kept.

    What comes of NaNs are NaNs, of no certain bits.
    """

    source: Dtype
    dtype: Dtype
    work: Dtype | None = None
    scale: Any = None
    offset: Any = None
    nan_of: Any = None

    @cached_property
    def is_plain(self) -> bool:
        """Whether one assignment of NumPy does the same as well; of float16 it takes twice as long."""
        is_kept = self.scale is None and self.offset is None and self.nan_of is None
        return is_kept and self.dtype.isbuiltin == 1 and self.dtype != FLOAT16

    def put(self, target: np.ndarray, values: np.ndarray) -> None:
        """Cast `values` into `target`, both of the same shape and any strides, in pieces that fit a core's cache."""
        with np.errstate(all="ignore"):
            if self.work is None or self.is_plain:
                np.copyto(target, values, casting="unsafe")
                return
            if not self.is_spread and cast_loop.cast(target, values, self.work, self.scale, self.offset, self.nan_of):
                return
            most = _PIECE_BYTES // self.work.itemsize
            scratch = np.empty(min(target.size, most), self.work)
            for piece in _pieces(target.shape, most):
                scale, offset = (_of_piece(each, target.shape, piece) for each in (self.scale, self.offset))
                self._put(target[piece], values[piece], scale, offset, scratch)

    def of(self, values: np.ndarray) -> np.ndarray:
        """The values in a new array."""
        made = np.empty(values.shape, self.dtype)
        self.put(made, values)
        return made

    def one(self, value: Any) -> Any:
        """A single value, such as the fill value: a scalar of `dtype`; an array where numbers are `Spread`."""
        made = self.of(np.full(self._spread_shape or 1, value, self.source))
        return made if self.is_spread else made[0]

    @property
    def is_spread(self) -> bool:
        """Whether `scale` or `offset` are `Spread`."""
        return isinstance(self.scale, Spread) or isinstance(self.offset, Spread)

    @property
    def unscaled(self) -> Cast:
        """What is done before `scale` and `offset`: a result of `work`."""
        assert self.work is not None
        return replace(self, dtype=self.work, scale=None, offset=None)

    @property
    def rounded(self) -> Cast | None:
        """What is done behind `scale` and `offset`, to elements of `work`; None: nothing."""
        assert self.work is not None
        return cast_of(self.work, None, self.dtype, None, None, None)

    @property
    def _spread_shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*[each.shape for each in (self.scale, self.offset) if isinstance(each, Spread)])

    def _put(self, target: np.ndarray, values: np.ndarray, scale: Any, offset: Any, scratch: np.ndarray) -> None:
        is_same = target.dtype == self.work
        made = target if is_same and target.flags.carray else scratch[: target.size].reshape(target.shape)
        np.copyto(made, values, casting="unsafe")
        if self.nan_of is not None:
            np.copyto(made, np.nan, where=values == self.nan_of)
        if scale is not None:
            made = np.multiply(made, scale, out=target if is_same and offset is None else made)
        if offset is not None:
            made = np.add(made, offset, out=target if is_same else made)
        if made is not target:
            if self.dtype.isbuiltin == 2:
                made = made.astype(FLOAT32, copy=False)
            if not target.flags.carray:  # small floats are converted faster to memory without gaps
                made = made.astype(self.dtype, copy=False)
            np.copyto(target, made, casting="unsafe")


def cast_of(
    source: Dtype, fill_value: Any, dtype: Dtype | None, scale: Any, offset: Any, fill_to_nan: Any
) -> Cast | None:
    """The cast that `Array.get` is asked for; None where elements stay as they are. ArgumentError where it has none.

    `fill_value`: that of the array, which `fill_to_nan=True` means; None if it defines none. `fill_to_nan`: True, a
    number, or None or False where no element becomes NaN.
    """
    is_scaled, to_nan = scale is not None or offset is not None, fill_to_nan is not None and fill_to_nan is not False
    if not is_scaled and not to_nan and (dtype is None or dtype == source):
        return None
    if not (_is_integer(source) or is_float(source)):
        raise ArgumentError(f"elements of {source} cannot be cast: only bools, integers and floats can")
    if dtype is None:
        dtype = source if not is_scaled and is_float(source) else _float_for(source)
    _check_result(source, dtype, is_scaled or to_nan)
    work = _work(source, dtype, is_scaled)
    return Cast(
        source,
        dtype,
        work,
        None if scale is None else _number(scale, "scale", work),
        None if offset is None else _number(offset, "offset", work),
        _nan_of(source, fill_value, fill_to_nan, dtype) if to_nan else None,
    )


def spread(cast: Cast, scale: Any, offset: Any) -> Cast:
    """A cast with other numbers, arrays that broadcast against what is cast. ArgumentError if they are not finite."""
    made = []
    for name, given in (("scale", scale), ("offset", offset)):
        with np.errstate(over="ignore"):
            values = np.asarray(given, np.float64).astype(cast.work)
        if not np.isfinite(values).all():
            raise ArgumentError(f"{name} must be finite numbers of {cast.work}, not {shown(given)}")
        made.append(Spread.of(values))
    return replace(cast, scale=made[0], offset=made[1])


def _of_piece(number: Any, shape: tuple[int, ...], piece: tuple[Any, ...]) -> Any:
    """What of a scale or an offset is for a part of an array of `shape`."""
    return np.broadcast_to(number.values, shape)[piece] if isinstance(number, Spread) else number


def put(target: Any, values: Any, cast: Cast | None) -> None:
    """Assign values to the elements of `target`, cast if they are to be."""
    if cast is None:
        target[...] = values
    else:
        cast.put(target, values)


def made(values: Any, cast: Cast | None) -> Any:
    """The values, cast if they are to be."""
    return values if cast is None else cast.of(values)


def is_float(dtype: Dtype) -> bool:
    """True for real floats of at most 64 bits, those of ml_dtypes too."""
    if dtype.isbuiltin == 2:
        return "float" in dtype.name and "complex" not in dtype.name
    return dtype.kind == "f" and dtype.itemsize <= 8


def _is_integer(dtype: Dtype) -> bool:
    """True for bools and integers, those of ml_dtypes too."""
    return dtype.kind in "biu" or (dtype.isbuiltin == 2 and dtype.name.startswith(("int", "uint")))


def _float_for(dtype: Dtype) -> Dtype:
    """The float dtype that holds numbers of `dtype`: float32 where it holds all of them exactly, else float64.

    As xarray has it for packed variables (`xarray.coding.variables._choose_float_dtype`) where no attribute says more.
    """
    return FLOAT32 if dtype.itemsize <= (4 if is_float(dtype) else 2) else FLOAT64


def _work(source: Dtype, dtype: Dtype, is_scaled: bool) -> Dtype | None:
    """The dtype of the computation: float32 if it holds the source exactly and no float64 is asked for; else float64.

    What is not scaled is rounded once, as by NumPy and ml_dtypes: to the result, or to float32 on the way to it.
    """
    if not is_float(dtype):
        return None
    if dtype == FLOAT64 or (dtype == FLOAT32 and not is_scaled):
        return dtype
    return _float_for(source) if is_scaled or dtype == FLOAT16 else FLOAT32


def _check_result(source: Dtype, dtype: Dtype, is_computed: bool) -> None:
    if not dtype.isnative or not (is_float(dtype) or (dtype.kind in "biu" and dtype.isbuiltin == 1)):
        raise ArgumentError(f"no result of dtype {dtype}: give a bool, integer or float dtype in native byte order")
    if is_float(dtype):
        return
    if is_computed:
        raise ArgumentError(f"scale, offset and fill_to_nan make floats: no result of dtype {dtype}")
    if is_float(source) and dtype.kind != "b":
        raise ArgumentError(
            f"floats ({source}) are not read as {dtype}: how to round them, and NaN, is yours to decide"
        )


def _number(value: Any, name: str, work: Dtype | None) -> Any:
    """A scale or offset as a scalar of `work`."""
    assert work is not None
    try:
        given = value.item() if getattr(value, "shape", None) == () else value
        with np.errstate(over="ignore"):
            made = work.type(given) if isinstance(given, Real) and not isinstance(given, bool) else None
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"{name} {shown(value)} is no number: {error}") from error
    if made is None or not isfinite(made):
        raise ArgumentError(f"{name} must be one finite number of {work}, not {shown(value)}")
    return made


def _nan_of(source: Dtype, fill_value: Any, given: Any, dtype: Dtype) -> Any:
    """The element of `source` that becomes NaN; None for NaN, which stays so."""
    if not np.isnan(np.full(1, np.nan, dtype).astype(FLOAT32))[0]:
        raise ArgumentError(f"fill_to_nan needs a dtype that has NaN, not {dtype}")
    if given is True and fill_value is None:
        raise ArgumentError("fill_to_nan=True needs a fill value, which the array does not define: give a number")
    try:
        if given is not True and (isinstance(given, bool) or not isinstance(given, Real)):
            raise TypeError("give True or a number")
        if given is not True and source.kind in "biu" and given != floor(given):
            raise ValueError("it is no whole number")
        found = element(fill_value if given is True else given, source)
    except (TypeError, ValueError, OverflowError, ValueKindError) as error:
        raise ArgumentError(f"fill_to_nan {shown(given)} is no element of {source}: {error}") from error
    return found if found == found else None


def _pieces(shape: tuple[int, ...], most: int) -> Iterator[tuple[Any, ...]]:
    """Indices of parts of an array, of at most so many elements each."""
    inner = prod(shape[1:])
    if inner * prod(shape[:1]) <= most:
        yield (...,)
    elif inner > most:
        for i in range(shape[0]):
            for piece in _pieces(shape[1:], most):
                yield (i, *piece)
    else:
        rows = most // inner
        for first in range(0, shape[0], rows):
            yield (slice(first, first + rows), ...)
