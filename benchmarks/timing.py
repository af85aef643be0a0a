"""How everything here is timed: results are checked first, repeats are interleaved, medians count."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import Reader, versions

OURS = "gpuzarr cpu"
RESULTS = Path(__file__).parent / "results"


def compare(
    choice: Sequence[Reader],
    path: Path,
    keys: Sequence[Any],
    truth: np.ndarray,
    repeats: int,
    **others: Callable[[], Any],
) -> tuple[dict[str, float], dict[str, str]]:
    """Median seconds in which each reader (and each of `others`) reads all `keys`; and why a reader is left out."""
    opened = {reader.name: (reader, *checked(reader, path, keys, truth)) for reader in choice}
    runs = {name: reading(reader, array, keys) for name, (reader, array, why) in opened.items() if not why}
    left_out = {name: why for name, (_, _, why) in opened.items() if why}
    return medians(runs | others, repeats), left_out


def checked(reader: Reader, path: Path, keys: Sequence[Any], truth: np.ndarray) -> tuple[Any, str]:
    """The open array, and "" where its values are right, else why the reader is left out. Ours must be right."""
    with reader.around():
        try:
            array = reader.open(path)
            right = all(same(reader.host(reader.read(array, key)), truth[key]) for key in keys)
        except Exception as error:
            if reader.ours:
                raise
            return None, f"cannot ({type(error).__name__})"
    if reader.ours and not right:
        raise SystemExit(f"{reader.name} reads wrong values from {path.name}")
    return array, "" if right else "WRONG VALUES"


def same(values: np.ndarray, truth: np.ndarray) -> bool:
    return values.dtype == truth.dtype and np.array_equal(values, truth)


def medians(
    runs: Mapping[str, Callable[[], Any]],
    repeats: int,
    prepare: Callable[[str], None] | None = None,
    enough: float = float("inf"),
) -> dict[str, float]:
    """Median seconds of each. Every round runs each once, so that what else the machine does hits all alike.

    `prepare(name)` is called before each run, untimed. Who ran twice, and for `enough` seconds in all, runs no more.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            if len(seconds[name]) >= 2 and sum(seconds[name]) > enough:
                continue
            if prepare is not None:
                prepare(name)
            before = time.perf_counter()
            result = run()
            seconds[name].append(time.perf_counter() - before)
            del result
    return {name: statistics.median(all_seconds) for name, all_seconds in seconds.items()}


def reading(reader: Reader, array: Any, keys: Sequence[Any]) -> Callable[[], Any]:
    """What is timed: the reads of `keys`, one after another."""

    def run() -> Any:
        with reader.around():
            for key in keys:
                values = reader.read(array, key)
            return values

    return run


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
        "gpu": gpu(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def commit() -> str | None:
    """The commit, with a + where files differ from it; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() or None


def gpu() -> str | None:
    """Name of the first GPU; None without a driver."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def record(name: str, output: Path | None, **results: Any) -> None:
    """Write results/NAME.json (or `output`)."""
    output = output or RESULTS / f"{name}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"benchmark": name, **machine(), **results}, indent=1) + "\n")


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median counts (default 5)")
    parser.add_argument("--readers", default="", help="only those whose name begins with one of these (a,b)")
    parser.add_argument("--output", type=Path, help=f"where the JSON goes (default benchmarks/results/{name}.json)")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    return parser


def finish(name: str, options: argparse.Namespace, missed: Sequence[str], **results: Any) -> None:
    """Say which goals were missed, and write everything down."""
    if not OURS.startswith(tuple(options.readers.split(","))):
        missed = [f"not judged without {OURS}"]
    print("\n".join(["goals missed:", *missed]) if missed else "all goals met")
    settings = {key: value for key, value in vars(options).items() if key not in ("output", "check")}
    record(name, options.output, settings=settings, goals_missed=list(missed), **results)
    if options.check and missed:
        raise SystemExit(1)
