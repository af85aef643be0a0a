"""A whole session on a machine with a GPU, in order, each step with its own time limit: what `make prove-gpu` runs.

The test suite on `cuda`, compute-sanitizer on the tests of kernels, the probes, the cost model's constants, and the GPU
benchmarks with their plots. A step that fails or takes too long does not end the session. Every step leaves its log and
its JSON in `--into`; after each of them all of it is one file there, GPU-DATE.json, which belongs into
benchmarks/results/, and everything together one `--archive`.

`--session 1` to `4` are parts that take less than ten minutes each; the first three fit into half an hour, with the
minutes that a machine takes to start.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import plot
from benchmarks.harness.watch import kill
from benchmarks.sessions.session import Session
from benchmarks.sessions.steps import BENCHMARKS, LEFT, SESSION_SECONDS, Step, chosen_of, measuring, of_session, steps
from benchmarks.sessions.suite import ROOT
from gpuzarr import native
from gpuzarr.devices import cost
from gpuzarr.native.build import build

SECONDS = 1800  # that all steps may take
STOPPED = "ended by SIGTERM"
DAMAGE = {"GPUZARR_DAMAGING_SECONDS": "20", "GPUZARR_DAMAGING_FAILURES": "2"}  # of tests/isolation.py


class Stopped(BaseException):
    """SIGTERM came."""


def run(step: Step, into: Path, limit: float) -> dict[str, Any]:
    """What became of a step: `status` is its exit status, or why there is none."""
    if not step.command or limit < 1:
        return {"step": step.name, "status": step.why or "no time was left", "seconds": 0.0}
    begin = time.monotonic()
    words = [word.replace(LEFT, f"{measuring(limit):.0f}") for word in step.command]
    for word in words:
        if word.endswith((".json", ".jsonl")):
            Path(word).unlink(missing_ok=True)  # what an earlier session left there
    with (into / f"{step.name}.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**DAMAGE, **os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | str = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = f"ended after {limit:.0f} seconds"
        except Stopped:
            status = STOPPED
        finally:
            kill(process)
    return {"step": step.name, "status": status, "seconds": round(time.monotonic() - begin, 1)}


def run_all(chosen: Sequence[Step], session: Session, seconds: float) -> None:
    end = time.monotonic() + seconds
    for i, step in enumerate(chosen):
        found = run(step, session.folder, limit(chosen[i:], end - time.monotonic()))
        if step.name == "calibrate" and found["status"] == 0 and "--output" not in step.command:
            cost.save(cost.calibrated(), session.folder / "costs.json")
        session.add(found)
        print(f"{step.name}: {found['status']}, {found['seconds']} s", flush=True)
        if found["status"] != 0 and (log := session.folder / f"{step.name}.log").exists():
            print(*(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-15:]), sep="\n")
        if found["status"] == STOPPED:
            return


def limit(waiting: Sequence[Step], left: float) -> float:
    """Seconds for the first of these steps; where it stretches, all that the others do not need."""
    first, *others = waiting
    spare = left - sum(step.seconds for step in others) if first.stretches else 0
    return min(max(first.seconds, spare), left)


def plots(into: Path) -> None:
    plot.main([str(into / f"{name}.json") for name in BENCHMARKS if (into / f"{name}.json").exists()])


def _stop(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def arguments_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", choices=tuple(SESSION_SECONDS), help="a part of all, in time for ten minutes")
    parser.add_argument("--steps", default="", help="only those that begin with one of these: suite,probe-smoke,bench")
    parser.add_argument("--seconds", type=float, help="what all may take; later steps are left out then")
    parser.add_argument("--into", type=Path, default=ROOT / "gpu-session", help="folder of logs and JSON")
    parser.add_argument("--archive", type=Path, help="a .tar.gz of that folder")
    parser.add_argument(
        "--kernels", type=Path, help="a folder of compiled kernels, for benchmarks.sessions.build_kernels"
    )
    parser.add_argument("--device", default="cuda", help="of probes and benchmarks (emulated: to see that they run)")
    parser.add_argument("--tiny", action="store_true", help="small enough for the emulated device")
    options = parser.parse_args(arguments)
    if options.seconds is None:
        options.seconds = SESSION_SECONDS.get(options.session, SECONDS)
    return options


def main(arguments: list[str] | None = None) -> None:
    begin, options = time.monotonic(), arguments_of(arguments)
    into = options.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    if native.library() is None:  # a checkout without what is compiled
        build()
    every = steps(into, options.device, options.tiny, options.kernels)
    chosen = chosen_of(of_session(options.session, every) if options.session else every, options.steps)
    paths = ("into", "archive", "kernels")
    settings = {name: str(value) for name, value in vars(options).items() if name not in paths and value}
    session = Session(into, settings, options.archive.resolve() if options.archive else None)
    signal.signal(signal.SIGTERM, _stop)
    try:
        run_all(chosen, session, options.seconds)
        plots(into)
    except Stopped:
        print(STOPPED)
    finally:
        session.finish()
    print(f"{time.monotonic() - begin:.0f} seconds in all; {session.place}")
    if any(each["status"] != 0 for each in session.done) or len(session.done) < len(chosen):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
