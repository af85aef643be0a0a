"""Answers that are on their way while their caller does other work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from gpuzarr.errors import StoreError
from gpuzarr.interrupts import ensured
from gpuzarr.per_process import PROCESS
from gpuzarr.stores.remote.client import Answer, Asked, Client
from gpuzarr.stores.spread import POOL
from gpuzarr.tasks import Latch, Task, end_all, lost


class Coming:
    """Answers to requests that another thread makes; of a single request, the thread that takes it first.

    Read i waits for the answer to request `within[i]` (None: i). An answer is held until all its reads have taken it.
    """

    def __init__(self, client: Client, asked: Sequence[Asked], within: np.ndarray | None) -> None:
        self._client, self._asked = client, asked
        self._within = range(len(asked)) if within is None else within.tolist()
        self._left = {i: list(range(n)) for i, n in Counter(self._within).items()}  # a number for each read
        self._answers: dict[int, Answer | None] = {}
        self._arrived = [Latch() for _ in asked]
        self._claim: dict[str, object] = {}  # the one who makes the requests: dict.setdefault is atomic
        self._error: BaseException | None = None
        self._is_over = self._is_ended = False
        self._process = PROCESS.value
        self._tasks: list[Task] = []
        if len(asked) > 1:
            POOL.value.submit(self._fetch, 1, self._tasks)

    def take(self, number: int, note: Callable[[Answer | None], None]) -> Answer | None:
        """The answer for a read; `note(answer)` is called once for each answer.

        StoreError, or whatever else went wrong, if there is none.
        """
        request = self._within[number]
        if not self._tasks:
            self._fetch()
        while not self._has_arrived(request):
            self._fetch()  # if no thread has begun it: all of them may wait as this one does
        answer = self._answers[request]
        if not self._left[request].pop():  # all others have their answers
            del self._answers[request]
            note(answer)
        return answer

    def end(self) -> None:
        """Give up what has not come. It may be called twice."""
        self._is_ended = True
        end_all(self._tasks)

    def _fetch(self) -> None:
        """Make all requests, unless another thread does or did. An error is for those who wait."""
        me = object()

        def work() -> None:
            if self._claim.setdefault("by", me) is not me:
                return
            try:
                self._client.fetch(self._asked, self._deliver)
            except BaseException as error:
                self._error = error
                if not isinstance(error, Exception):
                    raise

        def clean() -> None:
            if self._claim.get("by") is me:
                self._is_over = True

        ensured(work, clean)

    def _has_arrived(self, request: int) -> bool:
        """Wait for an answer, for a moment. The error if there will be none."""
        is_over, arrived = self._is_over, self._arrived[request]
        if arrived.is_set or (not is_over and arrived.wait()):
            return True
        if self._process is not PROCESS.value:
            raise lost()
        if is_over:
            raise self._error or StoreError(f"{self._client!r} gave no answer: {self._asked[request]}")
        return False

    def _deliver(self, number: int, answer: Answer | None) -> None:
        if self._is_ended:
            raise StoreError("nobody waits for this answer any more")
        self._answers[number] = answer
        self._arrived[number].set()
