"""Mean, standard deviation, extremes, histogram and quantiles of an array, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.checks import number, shown
from gpuzarr.dtypes.cast import is_float
from gpuzarr.errors import ArgumentError
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.selection import Outer
from gpuzarr.nodes.casting import Casting
from gpuzarr.progress import reporting
from gpuzarr.reduce.quantiles import fractions, quantiles
from gpuzarr.reduce.stream import totals
from gpuzarr.reduce.totals import Totals

if TYPE_CHECKING:
    from gpuzarr.nodes.array import Array

MAX_BINS = 1 << 20
_SHOWN = ("mean", "std", "min", "max", "count", "nan_count", "fill_count")


@dataclass(frozen=True, eq=False)
class Stats:
    """Statistics of the elements of an array: what `gpuzarr.stats` returns.

    `print` shows them as text, `asdict()` returns them as a dict. Each is a scalar; with `axis`, it is an array whose
    shape is that of the axes which were not reduced.

    Attributes
    ----------
    mean, std
        Mean and standard deviation (of the population, ddof=0) of all elements but NaNs; float64. NaN where there are
        none; infinities make them infinite and NaN, as in NumPy.
    min, max
        The least and the greatest element but NaNs; NaN where there are none.
    count, nan_count, fill_count
        The elements that are not NaN; those that are, `fill_to_nan` included; those that equal the fill value.
    below
        The elements that are less than the first edge of the histogram.
    histogram, edges
        How many elements lie between an edge and the next, int64, (*shape, bins); and the edges, float64 (bins + 1,).
        The last bin has the last edge, too. Infinities are in no bin.
    range
        The first and the last edge, where they were given.
    quantiles
        What `quantile` gives, by the numbers that `gpuzarr.stats` was asked for.
    axis
        The axes that were reduced.
    broadcast_shape
        The shape with which `mean` broadcasts against the elements.
    """

    mean: Any
    std: Any
    min: Any
    max: Any
    count: Any
    nan_count: Any
    fill_count: Any
    below: Any
    histogram: np.ndarray
    edges: np.ndarray
    range: tuple[float, float] | None
    quantiles: dict[float, Any]
    axis: tuple[int, ...]
    broadcast_shape: tuple[int, ...]

    def quantile(self, q: Any) -> Any:
        """A quantile of all elements but NaNs, by the histogram: `q=0.5` is about the median.

        It is at most the width of a bin, `np.diff(edges).max()`, away from what `numpy.nanquantile` has of the elements
        themselves; where integers have bins of width 1, it is the same but for rounding. Within a bin elements are
        taken to be equally spaced. `q=0` is the least element, `q=1` the greatest one.

        Parameters
        ----------
        q
            A number from 0 to 1, or several.

        Returns
        -------
        float64
            Of the shape of `mean`, before which there is an axis for several `q`. NaN where there are no elements, or
            where the quantile lies outside of the `range` of the histogram.

        Raises
        ------
        ArgumentError
            `q` is no such number, or there is no histogram (`bins=0`).

        Examples
        --------
        >>> found = gpuzarr.stats(gpuzarr.array(np.arange(101)))
        >>> found.quantile(0.5), found.quantile([0.25, 0.75])
        (50.0, array([25., 75.]))
        """
        wanted = fractions(q, "q")
        if not len(self.edges):
            raise ArgumentError("there are no quantiles without a histogram: give stats(bins=256)")
        found = quantiles(self, wanted)
        found = found if np.ndim(q) else found[0]
        return found if found.ndim else found.item()

    @property
    def normalize(self) -> tuple[Any, Any]:
        """Mean and standard deviation, as the loader takes them; where axes are left, they broadcast against the array.

        Of elements that are all the same the standard deviation is 1 here, so that one may divide by it.
        """
        if not np.ndim(self.mean):
            return self.mean, self.std or 1.0
        std = np.where(self.std == 0, 1.0, self.std)
        return self.mean.reshape(self.broadcast_shape), std.reshape(self.broadcast_shape)

    def asdict(self) -> dict[str, Any]:
        """All numbers, as lists, ints and floats."""
        found = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return found | {"quantiles": {str(q): _plain(value) for q, value in self.quantiles.items()}}

    def __str__(self) -> str:
        numbers = {name: getattr(self, name) for name in _SHOWN}
        numbers |= {f"quantile {q:g}": value for q, value in self.quantiles.items()}
        columns = [np.atleast_1d(np.asarray(values)).reshape(-1) for values in numbers.values()]
        rows = [["", *numbers], *([_place(i, self.mean), *map(_text, row)] for i, row in enumerate(zip(*columns)))]  # noqa: B905
        if len(rows) > 24:
            rows = [*rows[:21], ["..."] + [""] * len(numbers), rows[-1]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        if not np.ndim(self.mean):
            width = max(map(len, numbers))
            return "\n".join(f"{name:<{width}}  {text}" for name, text in zip(numbers, rows[1][1:], strict=True))
        return "\n".join("  ".join(map(str.rjust, row, widths)) for row in rows)


def stats(
    array: Array,
    selection: Any = ...,
    *,
    axis: int | tuple[int, ...] | None = None,
    bins: int = 256,
    range: tuple[float, float] | None = None,
    quantiles: float | Sequence[float] = (),
    dtype: Any = None,
    scale: float | None = None,
    offset: float | None = None,
    fill_to_nan: bool | float | None = None,
    memory_limit: int | str | None = None,
    progress: bool | Callable[[int, int], Any] = False,
) -> Stats:
    """Mean, standard deviation, min, max, histogram and quantiles of an array, which may be larger than memory.

    Each chunk is read and decoded once, on the device of the array, while others are reduced.

    Parameters
    ----------
    array
        An array of bools, integers or real floats.
    selection
        Slices and ints, as between the brackets of `a[...]`. Default: the whole array.
    axis
        The axis that is reduced, or several, as in NumPy: `stats(a, selection, axis=0).mean` is about
        `numpy.nanmean(a[selection], axis=0)`. `axis=(1, 2)` gives statistics for each channel of an image whose
        channels are its first axis. Default: all axes, so one set of statistics for all elements.
    bins
        The number of bins of the histogram; without `range`, the most there may be (at least 2: one ends at 0). 0: no
        histogram and no quantiles, which saves time and memory where many indices are left.
    range
        The first and the last edge of the histogram; what lies outside is not in it. Default: from the least to the
        greatest element, in at least bins / 2 bins, whose width is a power of two, and not below 1 for integers; so
        uint8 has exact counts of each value, and `bins=65536` gives those of uint16.
    quantiles
        Numbers from 0 to 1, such as (0.01, 0.5, 0.99): the result has these quantiles. See `Stats.quantile`, which
        gives others later, and says how exact they are.
    dtype, scale, offset, fill_to_nan
        As for `Array.get`: the statistics are those of what it returns. `fill_to_nan` leaves out missing elements.
    memory_limit
        Bytes (an int, or a text such as "1GiB") of counts, and of blocks that are read ahead, of which there is one at
        least. Default: as the array was opened. A block is 16 MiB (256 MiB on a GPU), or a chunk if that is larger.
    progress
        True: a progress bar is shown, of `tqdm` where it is installed, else a line of text on stderr. A function is
        called as progress(elements done, all elements) after each block. Default: nothing is shown.

    Returns
    -------
    Stats

    Raises
    ------
    ArgumentError
        The elements are not real numbers, or an argument is wrong.
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
    >>> gpuzarr.stats(a, axis=1).mean
    array([1.5, 5.5, 9.5])
    >>> gpuzarr.stats(a, quantiles=(0.25, 0.5)).quantiles
    {0.25: 2.75, 0.5: 5.5}
    """
    from gpuzarr.nodes.given import array_given

    wanted = _outer(array_given(array, "stats: array"), selection)
    kept, reduced = _axes(axis, wanted)
    asked = fractions(quantiles, "quantiles")
    limit = array.options.changed(memory_limit=memory_limit).memory_limit or array.device.memory_limit
    cast = _cast(array, dtype, scale, offset, fill_to_nan)
    bins = _bins(bins, range, asked)
    edges = None if range is None else _edges(range, bins)

    def read(selections: Iterator[Any]) -> Any:
        return array.reader(selections, memory_limit=limit)

    with reporting(progress, prod(wanted.full_shape), "stats", "element") as report:
        found = totals(array, wanted.axes, kept, bins, edges, cast, limit, read, report)
    is_whole = not is_float(array.dtype if cast is None else cast.dtype)
    result = array.dtype if cast is None else cast.dtype
    shape = tuple(n if axis in kept else 1 for axis, n in enumerate(wanted.full_shape) if axis not in wanted.squeeze)
    ends = None if edges is None else (float(edges[0]), float(edges[-1]))
    return _stats(found, result if is_whole else None, reduced, shape, ends, asked)


def _stats(
    found: Totals,
    whole: np.dtype | None,
    reduced: tuple[int, ...],
    shape: tuple[int, ...],
    ends: tuple[float, float] | None,
    asked: np.ndarray,
) -> Stats:
    """The statistics as users see them. `whole`: the dtype of elements that are integers."""
    least, most = (_elements(values, whole) for values in (found.least, found.most))
    count = found.count.astype(np.int64)
    numbers = [found.mean, found.std, least, most, count, found.nans, found.fills, found.below]
    mean, std, least, most, count, nans, fills, below = (
        numbers if found.mean.ndim else [values.item() for values in numbers]
    )
    histogram = found.histogram, found.edges
    result = Stats(mean, std, least, most, count, nans, fills, below, *histogram, ends, {}, reduced, shape)
    return replace(result, quantiles={q: result.quantile(q) for q in asked.tolist()})


def _elements(values: np.ndarray, whole: np.dtype | None) -> np.ndarray:
    is_some = values.dtype.kind != "f" or not np.isnan(values).any()
    return values.astype(whole) if whole is not None and whole.isbuiltin == 1 and is_some else values


def _outer(array: Any, selection: Any) -> Any:
    found = select.basic(selection, array.shape)
    if not isinstance(found, Outer) or not all(isinstance(indices, range) for indices in found.axes):
        raise ArgumentError(f"stats takes slices and ints, not {shown(selection)}")
    return found


def _axes(axis: Any, wanted: Outer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of the array that are kept, in ascending order, and the axes of the selection that are reduced."""
    left = [i for i, _ in enumerate(wanted.axes) if i not in wanted.squeeze]
    ndim = len(left)
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    if not ndim and given:
        raise ArgumentError(f"axis={shown(axis)}: what is selected has no axes")
    reduced = sorted(number(one, "axis", -ndim, ndim - 1) % ndim for one in given)
    if len(set(reduced)) < len(reduced):
        raise ArgumentError(f"axis={shown(axis)} has an axis twice")
    return tuple(axis for i, axis in enumerate(left) if i not in reduced), tuple(reduced)


def _bins(bins: Any, range: Any, asked: np.ndarray) -> int:
    if bins == 0 and range is None and not len(asked):
        return number(bins, "bins", 0, 0)
    return number(bins, "bins", 2 if range is None else 1, MAX_BINS)


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
