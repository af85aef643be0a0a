"""Permissions of this process to write files: asked before anything is written.

They are those of the effective user, for whom the kernel answers; a file system that is mounted read-only refuses
everybody.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

_AS_EFFECTIVE_USER = os.access in os.supports_effective_ids


def why_not_writable(paths: Sequence[str]) -> str | None:
    """Say why files cannot be made or replaced at these paths; None if they can.

    A file that is there must be writable itself, although renaming another over it would not need that: who took the
    permission away wants it to stay.
    """
    missing = set()  # folders, in which no file is
    for folder in dict.fromkeys(path.rpartition("/")[0] for path in paths):
        if not _may(folder, os.W_OK | os.X_OK):
            there = _nearest(folder)
            if os.path.isdir(there) and not _may(there, os.W_OK | os.X_OK):
                return _reason("folder", there)
            missing |= {folder} - {there}
    files = (path for path in paths if path.rpartition("/")[0] not in missing)
    return next((_reason("file", path) for path in files if _is_refused(path)), None)


def _is_refused(path: str) -> bool:
    """Return True if a file is there that may not be written. It is looked at twice: others may make it meanwhile."""
    return all(not _may(path, os.W_OK) and os.path.isfile(path) for _ in range(2))


def _nearest(folder: str) -> str:
    """A folder, or the nearest one around it that exists, in which it would be made."""
    while folder and not os.path.lexists(folder):
        folder = folder.rpartition("/")[0]
    return folder or "/"


def _may(path: str, mode: int) -> bool:
    try:
        return os.access(path, mode, effective_ids=_AS_EFFECTIVE_USER)
    except ValueError:  # no path at all, such as one with a NUL
        return False


def _reason(kind: str, path: str) -> str:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"the {kind} {path!r} is on a file system that is mounted read-only"
    return f"this user has no permission to write to the {kind} {path!r}"
