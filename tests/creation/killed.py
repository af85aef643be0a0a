"""What is killed while it overwrites a group. It imports little, so that a process in which it runs is soon made."""

from __future__ import annotations

import os
import signal
from itertools import count
from typing import Any

import numpy as np

import gpuzarr


def killed(path: str, name: str, function: str, passes: int) -> None:
    """Overwrite a group, and be killed when a function of the system is called after it was so many times."""
    right, calls = getattr(os, function), count()

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls) >= passes:
            os.kill(os.getpid(), signal.SIGKILL)
        return right(*arguments, **options)

    setattr(os, function, call)
    gpuzarr.save_group(path, path=name, b=-np.arange(1, 9), **{"c/d": -np.arange(1, 9)})
