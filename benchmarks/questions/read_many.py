"""How fast are thousands of small regions, beside every peer at its best?

Patches and index lists of a cube of u2 (512 cubed), rows of a table of f4 (262,144 x 256), windows of a field in time,
one step of 60 variables; each stored as zstd shards of Zarr v3, as blosc-lz4 of v2, and as shards of small chunks
(16 to 32 KiB); files in the page cache. Peers may read index lists as such, or by slices that they join. They are
tensorstore (all reads begun, then awaited; as a batch; with a cache pool that is empty when a round begins), zarrs and
the best pipeline of zarr-python (a loop, and four threads). Rows that end in "cached" have all in the cache before.

Goals on the CPU: no row below the best peer, 1.5 times the best peer in the geometric mean, and nowhere slower than
one's own loop of slices. `--check` fails where missed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import timing
from benchmarks.harness.layouts import write
from benchmarks.harness.region_readers import RegionReader, region_readers
from benchmarks.harness.regions import TINY, Question, Sizes, Slices, data, questions
from benchmarks.harness.timing import Took, best_peer, geometric_mean, ratio, table

SLOW = 4.0  # times the first run of the fastest peer: one that takes longer is not run again, and that run counts
QUICK = 0.1  # seconds of a first run, after which every peer is run again
ENOUGH = 4.0  # seconds of all runs of a reader
NOISE = 1.1  # times one's own loop of slices that is no miss
LOOP = "gpuzarr loop"


@dataclass
class Run:
    """A reader that answers a question in one form, and what that took, each time."""

    reader: RegionReader
    question: Question
    by_slices: bool
    paths: Sequence[Path]
    arrays: Sequence[Any] = ()
    first: Took = field(default_factory=lambda: Took(0.0, 0.0))
    took: list[Took] = field(default_factory=list)

    @property
    def is_ours(self) -> bool:
        return self.reader.name.startswith("gpuzarr")

    @property
    def name(self) -> str:
        told = self.by_slices and "lists" in self.reader.forms
        return f"{self.reader.name}, slices" if told else self.reader.name

    def open(self) -> None:
        with self.reader.around():
            self.arrays = [self.reader.open(path) for path in self.paths]

    def answer(self) -> Sequence[Any]:
        question = self.question
        form = question.slices if self.by_slices and question.slices else Slices(question.requests, list)
        return form.join(self.reader.read(self.arrays, form.requests))

    def time(self) -> None:
        if self.reader.cold:
            self.open()
        with self.reader.around():
            self.took.append(timing.took(lambda: [self.answer() for _ in range(self.question.times)][-1]))

    def median(self) -> Took:
        """Of one answer."""
        return Took(*(seconds / self.question.times for seconds in Took.median(self.took)))

    def why_wrong(self, values: Sequence[np.ndarray]) -> str:
        """Open and read, for the first time; "" where the values are right."""
        try:
            self.open()
            with self.reader.around():
                answer: list[Any] = []
                self.first = timing.took(lambda: answer.extend(self.answer()))
            pairs = zip(self.question.requests, answer, strict=True)
            right = all(timing.same(self.reader.host(found), values[number][key]) for (number, key), found in pairs)
        except Exception as error:
            if self.is_ours:
                raise
            return f"cannot ({type(error).__name__})"
        return "" if right else "WRONG VALUES"


def runs(question: Question, paths: Sequence[Path], choice: Sequence[RegionReader], cached: bool) -> Iterator[Run]:
    """All readers that can do something for the question, in all forms that differ."""
    for reader in choice:
        is_no_use = reader.of_one_array and (len(paths) > 1 or len(question.requests) == 1)
        if reader.caches != cached or is_no_use or (reader.cold and question.times > 1):
            continue
        for form in reader.forms:
            if form == reader.forms[0] or question.slices:
                yield Run(reader, question, form == "slices", paths)


def measure(found: Sequence[Run], values: Sequence[np.ndarray], repeats: int) -> dict[str, Any]:
    """One row: seconds of each reader by the clock and of processors, or why there are none."""
    left_out = {run.name: why for run in found if (why := run.why_wrong(values))}
    if wrong := [name for name in left_out if name.startswith("gpuzarr")]:
        raise SystemExit(f"{wrong[0]} reads wrong values: {found[0].question.name}")
    able = [run for run in found if run.name not in left_out]
    slow = max(QUICK, SLOW * min((run.first.seconds for run in able if not run.is_ours), default=0.0))
    for run in (fast := [run for run in able if run.is_ours or run.first.seconds <= slow]) * repeats:
        if len(run.took) < 2 or sum(took.seconds for took in run.took) < ENOUGH:
            run.time()
    took = {run.name: run.median() if run in fast else run.first for run in able}
    return {
        "seconds": timing.seconds(took),
        "processor": {name: each.processor for name, each in took.items()},
        "left_out": left_out,
    }


def name_of(row: dict[str, Any]) -> str:
    return f"{row['question']}; {row['layout']}{', cached' if row['cached'] else ''}"


def best_name(row: dict[str, Any]) -> str:
    """Of the fastest peer; "-" where none was measured."""
    peers = {name: seconds for name, seconds in row["seconds"].items() if not name.startswith("gpuzarr")}
    return min(peers, key=lambda name: peers[name], default="-")


def show(rows: Sequence[dict[str, Any]], ours: str) -> str:
    """The rows, with milliseconds by the clock and, after a slash, of processors."""
    nothing, lines = float("nan"), []
    for row in rows:
        cells = []
        for name in (ours, LOOP, "gpuzarr reader", best_name(row)):
            wall, processor = (row[key].get(name, nothing) * 1e3 for key in ("seconds", "processor"))
            cells.append(f"{wall:.2f} / {processor:.2f}" if wall == wall else "-")
        quotient = best_peer(row) / row["seconds"].get(ours, nothing)
        lines.append([name_of(row), *cells, best_name(row), f"{quotient:.2f}"])
    return table(["ms", ours, "loop", "reader", "best peer", "which", "ratio"], lines)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    found = []
    for row in rows:
        name, own = name_of(row), row["seconds"]
        if not ratio(row) >= 1:
            found.append(f"{name}: {ratio(row):.2f} times the best peer")
        if not own.get(timing.OURS, 0) <= NOISE * own.get(LOOP, float("inf")):
            found.append(f"{name}: {own[timing.OURS] / own[LOOP]:.2f} times the seconds of one's own loop")
    return found if geometric_mean(rows) >= 1.5 else [*found, f"geometric mean: {geometric_mean(rows):.2f}"]


def measured_rows(folder: Path, options: Any, sizes: Sizes, choice: Sequence[RegionReader]) -> Iterator[dict[str, Any]]:
    """Each question of each layout, without a cache and, of some, with one."""
    asked = [question for question in questions(sizes) if options.questions in question.name]
    for kind, stored in data(sizes).items():
        if not (of_kind := [question for question in asked if question.data == kind]):
            continue
        values = stored.values()
        for layout in (layout for layout in stored.layouts if options.layouts in layout.name):
            paths = [folder / kind / layout.name / str(number) for number in range(len(values))]
            for path, array in zip(paths, values, strict=True):
                write(path, layout, array)
            for question in of_kind:
                for cached in (False, True) if question.is_repeated else (False,):
                    found = list(runs(question, paths, choice, cached))
                    row = {"question": question.name, "layout": layout.name, "cached": cached}
                    yield row | measure(found, values, options.repeats)


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("read_many", __doc__)
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, or emulated: slow, to see that it runs")
    parser.add_argument("--questions", default="", help="only those whose name contains this")
    parser.add_argument("--layouts", default="", help="only those whose name contains this")
    parser.add_argument("--load", type=int, default=0, help="so many busy processes beside (default 0)")
    parser.add_argument("--tiny", action="store_true", help="small arrays, to see that all of it runs")
    options = parser.parse_args(arguments)
    names = tuple(options.readers.split(","))
    choice = [reader for reader in region_readers(options.device) if reader.name.startswith(names)]
    rows = []
    with tempfile.TemporaryDirectory() as folder, timing.load(options.load):
        for row in measured_rows(Path(folder), options, TINY if options.tiny else Sizes(), choice):
            rows.append(row)
            print(show([row], f"gpuzarr {options.device}"), flush=True)
    print(show(rows, f"gpuzarr {options.device}"))
    print("\n".join(f"{name}, {name_of(row)}: {why}" for row in rows for name, why in row["left_out"].items()))
    if options.device != "cpu":
        return timing.finish("read_many", options, ["not judged: not on the CPU"], rows=rows)
    print(f"geometric mean: {geometric_mean(rows):.2f} times the best peer")
    return timing.finish("read_many", options, missed(rows), rows=rows)


if __name__ == "__main__":
    main()
