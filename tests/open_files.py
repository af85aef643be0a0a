"""What a process has open, for tests of what must be closed again."""

from __future__ import annotations

import gc
import os
from contextlib import suppress

DESCRIPTORS = "/proc/self/fd"


def open_files() -> list[str]:
    """The number and the path of each open file; nothing where the system does not tell.

    What is garbage only, perhaps of a test before, is collected first, so that nothing is closed between two calls.
    Connections and what event loops wait with are left out: they stay open for the next requests, and those of other
    tests end by themselves at any moment.
    """
    gc.collect(1)
    found: list[str] = []
    for number in os.listdir(DESCRIPTORS) if os.path.isdir(DESCRIPTORS) else []:
        with suppress(FileNotFoundError):  # closed meanwhile, by another thread
            path = os.readlink(f"{DESCRIPTORS}/{number}")
            if not path.startswith(("socket:", "anon_inode:", "/proc/")):
                found.append(f"{number} {path}")
    return sorted(found)
