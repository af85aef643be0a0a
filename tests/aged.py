"""Files as they would be had they been written long ago: versions of others are not trusted yet (`Objects.settled`)."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import time_ns

LONG_AGO_NS = 10**18 + 1
_NUMBERS = count()


def age(path: Path | str) -> None:
    """Make a file, or all files of a folder, old; each time to another moment, as if it had been changed then."""
    for file in [Path(path), *Path(path).rglob("*")]:
        with suppress(FileNotFoundError):  # another thread writes files
            if file.is_file() and file.stat().st_mtime_ns > LONG_AGO_NS + 10**17:
                os.utime(file, ns=(0, LONG_AGO_NS + next(_NUMBERS) * 1000))


def renew(path: Path | str) -> None:
    """Make all files of a folder so new that they stay new while a test runs."""
    for file in Path(path).rglob("*"):
        if file.is_file():
            os.utime(file, ns=(0, time_ns() + 3600 * 10**9))
