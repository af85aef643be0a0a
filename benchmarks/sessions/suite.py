"""The tests on `cuda`, file by file in processes of their own: what ends CUDA in one of them leaves the others alone.

Some files run at once. Each test is written down as it ends (`benchmarks.sessions.tell`): one that takes its process
with it is a failure of that test, and another process goes on with the rest of the file. `--output` gets the numbers of
each file, and the names and words of all failures.
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
from pathlib import Path
from typing import Any

from benchmarks.harness import timing
from benchmarks.harness.watch import hung
from benchmarks.sessions import tell

ROOT = Path(__file__).parents[2]
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
TELLING = "-p", "benchmarks.sessions.tell", "--tell"
PROCESSES = 8  # for one file
ENDED = range(6)  # statuses with which pytest ends by itself


def chosen(which: str, folder: str) -> Counter[str]:
    """How many tests `-k which` chooses by file, most first; a file that does not load counts as one."""
    command = [*PYTEST, "--collect-only", "-k", which, folder]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    words = [line.removeprefix("ERROR ").split()[0] for line in lines if line.startswith("ERROR ") or "::" in line]
    found = Counter(file for word in words if (ROOT / (file := word.partition("::")[0])).is_file())
    return Counter(dict(found.most_common()))


@dataclass(frozen=True)
class Limits:
    """Seconds: for one file, until a test that says nothing counts as hung; and when all must have ended."""

    file: float
    silent: float
    end: float = float("inf")  # by the monotonic clock


def run(file: str, count: int, which: str, into: Path, limits: Limits) -> dict[str, Any]:
    """One file: its status, its numbers, its failures. `count` tests are chosen; of some it may not come to an end."""
    name = file.removesuffix(".py").replace("/", ".")
    told, log, begin = into / f"{name}.jsonl", into / f"{name}.log", time.monotonic()
    told.write_text("")
    end = min(begin + limits.file, limits.end)
    statuses: list[int] = []
    with log.open("wb") as output:
        while time.monotonic() < end and (not statuses or statuses[-1] not in ENDED) and len(statuses) < PROCESSES:
            known = told.stat().st_size
            statuses.append(_process(file, which, told, output, limits.silent, end))
            _blame(told, statuses[-1], log)
            if told.stat().st_size == known:
                break  # it does not come as far as to a test
    found = tell.read(told)[0].values()
    status = next((status for status in statuses if status not in ENDED), statuses[-1] if statuses else None)
    numbers = {"file": file, "status": status, "seconds": round(time.monotonic() - begin, 1), "chosen": count}
    failed = tell.failures(found, 4500)
    if not found:
        failed = [{"test": file, "said": log.read_text(errors="replace")[-4000:] or "no time was left"}]
    return numbers | {"tests": len(found), **tell.counts(found), "processes": len(statuses), "failures": failed}


def _process(file: str, which: str, told: Path, output: Any, silent: float, end: float) -> int:
    """The status of a process that runs what was not told yet."""
    os.utime(told)
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [*PYTEST, *TELLING, str(told), "-k", which, "--durations=5", file]
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
    keys = ("status", "chosen", "tests", "passed", "failed", "skipped", "seconds")
    return timing.table(["file", *keys], [[one["file"], *(str(one.get(key, "-")) for key in keys)] for one in each])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--which", default="cuda", help="pytest's -k (default cuda)")
    parser.add_argument("--tests", default="tests", help="a folder or a file (default tests)")
    parser.add_argument("--jobs", type=int, default=max(1, min(4, (os.cpu_count() or 1) // 2)), help="files at once")
    parser.add_argument("--seconds", type=float, default=3600, help="for all")
    parser.add_argument("--file-seconds", type=float, default=300, help="for one file")
    parser.add_argument("--silent-seconds", type=float, default=120, help="for one test, and to load a file")
    parser.add_argument("--output", type=Path, required=True, help="the JSON; logs go to a folder beside it")
    options = parser.parse_args(arguments)
    limits = Limits(options.file_seconds, options.silent_seconds, time.monotonic() + options.seconds)
    into = options.output.resolve().parent / "suite"
    into.mkdir(parents=True, exist_ok=True)
    waiting, done = chosen(options.which, options.tests), []
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(run, file, count, options.which, into, limits) for file, count in waiting.items()]
        for each in as_completed(runs):
            done.append(each.result())
            timing.record("suite", options.output, settings={"which": options.which}, files=done)
    print(summary(done))
    print(*(f"{failure['test']}\n{failure['said']}\n" for each in done for failure in each["failures"]), sep="\n")
    bad = [each["file"] for each in done if each["status"] or each["tests"] < each["chosen"]]
    ended = sum(each["tests"] for each in done)
    print(f"{ended} of {waiting.total()} tests ended; {len(bad)} of {len(done)} files failed")
    if bad or not done:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
