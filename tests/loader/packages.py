"""Packages that users may have, and tests of them need."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Any

import pytest


def package(name: str) -> Any:
    """Import a package, or skip the test or its whole file; but in CI, where it is installed on Python 3.11, fail."""
    if find_spec(name) is None and os.environ.get("CI") and sys.version_info[:2] == (3, 11):
        pytest.fail(f"{name} is not installed, so what needs it would not be tested", pytrace=False)
    return pytest.importorskip(name)
