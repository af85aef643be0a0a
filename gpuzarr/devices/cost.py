"""Cost model: which chunks of a batch the GPU decodes, and which the CPU. One stream is slow on a GPU, many are fast.

A batch of nvCOMP takes the longer of two times: its largest stream at the rate of one stream, or all bytes at the rate
of a full GPU. Threads of the host share the other chunks, which cross the bus decoded. The GPU's chunks are launched
first, so both work at once. Where several batches are decoded at once, the time for which each waits for its largest
stream is shared by them.

`make calibrate` measures the rates of a machine and writes them to the user's cache folder. Rates that nobody measured
there are guesses.
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
Because = Literal["measured", "guessed", "asked"]
# With guessed rates the host gets chunks only where that is estimated to be so many times as fast. Rates of GPUs and of
# cores differ by about this factor between machines; and the cores also read files and launch meanwhile, but a GPU that
# decodes more than it should only takes longer.
MIN_GUESSED_GAIN = 2.0


@dataclass(frozen=True)
class Decision:
    """Decision for one batch. `host`: numbers of the chunks that the CPU decodes, ascending. Seconds are estimates.

    `because`: it follows from "measured" or "guessed" rates, or was "asked" for.
    """

    algorithm: str
    chunks: int
    host: np.ndarray
    seconds: float
    seconds_gpu: float  # if the GPU decoded all chunks
    seconds_host: float  # if the CPU decoded all chunks
    because: Because


@dataclass(frozen=True)
class Costs:
    """Costs of decoding on one machine.

    `rates`: measured rates by the algorithm's name; others are guesses, those that `Algorithm` assumes. `bus`: bytes
    per second to the GPU. `launch`: seconds per batch of nvCOMP. `where`: "gpu" or "host" decodes all chunks there.
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
        headroom: float | None = None,
        concurrent: int = 1,
    ) -> Decision:
        """Divide the chunks of one batch between the GPU and the CPU.

        For each chunk: `totals`, decoded bytes of all its streams; `largest`, decoded bytes of its largest stream;
        `moved`, bytes that cross the bus if the CPU decodes it. The last two are `totals` by default. `headroom`: bytes
        of `moved` that fit beside what the GPU needs for the other chunks; None: no limit. With more than that the CPU
        would have to wait for the GPU, so it gets more only if it gets all. `concurrent`: batches like this one that
        the GPU decodes at once: no more than the read has.
        """
        totals = np.asarray(totals, np.float64)
        largest = totals if largest is None else np.asarray(largest, np.float64)
        moved = totals if moved is None else np.asarray(moved, np.float64)
        count = len(totals)
        if self.where != "auto" or not count:
            host = np.arange(count if self.where == "host" else 0)
            return Decision(algorithm.name, count, host, 0.0, 0.0, 0.0, "asked")
        order = np.argsort(-largest, kind="stable")  # the CPU takes the chunks with the largest streams
        rate = self.rate(algorithm)
        gpu, host = self._gpu(rate, totals[order], largest[order] / concurrent), self._host(rate, totals[order])
        sent = np.concatenate([[0.0], np.cumsum(moved[order])])
        seconds = np.maximum(gpu, host) + sent / self.bus
        if headroom is not None:
            seconds[:-1][sent[:-1] > headroom] = np.inf
        best, gain = int(np.argmin(seconds)), 1.0 if algorithm.name in self.rates else MIN_GUESSED_GAIN
        if seconds[0] < gain * seconds[best]:
            best = 0
        expected, gpu_alone, host_alone = float(seconds[best]), float(seconds[0]), float(seconds[-1])
        because: Because = "measured" if algorithm.name in self.rates else "guessed"
        return Decision(algorithm.name, count, np.sort(order[:best]), expected, gpu_alone, host_alone, because)

    def rate(self, algorithm: Algorithm) -> Rate:
        """Measured rates; where there are none, those that the algorithm assumes."""
        return self.rates.get(algorithm.name, algorithm.rate)

    def chunks_to_fill(self, algorithm: Algorithm, streams: int, nbytes: int, count: int) -> float:
        """Chunks of `nbytes`, in so many streams each, that keep all of a GPU busy; 0 where of `count` chunks, decoded
        together, it would decode none."""
        rate = self.rate(algorithm)
        chunks = rate.full / rate.stream / streams
        totals = np.full(max(1, min(count, int(chunks))), float(nbytes))
        return 0.0 if len(self.decide(algorithm, totals, totals / streams).host) == len(totals) else chunks

    def _gpu(self, rate: Rate, totals: np.ndarray, largest: np.ndarray) -> np.ndarray:
        """Seconds on the GPU for all but the first 0, 1, ... n chunks, which are ordered by their largest stream.

        `largest`: divided by the number of batches that wait for theirs at once.
        """
        rest = np.cumsum(totals[::-1])[::-1]
        busy = self.launch + np.maximum(largest / rate.stream, rest / rate.full)
        return np.concatenate([busy, [0.0]])

    def _host(self, rate: Rate, totals: np.ndarray) -> np.ndarray:
        """Seconds on the CPU for the first 0, 1, ... n chunks: divided by the cores, but no less than the longest."""
        total, longest = np.cumsum(totals), np.maximum.accumulate(totals)
        busy = np.maximum(total / self.cores, longest) / rate.core
        return np.concatenate([[0.0], busy])


def calibrated() -> Costs:
    """Costs that `make calibrate` measured on this machine, or assumed ones."""
    try:
        return loads(_cache_file().read_text())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Costs()


def save(costs: Costs, file: Path | None = None) -> Path:
    """Write costs to a file; default: where `calibrated` reads them. Return its path."""
    file = file or _cache_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**asdict(replace(costs, rates={})), "rates": _dicts(costs)}, indent=1) + "\n")
    return file


def loads(text: str) -> Costs:
    """Parse costs from JSON. ValueError, TypeError, KeyError or AttributeError for any other document."""
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


def _cache_file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuzarr" / "costs.json"
