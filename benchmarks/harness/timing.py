"""How everything here is timed: results are checked first, repeats are interleaved, medians count."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from math import exp, log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.peers import Reader, versions

OURS = "gpuzarr cpu"
LEAST, MEAN = 0.95, 1.5  # times the best peer, of a row and of all
RESULTS = Path(__file__).parents[1] / "results"


class Took(NamedTuple):
    """Seconds on the clock, and of processors: of all threads, and of children that have ended."""

    seconds: float
    processor: float

    @classmethod
    def median(cls, runs: Sequence[Took]) -> Took:
        """The median of each of both."""
        return cls(*map(statistics.median, zip(*runs, strict=True)))


def compare(
    choice: Sequence[Reader],
    path: Path,
    keys: Sequence[Any],
    truth: np.ndarray,
    repeats: int,
    **others: Callable[[], Any],
) -> tuple[dict[str, Took], dict[str, str]]:
    """What it takes each reader (and each of `others`) to read all `keys`, in the median; why a reader is left out."""
    runs, left_out, _ = right(choice, path, keys, truth)
    return medians(runs | others, repeats), left_out


def right(
    choice: Sequence[Reader], path: Path, keys: Sequence[Any], truth: np.ndarray
) -> tuple[dict[str, Callable[[], Any]], dict[str, str], dict[str, float]]:
    """What is timed of each reader that reads the right values; why others are left out; seconds of the first read."""
    runs, left_out, first = {}, {}, {}
    for reader in choice:
        array, why, seconds = checked(reader, path, keys, truth)
        if why:
            left_out[reader.name] = why
        else:
            runs[reader.name], first[reader.name] = reading(reader, array, keys), seconds
    return runs, left_out, first


def checked(reader: Reader, path: Path, keys: Sequence[Any], truth: np.ndarray) -> tuple[Any, str, float]:
    """The open array; "" where its values are right, else why the reader is left out; and the seconds of these reads.

    Ours must be right, but for a trial.
    """
    must = reader.ours and not reader.trial
    right, seconds = True, 0.0
    with reader.around():
        try:
            array = reader.open(path)
            for key in keys:
                before = time.perf_counter()
                values = reader.read(array, key)
                seconds += time.perf_counter() - before
                right = right and same(reader.host(values), truth[key])
        except Exception as error:
            if must:
                raise
            return None, f"cannot ({type(error).__name__})", 0.0
    if must and not right:
        raise SystemExit(f"{reader.name} reads wrong values from {path.name}")
    return array, "" if right else "WRONG VALUES", seconds


def same(values: np.ndarray, truth: np.ndarray) -> bool:
    return values.dtype == truth.dtype and np.array_equal(values, truth)


def medians(
    runs: Mapping[str, Callable[[], Any]],
    repeats: int,
    prepare: Callable[[str], None] | None = None,
    enough: float = float("inf"),
) -> dict[str, Took]:
    """What each takes, in the median: see `rounds`."""
    return {name: Took.median(took) for name, took in rounds(runs, repeats, prepare, enough).items()}


def rounds(
    runs: Mapping[str, Callable[[], Any]],
    repeats: int,
    prepare: Callable[[str], None] | None = None,
    enough: float = float("inf"),
) -> dict[str, list[Took]]:
    """What every run takes. Every round runs each once, so that what else the machine does hits all alike.

    `prepare(name)` is called before each run, untimed. Who ran twice, and for `enough` seconds in all, runs no more.
    """
    found: dict[str, list[Took]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            if len(found[name]) >= 2 and sum(took.seconds for took in found[name]) > enough:
                continue
            if prepare is not None:
                prepare(name)
            found[name].append(took(run))
    return found


def took(run: Callable[[], Any]) -> Took:
    """What a call takes. Its result is dropped when it was timed."""
    used, before = processor_seconds(), time.perf_counter()
    result = run()
    found = Took(time.perf_counter() - before, processor_seconds() - used)
    del result
    return found


def processor_seconds() -> float:
    """Seconds that processors have worked for this process, its threads, and its children that have ended."""
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def seconds(took: Mapping[str, Took]) -> dict[str, float]:
    """Those of the clock alone."""
    return {name: each.seconds for name, each in took.items()}


@contextmanager
def load(count: int) -> Iterator[None]:
    """Context in which `count` other processes keep the machine busy."""
    code = "while True: pass"
    others = [subprocess.Popen([sys.executable, "-I", "-S", "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def reading(reader: Reader, array: Any, keys: Sequence[Any]) -> Callable[[], Any]:
    """What is timed: the reads of `keys`, one after another."""

    def run() -> Any:
        with reader.around():
            for key in keys:
                values = reader.read(array, key)
            return values

    return run


@dataclass(frozen=True)
class Budget:
    """Seconds that a benchmark may take, shared by what is still to be measured."""

    end: float

    @classmethod
    def of(cls, seconds: float) -> Budget:
        return cls(time.monotonic() + seconds)

    def share(self, waiting: int) -> float:
        """Seconds for the next one of so many."""
        return max(0.0, self.end - time.monotonic()) / max(1, waiting)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain text, the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    first, *others = widths
    return "\n".join("  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in [heads, *rows])


def speeds(unit: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A table of one number a reader and row; "-" where a reader was left out."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    cells = [[kind, *(f"{row[name]:.2f}" if name in row else "-" for name in names)] for kind, row in rows.items()]
    return table([unit, *names], cells)


def machine() -> dict[str, Any]:
    """What a number means nothing without."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        **graphics(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def commit() -> str | None:
    """The commit, with a + where files differ from it; None where nothing says it.

    In a copy without its repository, the environment variable GPUZARR_COMMIT can say it.
    """
    if said := os.environ.get("GPUZARR_COMMIT"):
        return said
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    return (_said(command, Path(__file__).parent) or [None])[0]


@cache
def graphics() -> dict[str, Any]:
    """Name of the first GPU, its driver, and the versions of CUDA and nvCOMP. `gpu` is None without a driver."""
    said = _said(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
    if not said:
        return {"gpu": None}
    name, driver, memory = [*said[0].split(", "), "", ""][:3]
    return {"gpu": name, "driver": driver, "gpu_memory": memory, **libraries()}


def libraries() -> dict[str, Any]:
    """CUDA's version as CuPy's runtime says it (13000 is 13.0), and nvCOMP's (6000 is 6.0); None where missing."""
    from gpuzarr.devices.nvcomp import decompress as nvcomp
    from gpuzarr.errors import DeviceError

    found: dict[str, Any] = {"cuda": None, "nvcomp": None}
    with suppress(Exception):  # CuPy raises others by version
        import cupy

        found["cuda"] = cupy.cuda.runtime.runtimeGetVersion()
    with suppress(DeviceError):
        properties = nvcomp.Properties()
        nvcomp.load().nvcompGetProperties(ctypes.byref(properties))
        found["nvcomp"] = properties.version
    return found


def clocks() -> list[str]:
    """What the driver says of clocks, and of what holds them down; nothing without a driver."""
    return _said(["nvidia-smi", "-q", "-d", "CLOCK,PERFORMANCE"])


def _said(command: list[str], folder: Path | None = None) -> list[str]:
    """The lines that a program prints; none where it is not there, fails, or hangs."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


def record(name: str, output: Path | None, **results: Any) -> None:
    """Write results/NAME.json (or `output`)."""
    output = output or RESULTS / f"{name}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    write(output, {"benchmark": name, **machine(), **results})


def write(path: Path, document: dict[str, Any]) -> None:
    """As JSON, so that no reader sees half of it, however this process ends."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(document, indent=1) + "\n")
    part.replace(path)


def is_finished(result: dict[str, Any]) -> bool:
    """Whether a benchmark came to its end: what it traces on its way lacks parts."""
    return not result.get("settings", {}).get("unfinished")


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median counts (default 5)")
    parser.add_argument("--readers", default="", help="only those whose name begins with one of these (a,b)")
    parser.add_argument("--output", type=Path, help=f"where the JSON goes (default benchmarks/results/{name}.json)")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    return parser


def cases_parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """The arguments of benchmarks over `cases`."""
    made = parser(name, doc)
    made.add_argument("--cases", default="", help="only those whose name contains one of these (a;b)")
    made.add_argument("--full", action="store_true", help="all chains with all shapes, and arrays of 1 GiB, too")
    made.add_argument("--smaller", type=int, default=1, help="divides each axis")
    made.add_argument("--load", type=int, default=0, help="so many busy processes beside")
    return made


def tried(name: str, failed: list[str], measure: Callable[[], Any]) -> Any:
    """What `measure` returns; None where it fails: `failed` tells of that, and other rows can still be measured."""
    try:
        return measure()
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        failed.append(f"{name}: failed ({type(error).__name__}: {error})")
        return None


def finish(
    name: str, options: argparse.Namespace, missed: Sequence[str], failed: Sequence[str] = (), **results: Any
) -> None:
    """Say which goals were missed, and write everything down; exit with 1 where rows `failed`."""
    missed = [*failed, *missed]
    if not OURS.startswith(tuple(options.readers.split(","))):
        missed = [f"not judged without {OURS}"]
    print("\n".join(["goals missed:", *missed]) if missed else "all goals met")
    settings = {key: value for key, value in vars(options).items() if key not in ("output", "check")}
    record(name, options.output, settings=settings, goals_missed=list(missed), **results)
    if failed or (options.check and missed):
        raise SystemExit(1)


def best_peer(row: dict[str, Any]) -> float:
    peers = [s for name, s in row["seconds"].items() if name != "limit" and not name.startswith("gpuzarr")]
    return min(peers, default=float("nan"))


def ratio(row: dict[str, Any]) -> float:
    """How many times as fast as the best peer."""
    return best_peer(row) / row["seconds"].get(OURS, float("nan"))


def geometric_mean(rows: Sequence[dict[str, Any]]) -> float:
    return mean([ratio(row) for row in rows])


def mean(numbers: Sequence[float]) -> float:
    """Geometric."""
    return exp(sum(map(log, numbers)) / len(numbers)) if numbers else float("nan")


def behind(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The goals that were missed: no row below LEAST of the best peer, and MEAN of all in the geometric mean."""
    found = [f"{row['row']}: {ratio(row):.2f} times the best peer" for row in rows if not ratio(row) >= LEAST]
    return found if geometric_mean(rows) >= MEAN else [*found, f"geometric mean: {geometric_mean(rows):.2f}"]


def beside_peers(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Two tables: GB/s of each reader or writer, and its processor seconds for a gigabyte."""
    speeds, costs = [], []
    for row in rows:
        rates = {name: f"{row['nbytes'] / seconds / 1e9:.2f}" for name, seconds in row["seconds"].items()}
        used = {name: f"{seconds / row['nbytes'] * 1e9:.2f}" for name, seconds in row["processor"].items()}
        part = f"{row['stored'] / row['nbytes']:.0%}"
        speeds.append([row["row"], part, *(rates.get(name, "-") for name in names), f"{ratio(row):.2f}"])
        costs.append([row["row"], *(used.get(name, "-") for name in names)])
    first = table(["GB/s", "stored", *names, "x best peer"], speeds)
    return f"{first}\n\n{table(['processor s/GB', *names], costs)}\n"
