"""Progress bars: those of tqdm where it is installed, else a line of text on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gpuzarr.checks import flag

SECONDS = 0.5  # between two lines


def bar(total: int, name: str, unit: str) -> Any:
    """A bar of `total` steps. Call `update(steps)` when some are done, and `close()` at the end."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Line(total, name, unit)
    return tqdm(total=total, desc=name, unit=unit, unit_scale=unit == "element")


@contextmanager
def reporting(progress: Any, total: int, name: str, unit: str) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of steps that are done since the last call.

    `progress`: True for a bar, False for nothing, or a function, called as progress(steps done, total).
    ArgumentError for anything else.
    """
    done = 0

    def report(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    if callable(progress):
        yield report
        return
    shown = bar(total, name, unit) if flag(progress, "progress") else None
    try:
        yield (lambda size: None) if shown is None else shown.update
    finally:
        if shown is not None:
            shown.close()


class Line:
    """A line that is written again and again: steps that are done, of how many, and how many there are a second."""

    def __init__(self, total: int, name: str, unit: str) -> None:
        self._total, self._name, self._unit, self._done = total, name, unit, 0
        self._begun = self._shown = time.monotonic()

    def update(self, steps: int = 1) -> None:
        """Count steps that are done."""
        self._done += steps
        if time.monotonic() - self._shown >= SECONDS:
            self._show("\r")

    def close(self) -> None:
        """Write the last line."""
        self._show("\n")

    def _show(self, end: str) -> None:
        self._shown = time.monotonic()
        rate = self._done / max(self._shown - self._begun, 1e-9)
        rate_text = f"{rate:,.0f}" if rate >= 1000 else f"{rate:.1f}"
        told = f"\r{self._name}: {self._done} of {self._total} {self._unit}s, {rate_text}/s"
        print(told, end=end, file=sys.stderr, flush=True)
