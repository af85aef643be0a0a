"""A child that is forked, for stores that must work there, too."""

import os
import time
from collections.abc import Callable

SECONDS = 20


def holds_in_child(claim: Callable[[], bool]) -> bool:
    """Whether a claim holds in a forked child, which is killed after SECONDS."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if claim() else 3)
        finally:
            os._exit(4)
    for _ in range(SECONDS * 50):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False
