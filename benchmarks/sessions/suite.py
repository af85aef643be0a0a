"""The tests on `cuda`, file by file in processes of their own: what ends CUDA in one of them leaves the others alone.

Some files run at once, those of `FIRST` before all others, long ones in parts. Each test is written down as it ends
(`benchmarks.sessions.tell`): one that takes its process with it is a failure of that test, and another process goes on
with the rest of the part. `--output` gets the numbers of each part, and the names and words of all failures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import timing
from benchmarks.harness.watch import hung
from benchmarks.sessions import tell

ROOT = Path(__file__).parents[2]
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
TELLING = "-p", "benchmarks.sessions.tell", "--tell"
PROCESSES = 8  # for one part
PART = 120  # tests, at most, of one
_FOLDERS = "gpu/", "devices/test_cuda", "devices/", "codecs/test_laws", "read/", "write/", "codecs/"
_OTHERS = "loader/", "pyramids/", "integrations/zarr", "integrations/", "nodes/"
FIRST = [f"tests/{name}" for name in (*_FOLDERS, *_OTHERS)]  # by worth, where the time may end
LATE = "no time was left"
TOLD = 90_000  # characters about all failures of a part
SHARING = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # else JAX takes three quarters of a GPU from all other processes
SHOWN = 30  # names of tests and of files at the end
ENDED = range(6)  # statuses with which pytest ends by itself


def chosen(which: str, folder: str, jobs: int = 1) -> Counter[str]:
    """How many tests `-k which` chooses by file, most wanted first, then most tests; a file that does not load counts
    as one. `jobs`: processes that look for them."""
    with ThreadPoolExecutor(jobs) as pool:
        lines = [line for found in pool.map(partial(_collected, which), _shares(folder, jobs)) for line in found]
    words = [line.removeprefix("ERROR ").split()[0] for line in lines if line.startswith("ERROR ") or "::" in line]
    found = Counter(file for word in words if (ROOT / (file := word.partition("::")[0])).is_file())
    return Counter({file: found[file] for file in sorted(found, key=lambda file: (rank(file), -found[file], file))})


def _shares(folder: str, most: int) -> list[list[str]]:
    """The folders and files of tests right below it in so many shares, about as large; itself, if it is a file."""
    tests = {
        place: [file for file in (place, *place.rglob("*")) if file.match("test_*.py")]
        for place in (ROOT / folder).glob("*")
    }
    sizes = {place: sum(file.stat().st_size for file in files) for place, files in tests.items() if files}
    found = [str(place.relative_to(ROOT)) for place in sorted(sizes, key=lambda place: (-sizes[place], place))]
    return [share for i in range(most) if (share := found[i::most])] or [[folder]]


def _collected(which: str, places: Sequence[str]) -> list[str]:
    """What pytest prints of them; of files that do not load it goes on to tell, and of any other failure nothing."""
    command = [*PYTEST, "--collect-only", "-k", which, *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in (0, 2, 5):
        said = (done.stdout + done.stderr)[-2000:]
        print(f"no tests were found in {', '.join(places)}: status {done.returncode}\n{said}", flush=True)
    return done.stdout.splitlines()


def rank(file: str) -> int:
    """How many come before it: the position in `FIRST` of the first that it begins with."""
    return next((i for i, begin in enumerate(FIRST) if file.startswith(begin)), len(FIRST))


@dataclass(frozen=True)
class Limits:
    """Seconds: for one part, until a test that says nothing counts as hung; and when all must have ended."""

    part: float
    silent: float
    end: float = float("inf")  # by the monotonic clock


@dataclass(frozen=True)
class Part:
    """`count` of the chosen tests of some files, from the one after `skipped` others on."""

    files: tuple[str, ...]
    skipped: int
    count: int

    @property
    def name(self) -> str:
        name = self.files[0].removesuffix(".py").replace("/", ".")
        return f"{name}.{self.skipped}" if self.skipped else name

    def __str__(self) -> str:
        first, *others = self.files
        behind = f" from {self.skipped} on" if self.skipped else f" and {len(others)} more" if others else ""
        return first + behind


def parts(waiting: Counter[str], most: int) -> list[Part]:
    """The files in their order: those of many tests in parts, those of few together, as each process takes seconds to
    begin."""
    made: list[Part] = []
    for file, count in waiting.items():
        last = made[-1] if made else None
        if last and not last.skipped and last.count + count <= most and rank(last.files[0]) == rank(file):
            made[-1] = Part((*last.files, file), 0, last.count + count)
        else:
            made += [Part((file,), begin, min(most, count - begin)) for begin in range(0, count, most)]
    return made


def run(part: Part, which: str, into: Path, limits: Limits) -> dict[str, Any]:
    """One part: its status, its numbers, its failures. Of some tests it may not come to an end."""
    name = part.name
    told, log, begin = into / f"{name}.jsonl", into / f"{name}.log", time.monotonic()
    told.write_text("")
    end = min(begin + limits.part, limits.end)
    statuses: list[int] = []
    with log.open("wb") as output:
        while time.monotonic() < end and (not statuses or statuses[-1] not in ENDED) and len(statuses) < PROCESSES:
            known = told.stat().st_size
            statuses.append(_process(part, which, told, output, limits.silent, end))
            if time.monotonic() < limits.end:  # else it is not the test's fault
                _blame(told, statuses[-1], log)
            if told.stat().st_size == known:
                break  # it does not come as far as to a test
    found = tell.read(told)[0].values()
    status = next((status for status in statuses if status not in ENDED), statuses[-1] if statuses else None)
    numbers = {"part": str(part), "files": part.files, "status": status, "seconds": round(time.monotonic() - begin, 1)}
    number = tell.counts(found)["failed"]
    failed = tell.failures(found, min(4500, max(200, TOLD // max(1, number))))
    if not found:
        failed = [{"test": str(part), "said": log.read_text(errors="replace")[-4000:] or LATE}]
    return numbers | {
        "chosen": part.count,
        "tests": len(found),
        **tell.counts(found),
        "processes": len(statuses),
        "failures": failed,
    }


def _process(part: Part, which: str, told: Path, output: Any, silent: float, end: float) -> int:
    """The status of a process that runs what was not told yet."""
    os.utime(told)
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**SHARING, **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    slice_of = "--continue-on-collection-errors", "--skip-first", str(part.skipped), "--at-most", str(part.count)
    command = [*PYTEST, *TELLING, str(told), *slice_of, "-k", which, "--durations=5", *part.files]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, process_group=0
    )
    hung(process, told, silent, end)
    return -9 if process.returncode is None else process.returncode


def _blame(told: Path, status: int, log: Path) -> None:
    """Tell of the test in which a process ended."""
    if (begun := tell.read(told)[1]) is not None:
        tail = log.read_text(errors="replace")[-4000:]
        tell.tell(told, begun, "failed", f"its process ended with status {status} (-9: it was ended)\n{tail}")


def summary(each: Sequence[dict[str, Any]]) -> str:
    keys = ("status", "chosen", "tests", "passed", "failed", "skipped", "processes", "seconds")
    return timing.table(["part", *keys], [[one["part"], *(str(one.get(key, "-")) for key in keys)] for one in each])


def ending(each: Sequence[dict[str, Any]], total: int) -> str:
    """What is to be read where nothing else is: which tests failed, which did not end, and how many there are."""
    failed = [failure["test"] for one in each for failure in one["failures"] if one["tests"]]
    missing = [f"{one['part']}: {one['chosen'] - one['tests']}" for one in each if one["tests"] < one["chosen"]]
    lines = [f"failed: {test}" for test in failed[:SHOWN]] + [f"not ended: {text}" for text in missing[:SHOWN]]
    left_out = max(0, len(failed) - SHOWN), max(0, len(missing) - SHOWN)
    lines += [f"and {left_out[0]} that failed, {left_out[1]} parts that did not end"] if any(left_out) else []
    counts = {key: sum(one[key] for one in each) for key in ("tests", "passed", "failed", "skipped")}
    ended = counts.pop("tests")
    told = ", ".join(f"{number} {key}" for key, number in counts.items())
    return "\n".join([*lines, f"{ended} of {total} tests ended: {told}"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--which", default="cuda", help="pytest's -k (default cuda)")
    parser.add_argument("--tests", default="tests", help="a folder or a file (default tests)")
    parser.add_argument("--jobs", type=int, default=max(1, min(10, (os.cpu_count() or 1) * 5 // 8)), help="at once")
    parser.add_argument("--seconds", type=float, default=3600, help="for all")
    parser.add_argument("--part-seconds", type=float, default=300, help="for one part")
    parser.add_argument("--silent-seconds", type=float, default=60, help="for one test, and to load a file")
    parser.add_argument("--output", type=Path, required=True, help="the JSON; logs go to a folder beside it")
    options = parser.parse_args(arguments)
    limits = Limits(options.part_seconds, options.silent_seconds, time.monotonic() + options.seconds)
    into = options.output.resolve().parent / "suite"
    into.mkdir(parents=True, exist_ok=True)
    waiting, done = chosen(options.which, options.tests, options.jobs), []
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(run, part, options.which, into, limits) for part in parts(waiting, PART)]
        for each in as_completed(runs):
            done.append(each.result())
            timing.record("suite", options.output, settings={"which": options.which}, parts=done)
    done.sort(key=lambda each: (rank(each["files"][0]), each["part"]))
    print(summary(done))
    failures = [failure for each in done for failure in each["failures"] if failure["said"] != LATE]
    print(*(f"{failure['test']}\n{failure['said']}\n" for failure in failures), sep="\n")
    print(ending(done, waiting.total()) if done else "no test was chosen")
    if not done or any(each["status"] or each["tests"] < each["chosen"] for each in done):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
