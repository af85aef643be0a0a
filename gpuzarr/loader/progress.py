"""A progress bar: of tqdm where that is installed, else a line of text on stderr."""

from __future__ import annotations

import sys
import time
from typing import Any

SECONDS = 0.5  # between two lines


def bar(total: int, epoch: int) -> Any:
    """A bar for so many batches, with `update()` for each and `close()`."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Line(total, f"epoch {epoch}")
    return tqdm(total=total, desc=f"epoch {epoch}", unit="batch")


class Line:
    """A line that is written again and again: batches that are done, of how many, and how many there are a second."""

    def __init__(self, total: int, name: str) -> None:
        self._total, self._name, self._done = total, name, 0
        self._begun = self._shown = time.monotonic()

    def update(self) -> None:
        """A batch is done."""
        self._done += 1
        if time.monotonic() - self._shown >= SECONDS:
            self._show("\r")

    def close(self) -> None:
        """Write the last line."""
        self._show("\n")

    def _show(self, end: str) -> None:
        self._shown = time.monotonic()
        rate = self._done / max(self._shown - self._begun, 1e-9)
        told = f"\r{self._name}: {self._done} of {self._total} batches, {rate:.1f}/s"
        print(told, end=end, file=sys.stderr, flush=True)
