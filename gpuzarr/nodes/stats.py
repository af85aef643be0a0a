"""Mean, standard deviation, extremes and histogram of an array, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.checks import number, shown
from gpuzarr.dtypes.cast import is_float
from gpuzarr.errors import ArgumentError
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.selection import Outer
from gpuzarr.nodes.casting import Casting
from gpuzarr.reduce.stream import totals
from gpuzarr.reduce.totals import Totals

if TYPE_CHECKING:
    from gpuzarr.nodes.array import Array

MAX_BINS = 1 << 20


@dataclass(frozen=True, eq=False)
class Stats:
    """Numbers about the elements of an array, as `gpuzarr.stats` tells them.

    They are text by `print`, and a dict by `asdict()`.

    Where axes are kept (`per=`), each is an array of their shape, else a scalar.

    Attributes
    ----------
    mean, std
        Mean and standard deviation (of the population, ddof=0) of all elements but NaNs; float64. NaN where there are
        none; infinities make them infinite and NaN, as in NumPy.
    min, max
        The least and the greatest element but NaNs; NaN where there are none.
    count, nan_count, fill_count
        The elements that are not NaN; those that are, `fill_to_nan` included; those that equal the fill value.
    histogram, edges
        How many elements lie between an edge and the next, int64, (*kept, bins); and the edges, float64 (bins + 1,).
        The last bin has the last edge, too. Infinities are in no bin.
    per
        The axes that were kept.
    broadcast_shape
        The shape with which `mean` broadcasts against the array.
    """

    mean: Any
    std: Any
    min: Any
    max: Any
    count: Any
    nan_count: Any
    fill_count: Any
    histogram: np.ndarray
    edges: np.ndarray
    per: tuple[int, ...] = ()
    broadcast_shape: tuple[int, ...] = ()

    @property
    def normalize(self) -> tuple[Any, Any]:
        """Mean and standard deviation, as the loader takes them; where axes are kept, they broadcast against the array.

        Of elements that are all the same the standard deviation is 1 here, so that one may divide by it.
        """
        if not self.per:
            return self.mean, self.std or 1.0
        std = np.where(self.std == 0, 1.0, self.std)
        return self.mean.reshape(self.broadcast_shape), std.reshape(self.broadcast_shape)

    def asdict(self) -> dict[str, Any]:
        """All numbers, as lists, ints and floats."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def __str__(self) -> str:
        names = ("mean", "std", "min", "max", "count", "nan_count", "fill_count")
        columns = [np.atleast_1d(np.asarray(getattr(self, name))).reshape(-1) for name in names]
        rows = [["", *names], *([_place(i, self.mean), *map(_text, row)] for i, row in enumerate(zip(*columns)))]  # noqa: B905
        if len(rows) > 24:
            rows = [*rows[:21], ["..."] + [""] * len(names), rows[-1]]
        if not self.per:
            return "\n".join(f"{name:<10}  {text}" for name, text in zip(names, rows[1][1:], strict=True))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.rjust, row, widths)) for row in rows)


def stats(
    array: Array,
    selection: Any = ...,
    *,
    per: int | tuple[int, ...] | None = None,
    bins: int = 256,
    range: tuple[float, float] | None = None,
    dtype: Any = None,
    scale: float | None = None,
    offset: float | None = None,
    fill_to_nan: bool | float | None = None,
    memory_limit: int | str | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Stats:
    """Mean, standard deviation, min, max and histogram of an array, which may be larger than memory.

    Each chunk is read and decoded once, on the device of the array, while others are reduced.

    Parameters
    ----------
    array
        An array of bools, integers or real floats.
    selection
        Slices and ints, as between the brackets of `a[...]`. Default: the whole array.
    per
        An axis of the array, or several: each of their indices gets numbers of its own, as `per=0` for the channels of
        an image whose first axis they are. Default: one set of numbers for all elements.
    bins
        The number of bins of the histogram; without `range`, the most there may be (at least 2: one ends at 0).
    range
        The first and the last edge of the histogram; what lies outside is not in it. Default: from the least to the
        greatest element, in at least bins / 2 bins, whose width is a power of two, and not below 1 for integers; so
        uint8 has exact counts of each value, and `bins=65536` gives those of uint16.
    dtype, scale, offset, fill_to_nan
        As for `Array.get`: numbers are about what it returns. `fill_to_nan` leaves out missing elements.
    memory_limit
        Bytes (an int, or a text such as "1GiB") of counts, and of blocks that are read ahead, of which there is one at
        least. Default: as the array was opened. A block is 16 MiB (256 MiB on a GPU), or a chunk if that is larger.
    progress
        Called as progress(elements done, all elements) after each block.

    Returns
    -------
    Stats

    Raises
    ------
    ArgumentError
        The elements are no real numbers, or an argument is wrong.
    SelectionError
        The selection does not fit the array.
    ChunkError, StoreError, NoMemoryError, DeviceError
        As for `Array.get`; also NoMemoryError for more counts than `memory_limit` allows.

    Notes
    -----
    Sums are of float64. Parts are merged by the formula of Chan, Golub and LeVeque, so a mean that is huge beside the
    standard deviation costs it no digits; integers of 64 bits are compared and subtracted as such. The result is the
    same for each number of threads; min, max, counts and histogram are the same on each device, and mean and std are
    but for their last digits.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12, dtype="uint8").reshape(3, 4), chunks=(2, 2))
    >>> found = gpuzarr.stats(a)
    >>> found.mean, found.max, found.histogram.tolist()
    (5.5, 11, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    >>> gpuzarr.stats(a, per=0).mean
    array([1.5, 5.5, 9.5])
    """
    from gpuzarr.nodes.given import array_given

    wanted = _outer(array_given(array, "stats: array"), selection)
    kept = _kept(per, wanted, array.ndim)
    limit = array.options.changed(memory_limit=memory_limit).memory_limit or array.device.memory_limit
    cast = _cast(array, dtype, scale, offset, fill_to_nan)
    total, done = prod(wanted.full_shape), 0

    def report(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    def read(selections: Iterator[Any]) -> Any:
        return array.reader(selections, memory_limit=limit)

    bins = number(bins, "bins", 2 if range is None else 1, MAX_BINS)
    edges = None if range is None else _edges(range, bins)
    found = totals(array, wanted.axes, kept, bins, edges, cast, limit, read, report)
    is_whole = not is_float(array.dtype if cast is None else cast.dtype)
    result = array.dtype if cast is None else cast.dtype
    shape = tuple(n if axis in kept else 1 for axis, n in enumerate(wanted.full_shape) if axis not in wanted.squeeze)
    return _stats(found, result if is_whole else None, kept, shape)


def _stats(found: Totals, whole: np.dtype | None, kept: tuple[int, ...], shape: tuple[int, ...]) -> Stats:
    """The numbers as users see them. `whole`: the dtype of elements that are integers."""
    least, most = (_elements(values, whole) for values in (found.least, found.most))
    count = found.count.astype(np.int64)
    numbers = [found.mean, found.std, least, most, count, found.nans, found.fills]
    mean, std, least, most, count, nans, fills = numbers if kept else [values.item() for values in numbers]
    return Stats(mean, std, least, most, count, nans, fills, found.histogram, found.edges, kept, shape)


def _elements(values: np.ndarray, whole: np.dtype | None) -> np.ndarray:
    is_some = values.dtype.kind != "f" or not np.isnan(values).any()
    return values.astype(whole) if whole is not None and whole.isbuiltin == 1 and is_some else values


def _outer(array: Any, selection: Any) -> Any:
    found = select.basic(selection, array.shape)
    if not isinstance(found, Outer) or not all(isinstance(indices, range) for indices in found.axes):
        raise ArgumentError(f"stats takes slices and ints, not {shown(selection)}")
    return found


def _kept(per: Any, wanted: Outer, ndim: int) -> tuple[int, ...]:
    """The axes that are kept, in ascending order."""
    given = () if per is None else per if isinstance(per, tuple | list) else (per,)
    axes = [number(axis, "per", -ndim, ndim - 1) % ndim for axis in given]
    if len(set(axes)) < len(axes):
        raise ArgumentError(f"per={per} has an axis twice")
    if gone := [axis for axis in axes if axis in wanted.squeeze]:
        raise ArgumentError(f"per={per}: the selection has one index of axis {gone[0]}, which is gone then")
    return tuple(sorted(axes))


def _cast(array: Any, *casting: Any) -> Any:
    dtype = array.dtype
    if not (is_float(dtype) or dtype.kind in "biu" or dtype.name in ("int2", "int4", "uint2", "uint4")):
        raise ArgumentError(f"stats takes bools, integers and real floats of at most 64 bits, not {dtype}: {array!r}")
    return Casting(*casting).of(array)


def _edges(given: Any, bins: int) -> np.ndarray:
    try:
        first, last = (float(edge) for edge in given)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"range is a pair of numbers, not {shown(given)}") from error
    if not (first < last and isfinite(last - first)):
        raise ArgumentError(f"range is two finite numbers, the first one less than the second, not {shown(given)}")
    edges = np.linspace(first, last, bins + 1)
    if not (np.diff(edges) > 0).all():
        raise ArgumentError(f"range={shown(given)} has no room for {bins} bins")
    return edges


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _place(i: int, cells: Any) -> str:
    return ", ".join(map(str, np.unravel_index(i, np.shape(cells)))) if np.shape(cells) else ""


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
