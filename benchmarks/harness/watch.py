"""Processes that end when they have to: with all that they began, after silence, or at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 5.0  # seconds for what was killed to be gone; what waits for a driver may never be


def hung(
    process: subprocess.Popen[bytes],
    told: Path,
    seconds: float,
    end: float = float("inf"),
    heard: Path | None = None,
) -> bool:
    """Wait for its end. Whether it wrote nothing to the file `told` for so long before that, or the monotonic clock
    reached `end`, and it was killed. `heard`: the file of one that waits for this process, and is not silent either."""
    while process.poll() is None:
        last = told.stat().st_mtime
        if heard is not None and heard.stat().st_mtime < last:
            os.utime(heard, (last, last))
        if time.time() - last > seconds or time.monotonic() > end:
            kill(process)
            return True
        time.sleep(0.05)
    return False


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it, its process group and its session, where it leads them."""
    end = time.monotonic() + PATIENCE
    while (found := alive(process)) and time.monotonic() < end:
        for number in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.02)


def alive(process: subprocess.Popen[bytes]) -> set[int]:
    """The process and what belongs to it, without what has ended already."""
    found = {process.pid} if process.poll() is None else set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group, session = status.read_text().rpartition(")")[2].split()[:4]
            if process.pid in (int(group), int(session)) and state != "Z":
                found.add(int(status.parent.name))
    return found
