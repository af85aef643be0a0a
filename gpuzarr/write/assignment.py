"""A value that is assigned to a part of an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuzarr.devices.trace import Trace
from gpuzarr.write.before import Before
from gpuzarr.write.target import Target


@dataclass(frozen=True)
class Assignment:
    """A value, an array of `device`, that is assigned to parts of an array. `parts` say which element goes where.

    `before` reads what was there.
    """

    target: Target
    value: Any
    device: Any
    trace: Trace
    before: Before
