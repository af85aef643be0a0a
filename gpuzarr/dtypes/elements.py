"""Convert elements to a dtype as NumPy does, and refuse those that it cannot hold.

NumPy's rules hold where they are defined: floats have the precision of the dtype, integers lose fractions and those of
an array wrap around, times lose what is smaller than their unit, bools are True for all but 0, texts are those of
`str`. Refused is what NumPy warns of or leaves undefined (NaN or floats out of range for integers, floats that become
infinite, the imaginary part, times out of range), and what would silently be another value: texts that are too long,
and missing values (None, NaN, NaT) where the dtype has none.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from numbers import Integral, Number
from typing import Any

import numpy as np

from gpuzarr.errors import ValueKindError

_NUMBERS = "biufc"
_MAX_ROUNDED = 1.0625  # of the largest number of a small float dtype
_SAID = (Number, np.bool_, bytes, np.datetime64, np.timedelta64, datetime.date, datetime.time, datetime.timedelta)
_SECONDS = {"Y": 366 * 86400, "M": 31 * 86400, "W": 7 * 86400, "D": 86400, "h": 3600, "m": 60}  # at most, of units
_PARTS = ("s", "ms", "us", "ns", "ps", "fs", "as")  # each a thousandth of the one before
Array = np.ndarray[Any, Any]


def converted(array: Array, dtype: np.dtype[Any]) -> Array:
    """Convert an array of the host whose elements may be none of `dtype`. ValueKindError for an element that is none.

    Of numbers for numbers nothing is done: see `check_numbers`.
    """
    if dtype.kind == "O" or array.dtype == dtype:
        return array
    if dtype.names is not None:
        return _records(array, dtype)
    kinds: dict[str, Callable[[Array, np.dtype[Any]], Array]] = {
        **dict.fromkeys("TUS", _texts),
        **dict.fromkeys("Mm", _times),
        "V": _raw if dtype.isbuiltin != 2 else _numbers,
    }
    return kinds.get(dtype.kind, _numbers)(array, dtype)


def element(given: Any, dtype: np.dtype[Any]) -> Any:
    """Convert one element, such as a fill value. ValueKindError, or an error of NumPy, if it is none."""
    if dtype.kind in "SU" and isinstance(given, str | bytes):
        given = given.rstrip("\0") if isinstance(given, str) else given.rstrip(b"\0")  # which fill up what is shorter
    if dtype.names is not None and isinstance(given, tuple | list):
        given = of_tuples(tuple(given), dtype)
    given = np.asarray(given, object if isinstance(given, str | bytes) else None)
    array = converted(given, dtype)
    check_numbers(array, dtype, np)
    if array.size and array.dtype.kind in "iu" and dtype.kind in "iu":
        check_range(array, dtype)
    return (real(array, dtype) if array.shape == () else array).astype(dtype)[()]


def real(array: Any, dtype: np.dtype[Any]) -> Any:
    """Take the real part of complex numbers for a real `dtype`: NumPy would warn that it drops the others."""
    return array.real if array.dtype.kind == "c" and dtype.kind in "iuf" else array


def check_numbers(array: Any, dtype: np.dtype[Any], xp: Any) -> None:
    """Raise ValueKindError for numbers, in an array of a device, that have no value in `dtype`."""
    if not array.size or dtype.names is not None or array.dtype == dtype:
        return
    if array.dtype.isbuiltin == 2:
        array = array.astype(np.complex128 if "complex" in array.dtype.name else np.float64)
    given = array.dtype
    if given.kind not in _NUMBERS:
        return
    if dtype.isbuiltin == 2:
        _check_small(array, dtype)
    elif dtype.kind not in _NUMBERS or np.can_cast(given, dtype, "safe"):
        return
    elif dtype.kind == "b":
        if given.kind in "fc" and bool(xp.isnan(array).any()):
            raise ValueKindError("NaN cannot be written as bool")
    elif given.kind == "c" and dtype.kind != "c":
        if bool((array.imag != 0).any()):
            raise ValueKindError(f"complex numbers cannot be written as {dtype}")
        check_numbers(array.real, dtype, xp)
    elif dtype.kind in "iu":
        if given.kind == "f":
            check_range(array, dtype)
    else:
        for part in (array.real, array.imag) if given.kind == "c" else (array,):
            _check_floats(part, np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype, xp)


def check_bytes(array: Array) -> None:
    """Raise ValueKindError for objects that are no bytes: some would be stored as empty, others fail half-way."""
    for kind in set(map(type, array.reshape(-1).tolist())):
        if not issubclass(kind, bytes | bytearray | memoryview):
            raise ValueKindError(f"an element of type {kind.__name__} cannot be written as bytes")


def check_range(array: Any, dtype: np.dtype[Any]) -> None:
    """Raise ValueKindError for numbers that are out of the range of an integer dtype, or NaN."""
    limits = np.iinfo(dtype)
    number = float if array.dtype.kind == "f" else int
    low, high = number(array.min()), number(array.max())
    if not (limits.min - 1 < low and high < limits.max + 1):
        kind = "floats" if number is float else "integers"
        message = f"{kind} from {low} to {high} cannot be written as {dtype} ({limits.min} to {limits.max})"
        raise ValueKindError(message)


def _check_floats(array: Any, dtype: np.dtype[Any], xp: Any) -> None:
    """Raise ValueKindError for a finite number that would become infinite."""
    if array.dtype.kind == "f" and xp is np:
        ends = [f.reduce(array, axis=None) for f in (np.fmin, np.fmax)]  # one pass, also where some are NaN
    else:
        ends = [array.min(), array.max()]
    low, high = map(float, ends)
    if not np.isfinite([low, high]).all():
        finite = array[xp.isfinite(array)]
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
    with np.errstate(over="ignore"):
        if np.isinf(np.array([low, high]).astype(dtype)).any():
            raise ValueKindError(f"numbers from {low} to {high} cannot be written as {dtype}: they would be infinite")


def _check_small(array: Array, dtype: np.dtype[Any]) -> None:
    """Do as the others for dtypes of ml_dtypes, some of which saturate, or have no NaN."""
    import ml_dtypes

    limits: Any
    if "int" in dtype.name:
        limits = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
        bad = ~((array.real >= limits.min) & (array.real <= limits.max))
    elif dtype.name.startswith("complex") or dtype.name.startswith("bcomplex"):
        return
    else:
        given, limits = array.real.astype(np.float64), ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        with np.errstate(all="ignore"):
            made = given.astype(dtype).astype(np.float64)
        bad = np.isfinite(given) & (~np.isfinite(made) | (np.abs(given) > float(limits.max) * _MAX_ROUNDED))
        bad |= (np.isnan(given) & ~np.isnan(made)) | (np.isinf(given) & (made != given))
    if array.dtype.kind == "c" or bad.any():
        raise ValueKindError(f"elements of {array.dtype} are out of the range of {dtype}, or none of its values")


def _numbers(array: Array, dtype: np.dtype[Any]) -> Array:
    kind = array.dtype.kind
    if kind == "O":
        return _numbers_of_objects(array, dtype)
    if (kind in "SUTMm" and dtype.kind == "b") or (kind == "V" and array.dtype.isbuiltin == 0):
        raise ValueKindError(f"elements of {array.dtype} cannot be written as {dtype}")
    if kind in "Mm":
        if np.isnat(array).any():
            raise ValueKindError(f"NaT cannot be written as {dtype}")
        counts = array.astype(np.int64)
        if array.size and dtype.kind in "iu":
            check_range(counts, dtype)
        return counts
    return array.astype(dtype) if kind in "SUTV" and array.dtype.isbuiltin != 2 else array


def _numbers_of_objects(array: Array, dtype: np.dtype[Any]) -> Array:
    allowed: Any = Number | np.bool_ if dtype.kind == "b" else Number | np.bool_ | str | bytes
    for kind in _types(array):
        if not issubclass(kind, allowed) and not (kind is type(None) and dtype.kind in "fcV"):  # it becomes NaN
            raise ValueKindError(f"an element of type {kind.__name__} cannot be written as {dtype}")
    if dtype.kind == "b" and (array != array).any():
        raise ValueKindError("NaN cannot be written as bool")
    if dtype.kind in "fc" or dtype.isbuiltin == 2:
        wide = array.astype(np.complex128 if dtype.kind == "c" or "complex" in dtype.name else np.float64)
        check_numbers(wide, dtype, np)
        return wide
    return array.astype(dtype)


def _texts(array: Array, dtype: np.dtype[Any]) -> Array:
    array = _said(array, dtype)
    if array.dtype.kind == "S" and dtype.kind == "T":
        array = array.astype(np.str_)  # which looks at the bytes: StringDType takes any
    made = array.astype(dtype)
    if dtype.kind == "T" or (array.dtype.kind == dtype.kind and array.dtype.itemsize <= dtype.itemsize):
        return made
    for one, found in zip(array.reshape(-1).tolist(), made.reshape(-1).tolist(), strict=True):
        if one != found and _as_bytes(one) != _as_bytes(found):
            raise ValueKindError(f"{one[:80]!r} cannot be written as {dtype}, which holds {found!r} of it")
    return made


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode(errors="surrogatepass") if isinstance(text, str) else text


def _said(array: Array, dtype: np.dtype[Any]) -> Array:
    """The texts of elements, as `str` makes them. ValueKindError for missing ones, and for those that mean no text."""
    kind = array.dtype.kind
    if kind == "O":
        return _said_of_objects(array, dtype)
    if kind == "T" and hasattr(array.dtype, "na_object"):
        _check_none_missing(array, dtype)
    if kind in "TUS":
        return array
    if kind not in "biufcmM":
        raise ValueKindError(f"elements of {array.dtype} cannot be written as text ({dtype}): give texts")
    if kind in "fcmM" and (array != array).any():
        raise ValueKindError(f"missing values of {array.dtype} cannot be written as text ({dtype}): give other texts")
    return array.astype(np.str_)


def _said_of_objects(array: Array, dtype: np.dtype[Any]) -> Array:
    allowed = (str, bytes) if dtype.kind == "S" else (str,)
    if all(issubclass(kind, allowed) for kind in _types(array)):
        return array
    made = np.empty(array.shape, object)
    made.reshape(-1)[:] = [one if isinstance(one, allowed) else _text(one, dtype) for one in array.reshape(-1).tolist()]
    return made


def _text(one: Any, dtype: np.dtype[Any]) -> str:
    if not isinstance(one, _SAID) or bool(one != one):
        what = "NaN or NaT" if isinstance(one, _SAID) else f"an element of type {type(one).__name__}"
        raise ValueKindError(f"{what} cannot be written as text ({dtype})")
    return one.decode("ascii") if isinstance(one, bytes) else str(one)


def _check_none_missing(array: Array, dtype: np.dtype[Any]) -> None:
    if not all(isinstance(one, str) for one in array.reshape(-1).tolist()):
        raise ValueKindError(
            f"missing texts ({array.dtype.na_object!r}) cannot be written as {dtype}: give other texts"
        )


def _times(array: Array, dtype: np.dtype[Any]) -> Array:
    kind = array.dtype.kind
    if kind == "O" and not all(issubclass(one, Integral | None) for one in _types(array)):
        array = np.array(array.tolist(), dtype.kind + "8")  # in the unit of the finest
    elif kind in "UTS" and dtype.kind == "M":
        array = array.astype(str).astype("M8")
    elif kind == "c" or (kind == "f" and (np.isinf(array).any() or (np.abs(array) >= 2.0**63).any())):
        raise ValueKindError(f"elements of {array.dtype} cannot be written as {dtype}: give a number of its units")
    elif kind == "u" and array.size:
        check_range(array, np.dtype(np.int64))
    if array.dtype.kind in "Mm" and array.dtype.kind != dtype.kind:
        raise ValueKindError(f"elements of {array.dtype} cannot be written as {dtype}")
    made = array.astype(dtype)
    if array.dtype.kind == dtype.kind and (most := _most_lost(array.dtype, dtype)) is not None:
        two = made.astype(array.dtype).view(np.int64), array.view(np.int64)
        with np.errstate(over="ignore"):  # the difference of two int64, which wraps around
            lost = np.maximum(*two).astype(np.uint64) - np.minimum(*two).astype(np.uint64)
        bad = (lost > most) | (np.isnat(made) != np.isnat(array))
        if bad.any():
            raise ValueKindError(f"{array[bad][0]} cannot be written as {dtype}: it is out of range")
    return made


def _most_lost(given: np.dtype[Any], dtype: np.dtype[Any]) -> int | None:
    """The most that a time in range loses in another unit, in units of `given`; None if one has no unit."""
    (unit, scale), (other, other_scale) = map(np.datetime_data, (given, dtype))
    if "generic" in (unit, other):
        return None
    one, two = scale * _attoseconds(unit), other_scale * _attoseconds(other)
    return 0 if one % two == 0 else -(-two // one)


def _attoseconds(unit: str) -> int:
    seconds = _SECONDS.get(unit, 1)
    return int(seconds * 1000 ** (len(_PARTS) - 1 - (_PARTS.index(unit) if unit in _PARTS else 0)))


def _raw(array: Array, dtype: np.dtype[Any]) -> Array:
    kind = array.dtype.kind
    if kind == "O":
        too_long = any(not isinstance(one, bytes) or len(one) > dtype.itemsize for one in array.reshape(-1).tolist())
    else:
        too_long = kind not in "SV" or array.dtype.itemsize > dtype.itemsize
    if too_long:
        raise ValueKindError(f"elements of {array.dtype} cannot be written as {dtype.itemsize} raw bytes")
    return array.astype(dtype)


def _records(array: Array, dtype: np.dtype[Any]) -> Array:
    names, given = dtype.names or (), array.dtype.names
    if given is None:
        if array.dtype.kind == "O" and _types(array) == {tuple}:
            return of_tuples(array.tolist(), dtype)
        if array.dtype.kind != "V":
            for name in names:
                check_numbers(converted(array, dtype[name].base), dtype[name].base, np)
        return array.astype(dtype)
    if given != names:
        raise ValueKindError(f"records with the fields {given} cannot be written to the fields {names}")
    made = np.empty(array.shape, dtype)
    for name in names:
        field = converted(array[name], dtype[name].base)
        check_numbers(field, dtype[name].base, np)
        made[name] = field
    return made


def of_tuples(value: Any, dtype: np.dtype[Any]) -> Array:
    """Convert tuples, in lists or not, to records. ValueKindError for texts that are too long."""
    made, given = np.asarray(value, dtype), [value]
    for _ in made.shape:
        given = [member for one in given for member in one]
    if not all(isinstance(one, tuple | np.void) for one in given):
        return _records(np.asarray(value), dtype)
    for one, found in zip(given, made.reshape(-1).tolist(), strict=True):
        for member, other in zip(one, found, strict=True) if isinstance(one, tuple) else ():
            is_text = isinstance(member, str | bytes) and isinstance(other, str | bytes)
            if is_text and len(member) > len(other):
                raise ValueKindError(f"{member[:80]!r} cannot be written to {dtype}, which holds {other!r} of it")
    return made


def _types(array: Array) -> set[type]:
    return set(map(type, array.reshape(-1).tolist()))
