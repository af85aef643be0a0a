"""The libraries in nvCOMP's package."""

from __future__ import annotations

import sys
from pathlib import Path


def installed(pattern: str) -> list[str]:
    """Paths of the libraries whose file names match a glob pattern.

    All folders `nvidia` on Python's path are searched: an import would find only one, if that has an `__init__.py`.
    """
    folders = [Path(place or ".", "nvidia") for place in sys.path]
    return [str(path) for folder in folders for path in folder.glob(f"*nvcomp/*/{pattern}")]
