"""A process in which one loader runs epochs when it is told to; the far end of `Process`.

It is of any Python, so that a peer can have the environment that it needs. It answers each line that it reads with one:
of JSON. `list` tells what can run there, `order` saves our order of a job, `run NAME` runs a loader.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.peers import versions
from benchmarks.harness.sampling import Job
from benchmarks.harness.sampling_peers import Loader, Started, loaders, order

ROOT = Path(__file__).parents[2]
EPOCH_SECONDS = 3.0  # after which an epoch is ended, also one that is checked, unless it reads much before it delivers
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # of what is normalised


@dataclass(frozen=True)
class Process:
    """The near end: a child of this Python, or of another one."""

    child: subprocess.Popen[str]

    @classmethod
    def begin(cls, python: str, *command: str) -> Process:
        whole = [python, "-m", "benchmarks.harness.sampling_child", *command]
        pipe = subprocess.PIPE
        return cls(subprocess.Popen(whole, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environment()))

    def ask(self, line: str = "") -> dict[str, Any]:
        """Its answer; what it was killed by, or failed with, as {"why": ...}."""
        assert self.child.stdin is not None and self.child.stdout is not None
        try:
            self.child.stdin.write(f"{line}\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        found: dict[str, Any] = json.loads(answer or '{"why": "it ended"}')
        return found

    def end(self) -> None:
        self.child.communicate()


def environment() -> dict[str, str]:
    """Ours, in which this folder's packages are found first."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
    }


def run(loader: Loader, job: Job) -> Iterator[dict[str, Any]]:
    """Answers: the first is about a checked epoch, those that follow are about timed ones."""
    for name in loader.needs:
        import_module(name)
    before = time.perf_counter()
    started = loader.start(job)
    yield checked(loader, started, job, before)
    for number in range(1, 1 << 30):
        used, before = processor_seconds(), time.perf_counter()
        samples = sum(len(batch) for batch in for_seconds(loader, started.epoch(number)))
        seconds = time.perf_counter() - before
        used = processor_seconds() - used
        yield {"seconds": seconds, "processor": used, "samples": samples, "decoded": started.decoded()}


def checked(loader: Loader, started: Started, job: Job, begun: float) -> dict[str, Any]:
    """Seconds from when it was begun to the first batch; and why the samples are wrong, or "". Nothing goes on then."""
    batches = iter(started.epoch(0))
    first = next(batches)
    seconds = time.perf_counter() - begun
    return {
        "first": seconds,
        "why": why_wrong(loader, job, map(started.host, for_seconds(loader, chain([first], batches)))),
    }


def for_seconds(loader: Loader, batches: Iterator[Any]) -> Iterator[Any]:
    """Those that come in the first seconds."""
    end = time.perf_counter() + (float("inf") if loader.reads_windows else EPOCH_SECONDS)
    for batch in batches:
        yield batch
        if time.perf_counter() > end:
            break


def why_wrong(loader: Loader, job: Job, batches: Iterator[Any]) -> str:
    """ "" where an epoch has the right samples. Those who choose the order must have each row once."""
    if not loader.own_order:
        told = job.batches()
        right = [same(batch, job.truly(origins), job) for batch, origins in zip(batches, told, strict=False)]
        return "" if right and all(right) else "WRONG VALUES"
    seen = []
    for batch in batches:
        seen.append(batch[:, 0].astype("i8"))
        if not same(batch, job.truly(seen[-1][:, None]), job):
            return "WRONG VALUES"
    numbers = np.concatenate(seen)
    return "" if len(np.unique(numbers)) == len(numbers) else "WRONG SAMPLES"


def same(batch: Any, truth: np.ndarray, job: Job) -> bool:
    if batch.dtype != truth.dtype or batch.shape != truth.shape:
        return False
    return np.array_equal(batch, truth) if job.scale is None else np.allclose(batch, truth, **CLOSE)


def processor_seconds() -> float:
    """Seconds that processors have worked for this process and its workers."""
    processes = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    return sum(map(ticks, processes)) / os.sysconf("SC_CLK_TCK")


def ticks(process: int | None) -> int:
    """Of a process and all its threads, in user mode and in the kernel."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def answers(command: list[str], lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """What is answered to each line, the first of which is the job."""
    what, *rest = command
    job = Job.from_json(next(lines)) if what != "list" else None
    if job is None:
        next(lines)
        yield {"loaders": [loader.name for loader in loaders()], "versions": versions()}
    elif what == "order":
        np.save(job.order, order(job))
        yield {"why": ""}
    else:
        [loader] = (loader for loader in loaders() if loader.name == rest[0])
        for answer in run(loader, job):
            yield answer
            if next(lines, None) is None:
                return


def main() -> None:
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print
    try:
        for answer in answers(sys.argv[1:], iter(sys.stdin)):
            print(json.dumps(answer), file=told, flush=True)
    except Exception as error:
        print(json.dumps({"why": f"cannot ({type(error).__name__}: {error})"}), file=told, flush=True)


if __name__ == "__main__":
    main()
