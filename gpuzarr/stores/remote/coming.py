"""Answers that are on their way while their caller does other work."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from gpuzarr.errors import StoreError
from gpuzarr.per_process import PROCESS
from gpuzarr.stores.remote.client import Answer, Asked, Client
from gpuzarr.stores.spread import POOL
from gpuzarr.tasks import POLL_SECONDS, Task, end_all, lost


class Coming:
    """Answers to requests that another thread has made; of a single request, the thread that takes the answer."""

    def __init__(self, client: Client, asked: Sequence[Asked]) -> None:
        self._client, self._asked = client, asked
        self._answers: dict[int, Answer | None] = {}
        self._arrived = threading.Condition()
        self._is_ended = False
        self._process = PROCESS.value
        self._tasks: list[Task] = []
        if len(asked) > 1:
            POOL.value.submit(partial(client.fetch, asked, self._deliver), 1, self._tasks)

    def take(self, number: int) -> Answer | None:
        """The answer to a request, once. StoreError, or whatever else went wrong, if there is none."""
        if not self._tasks:
            return self._fetched(number)
        with self._arrived:
            while number not in self._answers:
                if self._process is not PROCESS.value:
                    raise lost()
                if self._tasks[0].is_done and number not in self._answers:
                    raise self._tasks[0].end() or StoreError(f"{self._client!r} gave no answer: {self._asked[number]}")
                self._arrived.wait(POLL_SECONDS)
            return self._answers.pop(number)

    def end(self) -> None:
        """Give up what has not come. It may be called twice."""
        self._is_ended = True
        end_all(self._tasks)

    def _deliver(self, number: int, answer: Answer | None) -> None:
        if self._is_ended:
            raise StoreError("nobody waits for this answer any more")
        with self._arrived:
            self._answers[number] = answer
            self._arrived.notify_all()

    def _fetched(self, number: int) -> Answer | None:
        """Make one request now."""
        found: list[Answer | None] = []
        self._client.fetch([self._asked[number]], lambda _, answer: found.append(answer))
        return found[0]
