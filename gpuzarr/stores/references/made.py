"""Chunks that a library reads and decodes when they are wanted, as no codec of Zarr does it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_KEPT_BYTES = 1 << 26  # of the chunks that were made last: several ranges of one may be wanted


class Recent:
    """Chunks that were made last in one read, by their keys."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[str, bytes] = OrderedDict()
        self._nbytes, self._lock = 0, threading.Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """A chunk; made if it is not kept."""
        with self._lock:
            if (chunk := self._chunks.get(key)) is not None:
                self._chunks.move_to_end(key)
                return chunk
        chunk = make()
        with self._lock:
            self._nbytes += len(chunk) - len(self._chunks.pop(key, b""))
            self._chunks[key] = chunk
            while self._nbytes > MAX_KEPT_BYTES:
                self._nbytes -= len(self._chunks.popitem(last=False)[1])
        return chunk


@dataclass(frozen=True)
class Made:
    """A chunk that is made when it is read. See `parts.Made`. `nbytes` is None where only the chunk itself tells.

    It is the same as another one of the same `key` and `version`, that of the file.
    """

    key: str
    version: Any
    nbytes: int | None = field(compare=False)
    make: Callable[[], bytes] = field(compare=False, repr=False)
    recent: Recent = field(compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.read()) if self.nbytes is None else self.nbytes

    def read(self) -> bytes:
        return self.recent.get(self.key, self.make)
