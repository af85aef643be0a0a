"""Read many regions, of one array or of several, in one plan: `Array.get_many` and `gpuzarr.read_many`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gpuzarr.checks import iterated, one_of, shown
from gpuzarr.dtypes.cast import Cast
from gpuzarr.errors import ArgumentError, ChunkError, GpuZarrError, SelectionError
from gpuzarr.indexing.counts import touches
from gpuzarr.nodes.casting import Casting
from gpuzarr.nodes.indexers import Selection
from gpuzarr.nodes.reading import read_reported
from gpuzarr.nodes.region_results import Region, finished, memory, region_of, without
from gpuzarr.read.faults import Fault
from gpuzarr.read.requests import Request
from gpuzarr.stores.identity import hashable

if TYPE_CHECKING:
    from gpuzarr.nodes.array import Array

OnError = Literal["raise", "fill", "skip"]


@dataclass(frozen=True)
class ReadFailure:
    """A chunk that could not be read, as `get_many` and `read_many` tell of it where `on_error` is not "raise".

    Attributes
    ----------
    regions
        The numbers of the selections that want some of the chunk.
    error
        The `ChunkError` or `StoreError` that the read would have raised.
    """

    regions: tuple[int, ...]
    error: GpuZarrError


def get_many(
    self: Any,
    selections: Iterable[Any],
    *,
    out: Any = None,
    stream: Any = None,
    memory_limit: int | str | None = None,
    validate: Literal["auto", "host"] | None = None,
    io: Literal["auto", "gds", "posix"] | None = None,
    on_error: OnError = "raise",
    dtype: Any = None,
    scale: float | None = None,
    offset: float | None = None,
    fill_to_nan: bool | float | None = None,
) -> Any:
    """Read many selections at once: each chunk that several of them touch is fetched and decoded once.

    Parameters
    ----------
    selections
        An iterable (a list, an array of indices, a generator) of what may stand between the brackets of `a[...]`. A
        single region of several axes is a tuple in a list.
    out
        An array of the device, of shape (regions, *shape of each), or a list or tuple of arrays, one for each region;
        to be filled and returned.
    stream, memory_limit, validate, io, dtype, scale, offset, fill_to_nan
        As for `get`.
    on_error
        "raise" an error of a chunk or of the store; or note it, and "fill" its elements with the fill value, or "skip"
        the regions that want some of that chunk.

    Returns
    -------
    ndarray or list
        One array with a first axis that counts regions, if their results have the same shape; else a list of arrays,
        each as `a[selection]`. Where `on_error` is not "raise", a tuple of that and a list of `gpuzarr.ReadFailure`.

    Raises
    ------
    SelectionError
        A selection does not fit the array (the message has its number, from 0), or `out` does not fit the selections.
    ArgumentError, ChunkError, StoreError, NoMemoryError, DeviceError
        As for `get`.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12).reshape(3, 4), chunks=(3, 2))
    >>> a.get_many([(slice(0, 2), slice(0, 2)), (slice(1, 3), slice(1, 3))])
    array([[[ 0,  1],
            [ 4,  5]],
    <BLANKLINE>
           [[ 5,  6],
            [ 9, 10]]])
    >>> a.last_read.asdict()["chunks"]
    2
    """
    pairs = [(self, selection) for selection in iterated(selections, "get_many takes a list of selections")]
    return read_many(
        pairs,
        out=out,
        stream=stream,
        memory_limit=memory_limit,
        validate=validate,
        io=io,
        on_error=on_error,
        dtype=dtype,
        scale=scale,
        offset=offset,
        fill_to_nan=fill_to_nan,
    )


def read_many(
    pairs: Iterable[tuple[Array, Any]],
    *,
    out: Any = None,
    stream: Any = None,
    memory_limit: int | str | None = None,
    validate: Literal["auto", "host"] | None = None,
    io: Literal["auto", "gds", "posix"] | None = None,
    on_error: OnError = "raise",
    dtype: Any = None,
    scale: float | None = None,
    offset: float | None = None,
    fill_to_nan: bool | float | None = None,
) -> Any:
    """Read selections of several arrays at once, also of different stores, dtypes and codecs.

    Parameters
    ----------
    pairs
        An array and a selection, as of `a[selection]`, for each region.
    out, stream, memory_limit, validate, io, on_error, dtype, scale, offset, fill_to_nan
        As for `Array.get_many`.

    Returns
    -------
    ndarray or list
        One array with a first axis that counts regions, if their results have the same shape and dtype; else a list
        of arrays. Where `on_error` is not "raise", a tuple of that and a list of `gpuzarr.ReadFailure`.

    Raises
    ------
    SelectionError, ArgumentError, ChunkError, StoreError, NoMemoryError, DeviceError
        As for `Array.get_many`.

    Examples
    --------
    >>> a, b = gpuzarr.array([1, 2, 3]), gpuzarr.array([0.5, 1.5])
    >>> gpuzarr.read_many([(a, slice(2)), (b, 1)])
    [array([1, 2]), np.float64(1.5)]
    """
    one_of(on_error, "on_error", "raise", "fill", "skip")
    if on_error == "skip" and out is not None:
        raise ArgumentError("on_error='skip' leaves regions out, so it does not go with `out`")
    casting = Casting(dtype, scale, offset, fill_to_nan)
    casts: dict[int, Cast | None] = {}
    parsed: dict[Any, Selection] = {}
    listed = iterated(pairs, "read_many takes pairs of an array and a selection")
    regions = [_region(number, pair, casting, casts, parsed) for number, pair in enumerate(listed)]
    options = {"memory_limit": memory_limit, "validate": validate, "io": io}
    faults: list[Fault] | None = None if on_error == "raise" else []
    results, stack = memory(regions, out, stream)
    if regions:
        fill(regions, results, stack, options, stream, faults)
    failures = [] if not faults else _failures(regions, faults)
    if on_error == "skip" and failures:
        out = without({i for failure in failures for i in failure.regions}, regions, results, stack)
    elif out is None:
        out = finished(regions, results, stack)
    return out if faults is None else (out, failures)


def _region(
    number: int, pair: Any, casting: Casting, casts: dict[int, Cast | None], parsed: dict[Any, Selection]
) -> Region:
    """The region of an array and a selection. `casts` keeps the cast of each array, `parsed` what ints mean: the same
    step of many arrays. Errors have the number."""
    try:
        array, selection = pair
        _ = array.device, array.locator
    except (TypeError, ValueError, AttributeError) as error:
        raise ArgumentError(f"read_many takes pairs of an array and a selection, not {shown(pair)}") from error
    if id(array) not in casts:
        casts[id(array)] = casting.of(array)
    try:
        if type(selection) is not int:
            return region_of(array, selection, casts[id(array)])
        if (elements := parsed.get((selection, shape := array.shape))) is None:
            elements = parsed[selection, shape] = region_of(array, selection).elements
        return Region(array, elements, None, casts[id(array)])
    except SelectionError as error:
        where = f"selection {number}, of array {'/' + array.path!r} in {array.store!r}"
        raise SelectionError(f"{where}: {error}") from error


def fill(
    regions: Sequence[Region],
    results: Sequence[Any],
    stack: Any,
    options: dict[str, Any],
    stream: Any,
    faults: list[Fault] | None,
) -> None:
    """Read the regions of the arrays of each device, one after the other, and leave a report with each array."""
    same = same_arrays([region.array for region in regions])
    groups: dict[Any, list[int]] = {}
    for i, region in enumerate(regions):
        groups.setdefault((id(region.device), *region.array.options.values), []).append(i)
    for numbers in groups.values():
        device, opened = regions[numbers[0]].device, regions[numbers[0]].array.options
        requests = [
            Request(same[id(regions[i].array)], regions[i].elements, results[i], regions[i].cast) for i in numbers
        ]
        arrays = list({id(regions[i].array): regions[i].array for i in numbers}.values())
        with device.on(stream):
            whole = stack if len(numbers) == len(regions) else None
            read_reported(arrays, requests, device, opened.changed(**options), faults, whole)


def same_arrays(arrays: Iterable[Any]) -> dict[int, Any]:
    """By the `id` of each array the first one that is the same in the same store: their chunks are decoded once."""
    found: dict[int, Any] = {}
    distinct: dict[Any, list[Any]] = {}
    for array in arrays:
        if id(array) in found:
            continue
        others = distinct.setdefault((array.path, hashable(array.store)), [])
        same = [one for one in others if one.metadata == array.metadata]
        if not same:
            others.append(array)
        found[id(array)] = same[0] if same else array
    return found


def _failures(regions: Sequence[Region], faults: Sequence[Fault]) -> list[ReadFailure]:
    """What failed, each chunk once, in the order of the regions."""
    same = same_arrays([region.array for region in regions])
    found = []
    for fault in faults:
        axes = fault.source.layout.axes
        numbers = [
            i
            for i, region in enumerate(regions)
            if same[id(region.array)] is fault.source and touches(region.elements, axes, fault.chunk)
        ]
        found.append(ReadFailure(tuple(numbers), fault.error))
    return sorted(found, key=lambda failure: (failure.regions, _chunk_of(failure)))


def _chunk_of(failure: ReadFailure) -> Any:
    return failure.error.chunk if isinstance(failure.error, ChunkError) else ()
