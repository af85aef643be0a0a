"""Chunks that a library reads and decodes when they are wanted, as no codec of Zarr does it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gpuzarr.per_process import PerProcess

MAX_KEPT_BYTES = 1 << 26  # of the chunks that were made last: several ranges of one may be wanted


class Recent:
    """Chunks that were made last, by whatever names them."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[Any, bytes] = OrderedDict()
        self._nbytes, self._lock = 0, threading.Lock()

    def get(self, name: Any, make: Callable[[], bytes]) -> bytes:
        """A chunk; made if it is not kept."""
        with self._lock:
            if (chunk := self._chunks.get(name)) is not None:
                self._chunks.move_to_end(name)
                return chunk
        chunk = make()
        with self._lock:
            self._nbytes += len(chunk) - len(self._chunks.pop(name, b""))
            self._chunks[name] = chunk
            while self._nbytes > MAX_KEPT_BYTES:
                self._nbytes -= len(self._chunks.popitem(last=False)[1])
        return chunk


_RECENT = PerProcess(Recent)


@dataclass(frozen=True)
class Made:
    """A chunk that is made when it is read. See `parts.Made`. `nbytes` is None where only the chunk itself tells."""

    name: tuple[Any, ...]
    nbytes: int | None
    make: Callable[[], bytes] = field(compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.read()) if self.nbytes is None else self.nbytes

    def read(self) -> bytes:
        return _RECENT.value.get(self.name, self.make)
