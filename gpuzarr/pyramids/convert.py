"""Values on their way from a model to an array: the index of the greatest, scaled, clamped, in another dtype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, isinf
from numbers import Integral, Real
from typing import Any

import numpy as np

from gpuzarr.checks import number, shown
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import FLOAT32, FLOAT64, Dtype, cast_of, is_float
from gpuzarr.errors import ArgumentError
from gpuzarr.gpu.cast import cast_all
from gpuzarr.pyramids import integers

Check = Callable[[], None]
INDEX = np.dtype(np.int64)  # of the greatest


@dataclass(frozen=True)
class Conversion:
    """What is done to the values of a block, in this order; what is None is not done.

    Parameters
    ----------
    to
        The dtype of the result: bool, integers or floats. Integers are rounded to nearest, even for halves, and those
        out of range become the least or the greatest of the dtype; bools count as the integers 0 and 1, so that floats
        above 0.5 are true. Default: floats for what `scale` or `offset` make floats of, else the dtype of the values.
    scale, offset
        The values are multiplied by `scale`, and then `offset` is added. Integers with integers are computed exactly,
        uint64 too. Others are computed as float32 where that holds all values of their dtype exactly, else as float64.
    clamp
        A pair of numbers, each of which may be None: what is less or greater becomes the first or the second.
    argmax
        An axis of the values, which the result does not have: the index of the greatest element along it, of equal ones
        the first.
    nan_to
        A number that NaN becomes at the end; of `argmax`, what has NaN along the axis. By default NaN stays NaN, and is
        an error where integers are made.

    Raises
    ------
    ArgumentError
        An argument is none of these.

    Examples
    --------
    >>> from gpuzarr.devices.select import device
    >>> from gpuzarr.pyramids.convert import Conversion
    >>> percent = Conversion(to="uint8", scale=100)
    >>> percent.apply(np.array([0.255, 0.265, 7.0]), device("cpu"))[0]
    array([ 26,  26, 255], dtype=uint8)
    >>> Conversion(argmax=0, to="uint8").apply(np.array([[0.1, 0.5], [0.2, 0.5]]), device("cpu"))[0]
    array([1, 0], dtype=uint8)
    """

    to: Any = None
    scale: Any = None
    offset: Any = None
    clamp: Any = None
    argmax: int | None = None
    nan_to: Any = None

    def __post_init__(self) -> None:
        for name in ("scale", "offset", "nan_to"):
            object.__setattr__(self, name, _finite(getattr(self, name), name))
        object.__setattr__(self, "to", _dtype(self.to))
        object.__setattr__(self, "clamp", _clamp(self.clamp))
        if self.argmax is not None:
            object.__setattr__(self, "argmax", number(self.argmax, "argmax", -64, 63))

    def dtype_of(self, source: Dtype) -> Dtype:
        """The dtype of the result for values of dtype `source`. ArgumentError for those that are no real numbers."""
        if not (integers.is_whole(source) or is_float(source)):
            raise ArgumentError(f"values of {source} cannot be converted: only bools, integers and real floats can")
        source = source if self.argmax is None else INDEX
        if self.to is not None:
            return self.to
        return source if self._stays(source) else _work(source, None)

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result for values of a shape. ArgumentError where that has no such axis, or nothing along
        it."""
        if self.argmax is None:
            return tuple(shape)
        if not -len(shape) <= self.argmax < len(shape) or not shape[self.argmax]:
            raise ArgumentError(f"argmax={self.argmax} is no axis with elements of values of shape {tuple(shape)}")
        return tuple(np.delete(shape, self.argmax).tolist())

    def apply(self, values: Any, device: Device, where: str = "the values") -> tuple[Any, Check | None]:
        """Convert values of a device. Returns them, and a function to call before they are used, or None.

        The function raises ArgumentError if NaN was to become an integer, which a GPU says later: it waits for the
        device. On a CPU there is none, as this raises it. `where`: names the values in messages.
        """
        dtype, shape = self.dtype_of(values.dtype), self.shape_of(values.shape)
        if 0 in shape:
            return device.array(shape, dtype), None
        checks: list[Check] = []
        with device.on(), np.errstate(all="ignore"):
            is_nan = None
            if self.argmax is not None:
                values, is_nan = self._argmax(values, device, where, checks)
            made = self._converted(values, dtype, device, where, checks)
            if is_nan is not None:
                made = device.xp.where(is_nan, dtype.type(self._nan(dtype)), made)
        return made, checks[0] if checks else None

    def _stays(self, source: Dtype) -> bool:
        """Whether values stay of their dtype where no other is asked for."""
        numbers = [each for each in (self.scale, self.offset) if each is not None]
        return not numbers or (integers.is_whole(source) and all(isinstance(each, Integral) for each in numbers))

    def _argmax(self, values: Any, device: Device, where: str, checks: list[Check]) -> tuple[Any, Any]:
        """The index of the greatest; and where NaN is among them, if that is to become a number."""
        xp, is_nan = device.xp, None
        if is_float(values.dtype):
            values = _as_float(values, device, _work(values.dtype, None))
            if self.nan_to is None:
                _check_nan(values, device, f"{where}: there is NaN, of which argmax makes no index", checks)
            else:
                is_nan = xp.isnan(xp.max(values, axis=self.argmax))
        return xp.argmax(values, axis=self.argmax), is_nan

    def _converted(self, values: Any, dtype: Dtype, device: Device, where: str, checks: list[Check]) -> Any:
        """Values times `scale` plus `offset`, clamped, in the result's dtype."""
        xp, source = device.xp, values.dtype
        if integers.is_whole(source) and integers.is_whole(dtype) and self._stays(source):
            within = integers.limits(dtype, self.clamp)
            if source == dtype and not self._changes:
                return values
            return integers.of_integers(xp, values, dtype, _or(self.scale, 1), _or(self.offset, 0), within)
        if self.clamp is None and self.nan_to is None and is_float(dtype):
            return _as_float(values, device, dtype, self.scale, self.offset)
        made = _as_float(values, device, _work(source, dtype), self.scale, self.offset)
        if is_float(dtype):
            if self.clamp is not None:
                made = xp.clip(made, *[None if end is None else made.dtype.type(end) for end in self.clamp])
            if self.nan_to is not None:
                made = xp.where(xp.isnan(made), made.dtype.type(self.nan_to), made)
            return _as_float(made, device, dtype)
        if self.nan_to is None and is_float(source):  # products and sums of finite numbers are not NaN
            _check_nan(made, device, f"{where}: NaN cannot become {dtype}", checks)
        whole = integers.of_floats(xp, made, dtype, integers.limits(dtype, self.clamp))
        return whole if self.nan_to is None else xp.where(xp.isnan(made), self._nan(dtype), whole)

    @property
    def _changes(self) -> bool:
        return not (self.scale is None and self.offset is None and self.clamp is None)

    def _nan(self, dtype: Dtype) -> Any:
        """What NaN becomes, as a scalar of the result's dtype."""
        return dtype.type(integers.saturated(self.nan_to, dtype) if integers.is_whole(dtype) else self.nan_to)


def _work(source: Dtype, dtype: Dtype | None) -> Dtype:
    """The dtype of computations: float32 where it holds all of `source` and no float64 is asked for, else float64."""
    is_narrow = source.itemsize <= (4 if is_float(source) else 2)
    return FLOAT32 if is_narrow and (dtype is None or dtype != FLOAT64) else FLOAT64  # NumPy has None == float64


def _as_float(values: Any, device: Device, dtype: Dtype, scale: Any = None, offset: Any = None) -> Any:
    """Values times `scale` plus `offset` as floats; the values themselves where nothing is to be done."""
    cast = cast_of(values.dtype, None, dtype, scale, offset, None)
    if cast is None:
        return values
    return cast_all(device, values, cast) if device.gpu else cast.of(values)


def _check_nan(values: Any, device: Device, problem: str, checks: list[Check]) -> None:
    """Look for NaN, which the greatest element is if there is any: now on a CPU, else when the check is called."""
    greatest = device.xp.max(values, keepdims=True).reshape(1)
    fetched = device.download_async(greatest) if device.gpu else lambda: greatest

    def check() -> None:
        if np.isnan(fetched()[0]):
            raise ArgumentError(f"{problem}; say what NaN is to become (nan_to)")

    if device.gpu:
        checks.append(check)
    else:
        check()


def _or(value: Any, default: int) -> int:
    return default if value is None else int(value)


def _finite(value: Any, name: str) -> Any:
    """An argument that is a finite number, as one of Python, or None."""
    given = value.item() if getattr(value, "shape", None) == () else value
    if given is None or (isinstance(given, Real) and not isinstance(given, bool) and isfinite(given)):
        return given
    raise ArgumentError(f"{name} must be a finite number, not {shown(value)}")


def _dtype(value: Any) -> Dtype | None:
    if value is None:
        return None
    try:
        found = np.dtype(value)
    except TypeError as error:
        raise ArgumentError(f"to={shown(value)} is no dtype: {error}") from error
    if not (integers.is_whole(found) or is_float(found)) or not found.isnative:
        raise ArgumentError(f"to must be a bool, integer or float dtype in native byte order, not {found}")
    return found


def _clamp(value: Any) -> tuple[Any, Any] | None:
    """The least and the greatest value, as numbers of Python; infinite ones are no bounds."""
    if value is None:
        return None
    given = value if isinstance(value, tuple | list) else ()
    ends: list[Any] = [None if isinstance(each, Real) and isinf(each) else _finite(each, "clamp") for each in given]
    if len(ends) != 2 or (None not in ends and ends[0] > ends[1]):
        raise ArgumentError(f"clamp must be a pair of numbers, the second not less than the first, not {shown(value)}")
    return None if ends == [None, None] else (ends[0], ends[1])
