"""A value that each process makes for itself."""

from __future__ import annotations

import os
import threading
from itertools import count

import pytest

from gpuzarr.per_process import PerProcess


def test_it_is_made_at_once_and_anew_when_asked() -> None:
    numbers = count()
    made = PerProcess(lambda: next(numbers))
    assert made.value == made.value == 0
    made.renew()
    assert made.value == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_its_own() -> None:
    lock = PerProcess(threading.Lock)
    with lock.value:
        if not (child := os.fork()):
            os._exit(0 if lock.value.acquire(blocking=False) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not lock.value.locked()
