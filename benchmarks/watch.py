"""A process that tells of its steps in a file, watched by the one that started it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path


def hung(process: subprocess.Popen[bytes], told: Path, seconds: float, end: float = float("inf")) -> bool:
    """Wait for its end. Whether it told nothing for so long before that, or the monotonic clock reached `end`, and it
    was killed."""
    while process.poll() is None:
        if time.time() - told.stat().st_mtime > seconds or time.monotonic() > end:
            process.kill()
            process.wait()
            return True
        time.sleep(0.05)
    return False
