"""How many random samples a second does a training loop get, beside everything else that loads Zarr for one?

Crops of a volume of u2, and rows of a table of f4, as zstd shards of Zarr v3 and as blosc-lz4 of v2, in the page cache;
in random order within windows of some blocks, as our loader shuffles, and from anywhere. Each loader runs in a process
of its own, and is told the same samples in the same order; its memory for decoded chunks is bounded by the same number
of bytes. Between epochs processes stay, and decoded chunks do not.

Peers: torch's DataLoader with two workers over zarr-python's best pipeline, and over tensorstore without and with its
cache pool; the same workers without torch; tensorstore in one process, with two batches read ahead, without and with
its pool; for rows, in orders of their own, annbatch and insitubatch. `--also PYTHON` brings those of another
environment. Of those that read batch by batch at most the first seconds of an epoch count
(`harness/sampling_child.py`).

Goals on the CPU: no row below the best peer, and three times the best one where samples are in windows. `--check` fails
where missed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import sampling, timing
from benchmarks.harness.sampling import TINY, Job, Sizes, questions
from benchmarks.harness.sampling_child import Process
from benchmarks.harness.sampling_peers import OF_ROWS
from benchmarks.harness.timing import OURS, Took, best_peer, ratio, table

ENOUGH = 4.0  # seconds of all timed epochs of a loader
WINDOWED = 3.0  # times the best peer


@dataclass
class Run:
    """A loader at work in a process, and what its epochs took."""

    name: str
    process: Process
    samples: int
    first: float = 0.0
    took: list[Took] = field(default_factory=list)
    decoded: float | None = None
    why: str = ""

    def begin(self, job: Job) -> None:
        """A whole epoch, whose samples are checked."""
        answer = self.process.ask(job.as_json())
        self.why, self.first = answer["why"], answer.get("first", 0.0)
        if self.why and self.name.startswith("gpuzarr"):
            raise SystemExit(f"{self.name}, {job.path}: {self.why}")

    def time(self) -> None:
        answer = self.process.ask()
        if "seconds" not in answer:
            self.why = answer["why"]
            return
        part = self.samples / answer["samples"]
        self.took.append(Took(answer["seconds"] * part, answer["processor"] * part))
        self.decoded = answer["decoded"]


def measure(job: Job, who: dict[str, str], repeats: int, device: str) -> dict[str, Any]:
    """Seconds of an epoch, by the clock and of processors, of each loader of `who` (a Python for each), or why not."""
    runs = [Run(key(name, device), Process.begin(python, "run", name), job.samples) for name, python in who.items()]
    try:
        for run in runs:
            run.begin(job)
        for run in [run for run in runs if not run.why] * repeats:
            if not run.why and (len(run.took) < 2 or sum(took.seconds for took in run.took) < ENOUGH):
                run.time()
    finally:
        for run in runs:
            run.process.end()
    able = [run for run in runs if not run.why]
    took = {run.name: Took.median(run.took) for run in able}
    return {
        "seconds": timing.seconds(took),
        "processor": {name: each.processor for name, each in took.items()},
        "first": {run.name: run.first for run in able},
        "decoded": {run.name: run.decoded for run in able},
        "left_out": {run.name: run.why for run in runs if run.why},
    }


def key(name: str, device: str) -> str:
    return f"gpuzarr {device}" if name == "gpuzarr" else name


def rows_of(folder: Path, sizes: Sizes, who: dict[str, str], options: Any) -> Iterator[dict[str, Any]]:
    """A row for each question and layout."""
    asked = [question for question in questions(sizes) if options.questions in question.name]
    for data in dict.fromkeys(question.data for question in asked):
        values = sampling.values(data, sizes)
        for layout in sampling.kept(data, sizes):
            if options.layouts not in layout.name:
                continue
            path = folder / data / layout.name / "x"
            sampling.write(path, layout, values)
            for question in (question for question in asked if question.data == data):
                job = Job.of(path, values, layout, question, options.device)
                np.save(job.truth, values)
                set_order(job)
                row = {"row": f"{question.name}; {layout.name}", "windowed": question.blocks is not None}
                some = {name: python for name, python in who.items() if job.edge == 0 or name not in OF_ROWS}
                yield row | sampling.as_told(job) | measure(job, some, options.repeats, options.device)


def set_order(job: Job) -> None:
    """Save the order of samples: that of our loader."""
    process = Process.begin(sys.executable, "order")
    why = process.ask(job.as_json())["why"]
    process.end()
    if why:
        raise SystemExit(f"the order of {job.path}: {why}")


def loaders(pythons: Sequence[str], names: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The loaders that run here or by another Python, each with the first one that has it; and what is installed."""
    found: dict[str, str] = {}
    versions: dict[str, Any] = {}
    for python in pythons:
        process = Process.begin(python, "list")
        told = process.ask()
        process.end()
        for name in told["loaders"]:
            if name.startswith(tuple(names.split(","))):
                versions.setdefault(name, told["versions"])
                found.setdefault(name, python)
    return found, versions


def rate(row: dict[str, Any], name: str) -> float:
    """Samples a second."""
    return float(row["samples"] / row["seconds"].get(name, float("nan")))


def told(row: dict[str, Any]) -> str:
    """A line about a row, when it is measured."""
    both = f"{rate(row, OURS):,.0f} / {row['samples'] / best_peer(row):,.0f} samples/s"
    return f"{ratio(row):.2f} times the best peer ({both}): {row['row']}"


def show(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Tables: samples a second, seconds of processors an epoch, milliseconds to the first batch, bytes decoded."""
    heads = [names, names, names, names]
    kinds: list[Any] = [
        lambda row, name: f"{rate(row, name):,.0f}",
        lambda row, name: f"{row['processor'][name]:.2f}",
        lambda row, name: f"{row['first'][name] * 1e3:.0f}",
        lambda row, name: "-" if row["decoded"][name] is None else f"{row['decoded'][name]:.2f}",
    ]
    units = ["samples/s", "processor s an epoch", "ms to the first batch", "bytes decoded for a byte delivered"]
    found = []
    for unit, kind, head in zip(units, kinds, heads, strict=True):
        lines = [
            [row["row"], *(kind(row, name) if name in row["seconds"] else "-" for name in head), f"{ratio(row):.2f}"]
            for row in rows
        ]
        found.append(table([unit, *head, "x best peer"], lines))
    return "\n\n".join(found)


def missed(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    goals = [(row, WINDOWED if row["windowed"] else 1.0) for row in rows]
    return [
        f"{row['row']}: {ratio(row):.2f} times the best peer, not {goal:g}"
        for row, goal in goals
        if not ratio(row) >= goal
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("loader", __doc__)
    parser.add_argument("--device", default="cpu", help="cpu (default), or emulated: slow, to see that it runs")
    parser.add_argument("--questions", default="", help="only those whose name contains this")
    parser.add_argument("--layouts", default="", help="only those whose name contains this")
    parser.add_argument(
        "--also", action="append", default=[], help="another Python, for the peers that it has (again and again)"
    )
    parser.add_argument("--tiny", action="store_true", help="small arrays, to see that all of it runs")
    options = parser.parse_args(arguments)
    who, versions = loaders([sys.executable, *options.also], options.readers)
    del options.also  # places on this machine
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows_of(Path(folder), TINY if options.tiny else Sizes(), who, options):
            rows.append(row)
            print(told(row), flush=True)
    print(show(rows, [key(name, options.device) for name in who]))
    print("\n".join(f"{name}, {row['row']}: {why}" for row in rows for name, why in row["left_out"].items()))
    goals = missed(rows) if options.device == "cpu" else ["not judged: not on the CPU"]
    timing.finish("loader", options, goals, rows=rows, loaders=versions)


if __name__ == "__main__":
    main()
