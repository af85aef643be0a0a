"""Which chunks of a batch a GPU decodes, and which the cores of the host: one stream is slow on a GPU, many are fast.

A batch of nvCOMP takes the longer of two times: its largest stream at the rate of one stream, or all bytes at the rate
of a full GPU. Host threads share chunks, and what they decode crosses the bus decoded. The GPU's part is launched
first, so both work at once.

`make calibrate` measures the rates of a machine and keeps them in the user's cache folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gpuzarr.devices.algorithm import Algorithm, Rate
from gpuzarr.devices.cpu import cores

Where = Literal["auto", "gpu", "host"]


@dataclass(frozen=True)
class Decision:
    """`host`: the numbers of the chunks that the host decodes, ascending. Seconds are what the model expects."""

    algorithm: str
    chunks: int
    host: np.ndarray
    seconds: float
    seconds_gpu: float  # had all been decoded on the GPU
    seconds_host: float  # had all been decoded on the host
    where: Where = "auto"


@dataclass(frozen=True)
class Costs:
    """What decoding costs on one machine. `bus`: bytes a second to the GPU; `launch`: seconds a batch of nvCOMP.

    `rates`: those that were measured, by the algorithm's name; of others the algorithm's own is assumed. `where` other
    than "auto" leaves nothing to decide.
    """

    rates: Mapping[str, Rate] = field(default_factory=dict)
    bus: float = 50e9
    launch: float = 50e-6
    cores: int = field(default_factory=cores)
    where: Where = "auto"

    def decide(
        self,
        algorithm: Algorithm,
        totals: np.ndarray,
        largest: np.ndarray | None = None,
        moved: np.ndarray | None = None,
        room: float | None = None,
    ) -> Decision:
        """Where chunks of one batch are best decoded.

        Of each: the decoded bytes of all its streams, those of the largest stream, and those that cross the bus if
        the host decodes it. The last two are `totals` if not given. `room`: as many of those bytes have a place beside
        what the GPU needs for the rest; with more, the host would have to wait for the GPU, so it gets more only if it
        gets all.
        """
        totals = np.asarray(totals, np.float64)
        largest = totals if largest is None else np.asarray(largest, np.float64)
        moved = totals if moved is None else np.asarray(moved, np.float64)
        count = len(totals)
        if self.where != "auto" or not count:
            host = np.arange(count if self.where == "host" else 0)
            return Decision(algorithm.name, count, host, 0.0, 0.0, 0.0, self.where)
        order = np.argsort(-largest, kind="stable")  # the host takes those with the largest streams
        rate = self.rates.get(algorithm.name, algorithm.rate)
        gpu, host = self._gpu(rate, totals[order], largest[order]), self._host(rate, totals[order])
        sent = np.concatenate([[0.0], np.cumsum(moved[order])])
        seconds = np.maximum(gpu, host) + sent / self.bus
        if room is not None:
            seconds[:-1][sent[:-1] > room] = np.inf
        best = int(np.argmin(seconds))
        expected, gpu_alone, host_alone = float(seconds[best]), float(seconds[0]), float(seconds[-1])
        return Decision(algorithm.name, count, np.sort(order[:best]), expected, gpu_alone, host_alone)

    def _gpu(self, rate: Rate, totals: np.ndarray, largest: np.ndarray) -> np.ndarray:
        """Seconds on the GPU without the first 0, 1, ... n chunks, the largest stream first."""
        rest = np.cumsum(totals[::-1])[::-1]
        busy = self.launch + np.maximum(largest / rate.stream, rest / rate.full)
        return np.concatenate([busy, [0.0]])

    def _host(self, rate: Rate, totals: np.ndarray) -> np.ndarray:
        """Seconds on the host of the first 0, 1, ... n chunks: their share for a core, and no less than the longest."""
        total, longest = np.cumsum(totals), np.maximum.accumulate(totals)
        busy = np.maximum(total / self.cores, longest) / rate.core
        return np.concatenate([[0.0], busy])


def kept() -> Costs:
    """What `make calibrate` measured on this machine, or else none: then what is assumed."""
    try:
        return loads(_place().read_text())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Costs()


def keep(costs: Costs, place: Path | None = None) -> Path:
    """Write the constants to the user's cache folder (or `place`), for `kept`; where that is."""
    place = place or _place()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({**asdict(replace(costs, rates={})), "rates": _dicts(costs)}, indent=1) + "\n")
    return place


def loads(text: str) -> Costs:
    """The costs in a JSON document. ValueError, TypeError, KeyError or AttributeError where it holds none."""
    document = json.loads(text)
    rates = {name: Rate(**_positive(rate)) for name, rate in document["rates"].items()}
    others = _positive({name: document[name] for name in ("bus", "launch")})
    return Costs(rates, others["bus"], others["launch"])


def _dicts(costs: Costs) -> dict[str, dict[str, float]]:
    return {name: asdict(rate) for name, rate in costs.rates.items()}


def _positive(numbers: Mapping[str, Any]) -> dict[str, float]:
    found = {name: float(number) for name, number in numbers.items()}
    if not all(0 < number < float("inf") for number in found.values()):
        raise ValueError(f"rates must be positive: {found}")
    return found


def _place() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuzarr" / "costs.json"
