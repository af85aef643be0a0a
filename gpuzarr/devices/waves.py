"""How the waves of a read follow each other on a GPU: some are loaded while one is decoded and one is checked.

Loading (storage into pinned memory) runs on threads, up to `ahead` waves before. Finishing (copy, decode,
place) only launches, in the caller's thread and in order. What the launches found is looked at one wave
later, so that the GPU always has the next wave's work before the host waits for anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

Load = Callable[[Any], Any]  # a wave -> what `Finish` needs, with a method split(n); waits for storage
Finish = Callable[[Any], "Settle | None"]  # launches; what it returns raises for the wave's first bad chunk
Settle = Callable[[], None]


def pipelined(load: Load, finish: Finish, waves: Iterable[Any], pool: Executor, ahead: int) -> None:
    """Load, finish and settle all waves; the first error is raised, and then nothing of this read runs any more."""
    unsettled: deque[Settle] = deque()
    for loaded in _loaded(load, waves, pool, ahead):
        if settle := finish(loaded):
            unsettled.append(settle)
        while len(unsettled) > 1:
            unsettled.popleft()()
    while unsettled:
        unsettled.popleft()()


def _loaded(load: Load, waves: Iterable[Any], pool: Executor, ahead: int) -> Iterator[Any]:
    """What `load` makes of the waves, in order; never more than `ahead` beyond the one that is given out."""
    coming: deque[Future[Any]] = deque()
    try:
        for wave in waves:
            coming.append(pool.submit(load, wave))
            if len(coming) > ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for future in [future for future in coming if not future.cancel()]:
            future.exception()  # wait for it: it writes to memory that this read owns
