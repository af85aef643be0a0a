"""Which chunks of a batch a GPU decodes, and which the cores of the host: one stream is slow on a GPU, many are fast.

A batch of nvCOMP takes the longer of two times: its largest stream at the rate of one stream, or all bytes at the rate
of a full GPU. Host threads share chunks, and what they decode crosses the bus decoded. The GPU's part is launched
first, so both work at once.

The constants are not yet measured on a GPU. They come from published numbers for A100 and H100 GPUs and from one
core of an AMD EPYC; `make calibrate` measures them anew and keeps them in the user's cache folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gpuzarr.devices.cpu import cores

Where = Literal["auto", "gpu", "host"]


@dataclass(frozen=True)
class Rate:
    """Decoded bytes a second of one algorithm: of one stream on the GPU, of a GPU full of streams, of one core."""

    stream: float
    full: float
    core: float


RATES = {
    "zstd": Rate(30e6, 60e9, 0.9e9),
    "lz4": Rate(90e6, 150e9, 2.6e9),
    "snappy": Rate(90e6, 150e9, 1.2e9),
    "deflate": Rate(25e6, 40e9, 0.25e9),
    "gzip": Rate(25e6, 40e9, 0.25e9),
}


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

    `where` other than "auto" leaves nothing to decide.
    """

    rates: Mapping[str, Rate] = field(default_factory=lambda: RATES)
    bus: float = 50e9
    launch: float = 50e-6
    cores: int = field(default_factory=cores)
    where: Where = "auto"

    def decide(
        self,
        algorithm: str,
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

        `algorithm` is one of `rates`.
        """
        totals = np.asarray(totals, np.float64)
        largest = totals if largest is None else np.asarray(largest, np.float64)
        moved = totals if moved is None else np.asarray(moved, np.float64)
        count = len(totals)
        if self.where != "auto" or not count:
            host = np.arange(count if self.where == "host" else 0)
            return Decision(algorithm, count, host, 0.0, 0.0, 0.0, self.where)
        order = np.argsort(-largest, kind="stable")  # the host takes those with the largest streams
        gpu, host = self._gpu(algorithm, totals[order], largest[order]), self._host(algorithm, totals[order])
        sent = np.concatenate([[0.0], np.cumsum(moved[order])])
        seconds = np.maximum(gpu, host) + sent / self.bus
        if room is not None:
            seconds[:-1][sent[:-1] > room] = np.inf
        best = int(np.argmin(seconds))
        expected, gpu_alone, host_alone = float(seconds[best]), float(seconds[0]), float(seconds[-1])
        return Decision(algorithm, count, np.sort(order[:best]), expected, gpu_alone, host_alone)

    def _gpu(self, algorithm: str, totals: np.ndarray, largest: np.ndarray) -> np.ndarray:
        """Seconds on the GPU without the first 0, 1, ... n chunks, the largest stream first."""
        rate = self.rates[algorithm]
        rest = np.cumsum(totals[::-1])[::-1]
        busy = self.launch + np.maximum(largest / rate.stream, rest / rate.full)
        return np.concatenate([busy, [0.0]])

    def _host(self, algorithm: str, totals: np.ndarray) -> np.ndarray:
        """Seconds on the host of the first 0, 1, ... n chunks: their share for a core, and no less than the longest."""
        total, longest = np.cumsum(totals), np.maximum.accumulate(totals)
        busy = np.maximum(total / self.cores, longest) / self.rates[algorithm].core
        return np.concatenate([[0.0], busy])


def kept() -> Costs:
    """What `make calibrate` measured on this machine, or else the constants above."""
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
    rates = RATES | {name: Rate(**_positive(rate)) for name, rate in document["rates"].items()}
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
