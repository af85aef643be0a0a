"""Time reads of an array by this library and by others, of which the values are compared first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.given import array_given
from gpuzarr.progress import reporting
from gpuzarr.reduce.blocks import blocks
from gpuzarr.tools.bench_advice import advice
from gpuzarr.tools.bench_readers import Reader, Selection, readers
from gpuzarr.tools.bench_report import BenchReport, Timing
from gpuzarr.tools.diff_values import differing
from gpuzarr.tools.show_selection import ranges

DEFAULT_BYTES = 256 << 20  # of a result, where no selection was given
MAX_REPEATS = 1000
MAX_PROBLEM_LENGTH = 100  # of a message, in characters


def bench(
    array: Array,
    selection: Any = None,
    *,
    seconds: float = 2.0,
    peers: bool = True,
    progress: bool | Callable[[int, int], Any] = False,
) -> BenchReport:
    """Time reads of an array: on each device of this library, and by other libraries that are installed.

    Each reads once before it is timed, so files are in the memory of the operating system, and its values are compared
    with those of this library. Then all read in turn, and the median of each one's times counts. zarr-python (its
    default pipeline and the fused one), zarrs and TensorStore are asked, for arrays in a folder of this machine.

    Parameters
    ----------
    array
        The array.
    selection
        Ints and slices. Default: the whole array, or its first chunks, whose elements have about 256 MiB.
    seconds
        About how long each one reads.
    peers
        False: only this library reads.
    progress
        True: a progress bar on stderr. A function is called as progress(readers done, all readers).

    Returns
    -------
    BenchReport

    Raises
    ------
    ArgumentError
        The selection has no elements, or an argument is wrong.
    ChunkError, StoreError, NoMemoryError, DeviceError
        This library cannot read it.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(1000), chunks=100)
    >>> found = gpuzarr.tools.bench(a, seconds=0.01)
    >>> found.timings[0].name, found.timings[0].ratio, found.result_bytes
    ('gpuzarr cpu', 1.0, 8000)
    """
    array_given(array, "bench: array")
    if not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise ArgumentError(f"seconds must be a positive number, not {shown(seconds)}")
    where = selected(array, selection)
    plan = array.explain(where)
    everyone = readers(array, peers)
    opened, problems, values = _first_reads(everyone, where, progress)
    del values
    times = _timed(everyone, opened, where, seconds)
    ours = opened[next(name for name in opened if name.startswith("gpuzarr"))]
    read = ours.last_read.asdict()
    timings = _timings(everyone, times, problems, opened, read, plan.result_bytes)
    return BenchReport(
        array.name, array.shape, str(array.dtype), tuple((s.start, s.stop, s.step) for s in where), plan.result_bytes,
        read["stored_bytes"], timings, str(plan), tuple(advice(array, plan, read, timings)),
    )  # fmt: skip


def selected(array: Array, selection: Any) -> Selection:
    """What is read, as a slice for each axis."""
    if selection is None:
        most = max(DEFAULT_BYTES // array.dtype.itemsize, 1)
        first = next(blocks(array.layout, [range(length) for length in array.shape], most), None)
        axes: Any = first and first[0]
    else:
        wanted = ranges(selection, array.shape)
        axes = tuple(_slice(axis) for axis in wanted.axes) if prod(wanted.full_shape) else None
    if axes is None:
        raise ArgumentError(f"there is nothing to read: {shown(selection)} of {array!r} has no elements")
    return axes


def _first_reads(
    everyone: Sequence[Reader], where: Selection, progress: Any
) -> tuple[dict[str, Any], dict[str, str], Any]:
    """What each one has opened; why some cannot read, or that their values are others; the values."""
    opened, problems, expected = {}, {reader.name: reader.missing for reader in everyone if reader.missing}, None
    with reporting(progress, len(everyone), "bench", "reader") as report:
        for reader in everyone:
            if not reader.missing:
                try:
                    with reader.around():
                        opened[reader.name] = reader.open()
                        values = np.asarray(reader.on_host(reader.read(opened[reader.name], where)))
                except Exception as error:
                    if reader.is_ours:
                        raise
                    problems[reader.name] = _brief(error)
                else:
                    expected = values if expected is None else expected
                    if wrong := _wrong(expected, values):
                        problems[reader.name] = wrong
            report(1)
    return {name: each for name, each in opened.items() if name not in problems}, problems, expected


def _timed(
    everyone: Sequence[Reader], opened: dict[str, Any], where: Selection, seconds: float
) -> dict[str, list[float]]:
    """Seconds of each read. All read in turn, each until its time is over."""
    times: dict[str, list[float]] = {reader.name: [] for reader in everyone if reader.name in opened}
    waiting = [reader for reader in everyone if reader.name in opened]
    while waiting:
        for reader in waiting:
            with reader.around():
                begin = time.perf_counter()
                reader.read(opened[reader.name], where)
                times[reader.name].append(time.perf_counter() - begin)
        waiting = [each for each in waiting if _has_time(times[each.name], seconds)]
    return times


def _has_time(times: Sequence[float], seconds: float) -> bool:
    return sum(times) < seconds and len(times) < MAX_REPEATS


def _timings(
    everyone: Sequence[Reader],
    times: dict[str, list[float]],
    problems: dict[str, str],
    opened: dict[str, Any],
    read: dict[str, Any],
    result_bytes: int,
) -> tuple[Timing, ...]:
    medians = {name: statistics.median(found) for name, found in times.items()}
    first = next(iter(medians.values()))
    found = []
    for reader in everyone:
        timing = Timing(reader.name, problem=problems.get(reader.name))
        if (median := medians.get(reader.name)) is not None:
            rates = result_bytes / median, read["stored_bytes"] / median
            limit = opened[reader.name].last_read.limited_by if reader.is_ours else None
            timing = replace(
                timing, seconds=median, repeats=len(times[reader.name]), decoded_rate=rates[0], stored_rate=rates[1],
                ratio=median / first, limited_by=limit,
            )  # fmt: skip
        found.append(timing)
    return tuple(found)


def _wrong(expected: np.ndarray, values: np.ndarray) -> str:
    """What is wrong with values; "" if they are as expected."""
    if values.shape != expected.shape:
        return f"other values: of shape {values.shape}, not {expected.shape}"
    found = differing(expected, values, CPU)
    return f"other values: {found.count:,} of {expected.size:,} differ" if found else ""


def _brief(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= MAX_PROBLEM_LENGTH else text[: MAX_PROBLEM_LENGTH - 3] + "..."


def _slice(axis: Any) -> slice:
    stop = axis.stop if axis.step > 0 or axis.stop >= 0 else None
    return slice(axis.start, stop, axis.step)
