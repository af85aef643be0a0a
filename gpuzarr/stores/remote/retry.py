"""Which errors of requests may pass, and how long to wait before the next try: for clients that do not try again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

TRIES = 4
FIRST_PAUSE_SECONDS = 0.1  # twice as long after each try, and up to half as much more
PASSING_STATUS = frozenset((408, 425, 429, 500, 502, 503, 504))
_BEYOND = ("InvalidRange", "Range Not Satisfiable", "range is not satisfiable")


def pauses() -> Iterator[bool]:
    """True for each try but the last one; waits before all but the first."""
    for i in range(TRIES):
        if i:
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (i - 1) * (1 + random.random() / 2))
        yield i < TRIES - 1


def status_of(error: Any) -> int | None:
    """The HTTP status that an error is about; None if it tells none."""
    values = (getattr(error, name, None) for name in ("status", "status_code", "code"))  # aiohttp's `code` warns
    return next((value for value in values if isinstance(value, int)), None)


def may_pass(error: BaseException) -> bool:
    """True if the same request may succeed in a moment."""
    if (status := status_of(error)) is not None:
        return status in PASSING_STATUS
    if isinstance(error, ConnectionError | TimeoutError | EOFError):
        return True
    names = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    return bool(names & {("aiohttp", "ClientConnectionError"), ("aiohttp", "ClientPayloadError")})


def is_beyond(error: BaseException) -> bool:
    """True for a range that begins beyond the end of its object."""
    return status_of(error) == 416 or any(text in str(error) for text in _BEYOND)
