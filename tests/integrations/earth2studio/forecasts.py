"""Coordinate systems of forecasts that tests write, and what is drawn of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

STEPS = ("time", "lead_time", "ensemble")
AXES = {
    "time": np.array(["2024-01-01", "2024-01-03", "2024-01-02", "2025-06-01"], "datetime64[ns]"),
    "lead_time": np.arange(5) * np.timedelta64(6, "h"),
    "ensemble": np.array([3, 0, 7]),
    "variable": np.array(["t2m", "msl", "z500"]),
    "lat": np.linspace(90, -90, 5),
    "lon": np.linspace(0, 360, 6, endpoint=False, dtype="float32"),
}


class Plan(NamedTuple):
    """How a store is made, and the coordinates of its arrays."""

    coords: dict[str, Any]
    parallel: dict[str, Any]
    chunked: dict[str, int]
    shards: dict[str, int]
    blocking: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(len, self.coords.values()))


@st.composite
def plans(draw: Any) -> Plan:
    """Plans that earth2studio takes, too: shards cover dimensions that are not computed step by step."""
    names = draw(st.lists(st.sampled_from(sorted(AXES)), min_size=1, max_size=4, unique=True))
    coords = OrderedDict((name, AXES[name][: draw(st.integers(1, len(AXES[name])))]) for name in names)
    parallel = {name: coords[name] for name in names if name in STEPS}
    rest = [name for name in names if name not in parallel]
    chunked = {name: draw(st.integers(1, len(coords[name]))) for name in rest if draw(st.booleans())}
    shards = {name: draw(st.integers(1, len(coords[name]) + 1)) for name in parallel if draw(st.booleans())}
    if shards:  # those of the others are their length, which must be a multiple of the chunks
        chunked = {name: size for name, size in chunked.items() if len(coords[name]) % size == 0}
    return Plan(coords, parallel, chunked, shards, draw(st.booleans()))


def part(draw: Any, length: int, *, in_order: bool) -> list[int]:
    """Some positions along a dimension."""
    found = draw(st.lists(st.integers(0, length - 1), min_size=1, unique=True))
    return sorted(found) if in_order else found
