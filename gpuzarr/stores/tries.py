"""Tries to change, or to read, an object that others change, too, and who have come first."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from gpuzarr.errors import StoreError
from gpuzarr.interrupts import within
from gpuzarr.stores.contract import Objects, Store

T = TypeVar("T")

MAX_TRIES = 100
MAX_READING_TRIES = 64
MAX_WAIT_RATIO = 16  # of the time of a try, before the next one


def tries(what: Callable[[], str]) -> Iterator[int]:
    """Numbers of tries, with growing pauses between, at random. StoreError, naming `what()`, when all were in vain."""
    for number in range(MAX_TRIES):
        begin = time.perf_counter()
        yield number
        took = time.perf_counter() - begin
        time.sleep(took * random.random() * min(2**number, MAX_WAIT_RATIO))
    raise StoreError(f"{what()} is replaced by others faster than it can be changed: {MAX_TRIES} tries were in vain")


def unchanged(store: Store, key: str, read: Callable[[Objects], T | None]) -> T:
    """What `read` returns of an object that is opened for it. None means that it was replaced meanwhile: then again."""
    for _ in range(MAX_READING_TRIES):
        if (found := within(store.open([key]), read)) is not None:
            return found
    raise StoreError(f"{key!r} of {store!r} is replaced faster than it can be read")
