"""Versions that objects had a while ago, as their store told: a `ChunkCache` with `max_age_seconds` trusts them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from gpuzarr.stores.identity import Identity, lies_in

MAX_OBJECTS = 1 << 17  # the ones that were confirmed first are forgotten first


class Confirmed:
    """The last known version of each object, and when it was confirmed. Any thread may call the methods: no lock is
    held between steps that are atomic, and what is lost between them costs only another look."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Identity, str], tuple[Any, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def recent(self, place: Identity, keys: Sequence[str], seconds: float) -> list[Any]:
        """The versions of an array's objects that were confirmed at most so many seconds ago; None of the others."""
        since = time.monotonic() - seconds
        found = [self._known.get((place, key)) for key in keys]
        return [each[0] if each is not None and each[1] >= since else None for each in found]

    def add(self, place: Identity, keys: Sequence[str], versions: Sequence[Any], now: float) -> None:
        """Note versions that objects had at a time (`time.monotonic`), but for those that are None."""
        for key, version in zip(keys, versions, strict=True):
            if version is not None:
                self._known.pop((place, key), None)
                self._known[place, key] = version, now
        while len(self._known) > MAX_OBJECTS:
            self._known.popitem(last=False)

    def forget(self, place: Identity) -> None:
        """Forget all objects of the arrays at a place and below it."""
        for name in [name for name in list(self._known) if lies_in(name[0], place)]:
            self._known.pop(name, None)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
