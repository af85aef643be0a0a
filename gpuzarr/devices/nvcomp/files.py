"""The libraries in nvCOMP's package."""

from __future__ import annotations

import sys
from pathlib import Path


def installed(pattern: str) -> list[str]:
    """Paths of the libraries whose names match a pattern of `glob`.

    All folders `nvidia` of Python's path are searched: imports would see only one, if it has an `__init__.py`.
    """
    folders = [Path(place or ".", "nvidia") for place in sys.path]
    return [str(path) for folder in folders for path in folder.glob(f"*nvcomp/*/{pattern}")]
