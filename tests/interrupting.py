"""Interrupts at every place where Python lets one in, and what must not be left behind by them."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import gpuzarr
from gpuzarr.devices.cpu import CPU
from gpuzarr.stores.local.permits import PERMITS
from gpuzarr.stores.spread import MAX_THREADS
from tests.data import Stop
from tests.open_files import open_files

PACKAGE = os.path.dirname(gpuzarr.__file__)  # whose lines are counted
MAX_LINE_THREADS = 16  # that lines need at once in these tests
_SET = ctypes.PyDLL(None).PyErr_SetInterrupt  # does what a signal does, and lets no handler run before it returns
_SET.argtypes, _SET.restype = [ctypes.py_object] * 3, None


class Interrupted:
    """Calls that are interrupted when the main thread comes to line `n` of those that it runs of gpuzarr.

    The signal comes there as from outside: Python raises at the next place where it looks for signals. `lines`: how
    many were counted. `is_swallowed`: it came while Python called a finalizer, whose errors nobody sees.
    """

    def __init__(self, n: int, kept: list[Stop] | None = None, within: tuple[str, ...] = (PACKAGE,)) -> None:
        """`kept`: gets the exceptions with their tracebacks. `within`: folders and files whose lines count."""
        self.lines, self._n, self._kept, self._within, self.is_swallowed = 0, n, kept, within, False

    def __call__(self, work: Callable[[], Any]) -> bool:
        """Call it; whether it was interrupted."""
        old, sys.unraisablehook = signal.signal(signal.SIGINT, _stop), self._swallowed
        try:
            sys.settrace(self._enter)
            work()
            sys.settrace(None)  # a call, after which Python looks for signals
        except Stop as stop:
            if self._kept is not None:
                self._kept.append(stop)
            return True
        except ctypes.ArgumentError as error:  # it came once more, while the arguments of `_SET` were converted
            if f": {Stop.__name__}" not in str(error):
                raise
            return True
        finally:
            sys.settrace(None)
            sys.unraisablehook = sys.__unraisablehook__
            signal.signal(signal.SIGINT, old)
        return False

    def _swallowed(self, error: Any) -> None:
        self.is_swallowed = self.is_swallowed or isinstance(error.exc_value, Stop)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(self._within) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.lines += 1
        return _SET if self.lines == self._n else self._line


class Alarm:
    """Interrupts calls by a timer, as a user does it; an exception of any signal handler."""

    def __enter__(self) -> Alarm:
        self._is_set, self._old = False, signal.signal(signal.SIGALRM, self._ring)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._old)

    def __call__(self, seconds: float, work: Callable[[], Any]) -> bool:
        """Call it; whether it was interrupted after so many seconds."""
        try:
            self._is_set = True
            signal.setitimer(signal.ITIMER_REAL, seconds)
            work()
            self._is_set = False  # the signal may come to another thread, and be told to this one later
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Stop:
            return True
        return False

    def _ring(self, *_: object) -> None:
        if self._is_set:
            self._is_set = False
            raise Stop


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise; not while the tracing itself runs: then once more after it, by what is no call, for after calls Python
    looks for signals."""
    if frame is not None and frame.f_code in (Interrupted._enter.__code__, Interrupted._line.__code__):
        for _ in map(_SET, (None,), (None,), (None,)):
            return
    sys.settrace(None)
    raise Stop


class Held:
    """What a process has in hand. It must be the same before and after."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._there = set(threading.enumerate())  # also those of pools of other tests
        self._before = self._now()

    def check(self) -> None:
        """Assert that nothing is held that was not before. Threads may take a moment to end."""
        end = time.monotonic() + 10
        while (now := self._now()) != self._before and time.monotonic() < end:
            gc.collect()
            time.sleep(0.002)
        assert now == self._before, f"{now}, not {self._before}"

    def _now(self) -> tuple[Any, ...]:
        held = self._device.held.total if self._device.gpu else 0
        threads = [thread.name for thread in threading.enumerate() if thread not in self._there]
        pools = {"gpuzarr_": CPU.threads, "gpuzarr read_": MAX_THREADS, "gpuzarr line_": MAX_LINE_THREADS}
        for pool, most in pools.items():  # they start when first needed
            others = [name for name in threads if not name.startswith(pool)]
            assert len(threads) - len(others) <= most, f"the pool {pool!r} has too many threads"
            threads = others
        return len(open_files()), len(threads), PERMITS.value.free, held
