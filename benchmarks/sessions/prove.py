"""A whole session on a machine with a GPU, in order, each step with its own time limit: what `make prove-gpu` runs.

The test suite on `cuda`, compute-sanitizer on the tests of kernels, the probes, the cost model's constants, and the GPU
benchmarks with their plots. A step that fails or takes too long does not end the session. Every step leaves its log and
its JSON in `--into`; after each of them, and now and then within one, all of it is one file there, GPU-DATE.json, which
belongs into benchmarks/results/, and everything together one `--archive`. Printed are the ends of the logs, and what
became of each step.

`--session 1` to `4` are parts that take less than ten minutes each; the first three fit into half an hour, with the
minutes that a machine takes to start.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import plot
from benchmarks.harness.watch import kill
from benchmarks.sessions import entry_points
from benchmarks.sessions.session import Session
from benchmarks.sessions.steps import BENCHMARKS, LEFT, SESSION_SECONDS, Step, chosen_of, measuring, of_session, steps
from benchmarks.sessions.suite import ROOT
from gpuzarr import native
from gpuzarr.devices import cost
from gpuzarr.native.build import build

SECONDS = 1800  # that all steps may take
KEEPING = 30.0  # seconds of a step after which what it has found so far is kept
TOLD = 9000  # characters of logs that are printed
STOPPED = "ended by SIGTERM"
DAMAGE = {"GPUZARR_DAMAGING_SECONDS": "30", "GPUZARR_DAMAGING_FAILURES": "6"}  # of tests/isolation.py


class Stopped(BaseException):
    """SIGTERM came."""


def run(step: Step, into: Path, limit: float, keep: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """What became of a step: `status` is its exit status, or why there is none. `keep` is called while it runs."""
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
        status: int | str
        try:
            found = _wait(process, begin + limit, keep)
            status = f"ended after {limit:.0f} seconds" if found is None else found
        except Stopped:
            status = STOPPED
        finally:
            kill(process)
    return {"step": step.name, "status": status, "seconds": round(time.monotonic() - begin, 1)}


def _wait(process: subprocess.Popen[bytes], end: float, keep: Callable[[], None]) -> int | None:
    """Its exit status; None where it has none at `end`, by the monotonic clock."""
    while (left := end - time.monotonic()) > 0:
        try:
            return process.wait(min(left, KEEPING))
        except subprocess.TimeoutExpired:
            keep()
    return process.poll()


def run_all(chosen: Sequence[Step], session: Session, seconds: float) -> None:
    end, printed = time.monotonic() + seconds, 0
    for i, step in enumerate(chosen):
        found = run(step, session.folder, limit(chosen[i:], end - time.monotonic()), session.write)
        if step.name == "calibrate" and found["status"] == 0 and "--output" not in step.command:
            cost.save(cost.calibrated(), session.folder / "costs.json")
        session.add(found)
        log = session.folder / f"{step.name}.log"
        words = log.read_text(errors="replace") if step.command and log.exists() else ""
        shown = _end(words.strip(), (TOLD - printed) // (len(chosen) - i))
        printed += len(shown)
        print(f"== {told(found)}\n{shown}", flush=True)
        if found["status"] == STOPPED:
            return


def limit(waiting: Sequence[Step], left: float) -> float:
    """Seconds for the first of these steps; where it stretches, all that the others do not need."""
    first, *others = waiting
    spare = left - sum(step.seconds for step in others) if first.stretches else 0
    return min(max(first.seconds, spare), left)


def told(found: dict[str, Any]) -> str:
    return f"{found['step']}: {found['status']}, {found['seconds']} s"


def _end(text: str, most: int) -> str:
    """Its last lines, of so many characters together."""
    if len(text) <= most:
        return text
    cut = text[len(text) - most :]
    return f"...\n{cut.partition(chr(10))[2] or cut}"


def plots(into: Path) -> None:
    plot.main([str(into / f"{name}.json") for name in BENCHMARKS if (into / f"{name}.json").exists()])


def unpacked(archive: Path, folder: Path) -> Path:
    """The folder, with what is in the archive; as it was where there is none, which is said."""
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        print(f"tests go without the corpus: {error}")
    return folder


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
    parser.add_argument("--corpus", type=Path, help="the packed corpus of real stores, which tests read")
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
        print(f"the C library was {'' if build() else 'not '}compiled, after {time.monotonic() - begin:.0f} seconds")
    if options.corpus:
        os.environ["GPUZARR_CORPUS"] = str(unpacked(options.corpus, into.with_name(f"{into.name}-corpus")))
    if entry_points.missing():
        there = entry_points.write(into.with_name(f"{into.name}-entry-points"))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(there), os.environ.get("PYTHONPATH")]))
    every = steps(into, options.device, options.tiny, options.kernels)
    chosen = chosen_of(of_session(options.session, every) if options.session else every, options.steps)
    paths = ("into", "archive", "kernels", "corpus")
    settings = {name: str(value) for name, value in vars(options).items() if name not in paths and value}
    session = Session(into, settings, options.archive.resolve() if options.archive else None)
    signal.signal(signal.SIGTERM, _stop)
    try:
        run_all(chosen, session, options.seconds - (time.monotonic() - begin))
        plots(into)
    except Stopped:
        print(STOPPED)
    finally:
        session.finish()
    print("", *map(told, session.done), sep="\n")
    print(f"{time.monotonic() - begin:.0f} seconds in all; {session.place}")
    if any(each["status"] != 0 for each in session.done) or len(session.done) < len(chosen):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
