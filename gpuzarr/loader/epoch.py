"""An epoch under way: the iterator that a `for` loop over a loader has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpuzarr.loader.batches.batches import Batches
from gpuzarr.loader.contract import View
from gpuzarr.loader.output import converted, device_of, stream_of
from gpuzarr.loader.settings import Settings


@dataclass
class Place:
    """Where a loader is: the samples of all ranks that are done in an epoch. `is_loaded`: iteration begins here."""

    epoch: int = 0
    position: int = 0
    is_loaded: bool = False


class Epoch:
    """Iterates over the batches of an epoch that are left, and keeps its `place` up to date."""

    def __init__(
        self, batches: Batches, place: Place, views: Sequence[View], settings: Settings, bar: Any = None
    ) -> None:
        self._batches, self._place, self._bar = batches, place, bar
        self._to, self._has_origins = settings.to, settings.origins
        self._devices = {view.name: device_of(view) for view in views}
        self._first = self._devices[views[0].name]
        self._is_complete = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        with self._first.on(stream_of(self._to, self._first)):
            try:
                made = next(self._batches)
            except StopIteration:
                self._complete()
                raise
            self._place.position = made.step.end
            found = {name: converted(one, self._to, self._devices[name]) for name, one in made.arrays.items()}
        if self._bar is not None:
            self._bar.update()
        if self._has_origins:
            found["origins"] = made.origins.copy()  # of an array that has those of other steps, too
        return found

    def close(self) -> None:
        """End it: nothing more is read, and what was read ahead is freed."""
        self._batches.close()
        self._end_bar()

    def _complete(self) -> None:
        if not self._is_complete:
            self._place.epoch, self._place.position = self._place.epoch + 1, 0
            self._is_complete = True
        self._end_bar()

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
