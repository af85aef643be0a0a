"""Answers that are on their way while their caller does other work."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from gpuzarr.errors import StoreError
from gpuzarr.per_process import PROCESS
from gpuzarr.stores.remote.client import Answer, Asked, Client
from gpuzarr.stores.spread import POOL
from gpuzarr.tasks import POLL_SECONDS, Task, end_all, lost


class Coming:
    """Answers to requests that another thread makes; of a single request, the thread that takes it first.

    Read i waits for the answer to request `within[i]` (None: i). An answer is held until all its reads have taken it.
    """

    def __init__(self, client: Client, asked: Sequence[Asked], within: np.ndarray | None) -> None:
        self._client, self._asked = client, asked
        self._within = range(len(asked)) if within is None else within.tolist()
        self._left = Counter(self._within)  # reads of each request
        self._answers: dict[int, Answer | None] = {}
        self._arrived = threading.Condition()
        self._claim: dict[str, object] = {}  # the one who makes the requests: dict.setdefault is atomic
        self._error: BaseException | None = None
        self._is_over = self._is_ended = False
        self._process = PROCESS.value
        self._tasks: list[Task] = []
        if len(asked) > 1:
            POOL.value.submit(self._fetch, 1, self._tasks)

    def take(self, number: int, note: Callable[[Answer | None], None]) -> Answer | None:
        """The answer for a read; `note(answer)` is called for the first one of each answer.

        StoreError, or whatever else went wrong, if there is none.
        """
        request = self._within[number]
        if not self._tasks:
            self._fetch()
        while not self._has_arrived(request):
            self._fetch()  # if no thread has begun it: all of them may wait as this one does
        with self._arrived:
            answer = self._answers[request]
            self._left[request] -= 1
            if not self._left[request]:
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
        if self._claim.setdefault("by", me) is not me:
            return
        try:
            self._client.fetch(self._asked, self._deliver)
        except BaseException as error:
            self._error = error
            if not isinstance(error, Exception):
                raise
        finally:
            with self._arrived:
                self._is_over = True
                self._arrived.notify_all()

    def _has_arrived(self, request: int) -> bool:
        """Wait for an answer, for a moment. The error if there will be none."""
        with self._arrived:
            if request not in self._answers:
                if self._process is not PROCESS.value:
                    raise lost()
                if self._is_over:
                    raise self._error or StoreError(f"{self._client!r} gave no answer: {self._asked[request]}")
                self._arrived.wait(POLL_SECONDS)
            return request in self._answers

    def _deliver(self, number: int, answer: Answer | None) -> None:
        if self._is_ended:
            raise StoreError("nobody waits for this answer any more")
        with self._arrived:
            self._answers[number] = answer
            self._arrived.notify_all()
