"""What `gpuzarr.tools.bench` returns: how fast an array was read, by whom, what limited it, and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Reads by one reader.

    Attributes
    ----------
    name
        The reader: "gpuzarr cpu", "zarr-python", ...
    seconds
        The median of all reads; None if it could not read.
    repeats
        The number of reads.
    decoded_rate, stored_rate
        Bytes of the result, and bytes of the chunks as they are stored, a second.
    ratio
        How many times as long as the first reader it took.
    problem
        Why it could not read, or that its values are others.
    limited_by
        For this library: the stage that was busy the longest, "storage", "copy", "decode" or "place".
    """

    name: str
    seconds: float | None = None
    repeats: int = 0
    decoded_rate: float | None = None
    stored_rate: float | None = None
    ratio: float | None = None
    problem: str | None = None
    limited_by: str | None = None


@dataclass(frozen=True)
class BenchReport:
    """How fast an array is read.

    Attributes
    ----------
    array, shape, dtype
        The path of the array, and what it is.
    selection
        What was read: a slice for each axis, as (first, end, step).
    result_bytes, stored_bytes
        Bytes of the result, and of the chunks as they are stored.
    timings
        The readers, this library first.
    plan
        How this library reads the selection, as text: see `Array.explain`.
    advice
        What would make reads faster, a sentence each.
    """

    array: str
    shape: tuple[int, ...]
    dtype: str
    selection: tuple[tuple[int, int | None, int], ...]
    result_bytes: int
    stored_bytes: int
    timings: tuple[Timing, ...]
    plan: str
    advice: tuple[str, ...]

    def asdict(self) -> dict[str, Any]:
        """All that was measured, as dicts, lists and numbers."""
        from dataclasses import asdict

        return asdict(self)
