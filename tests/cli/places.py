"""Places that commands cannot read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534  # a user whom permissions concern, unlike root


@contextmanager
def unreadable(file: Path) -> Iterator[None]:
    """Context in which this process may not read a file. Where it is root's, it is nobody's for that time."""
    is_root = os.geteuid() == 0
    folders = [folder for folder in file.parents if not folder.stat().st_mode & 1]
    modes = {folder: folder.stat().st_mode for folder in folders} if is_root else {}
    file.chmod(0)
    try:
        for folder, mode in modes.items():
            folder.chmod(mode | 0o11)
        if is_root:
            os.seteuid(NOBODY)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for folder, mode in modes.items():
            folder.chmod(mode)
        file.chmod(0o600)
