"""A whole session on a machine with a GPU, in order, each step with its own time limit: what `make prove-gpu` runs.

The test suite on `cuda`, compute-sanitizer on the tests of kernels, the probes, the cost model's constants, and the GPU
benchmarks with their plots. A step that fails or takes too long does not end the session. Every step leaves its log and
its JSON in `--into`; in the end all of it is one file there, GPU-DATE.json: what belongs into benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import plot, timing
from benchmarks.suite import PYTEST, ROOT
from gpuzarr.devices import cost

KERNEL_TESTS = (  # those that are there
    "test_kernels.py",
    "test_kernels_encode.py",
    "test_place.py",
    "test_planes.py",
    "test_bit_planes.py",
)
PROBES = {  # seconds that each may take
    "smoke": 120,
    "copies": 60,
    "corrupt": 260,
    "zstd_features": 120,
    "rates": 200,
    "gzip_modes": 90,
    "crc32c": 60,
    "graph": 60,
    "first_use": 150,
    "two_streams": 200,
}
TELLING = 20  # of these, to begin and to write down what was found
BENCHMARKS = {"gpu_decode": 160, "gpu_kernels": 90, "gpu_read": 260, "gpu_write": 150}
TINY = {"gpu_decode": ["--kib", "64"], "gpu_read": ["--rows", "zstd, 256"]}


@dataclass(frozen=True)
class Step:
    """`command` is empty where something is missing, which `why` names."""

    name: str
    command: Sequence[str]
    seconds: float
    why: str = ""


def steps(into: Path, device: str = "cuda", tiny: bool = False) -> list[Step]:
    python, how = (sys.executable, "-m"), ("--device", device)
    made = [Step("suite", (*python, "benchmarks.suite", "--output", f"{into}/suite.json"), 540)]
    made += [sanitizer(tool) for tool in ("memcheck", "racecheck")]
    for name, seconds in PROBES.items():
        how_long = "--seconds", str(seconds - TELLING)
        command = *python, f"benchmarks.probes.{name}", *how, *how_long, "--output", f"{into}/probe_{name}.json"
        made.append(Step(f"probe-{name}", (*command, *(["--tiny"] if tiny else [])), seconds))
    made.append(Step("calibrate", (*python, "benchmarks.calibrate", *how), 120))
    small = ["--mib", "0.125", "--repeats", "1"]
    for name, seconds in BENCHMARKS.items():
        if (ROOT / f"benchmarks/{name}.py").exists():
            command = *python, f"benchmarks.{name}", *how, "--output", f"{into}/{name}.json"
            size = small + TINY.get(name, []) if tiny else []
            made.append(Step(f"bench-{name}", (*command, *size), seconds))
    return made


def sanitizer(tool: str) -> Step:
    """A step with one tool of compute-sanitizer, wherever that is."""
    spec = find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    packaged = [str(path) for folder in folders for path in folder.glob("**/compute-sanitizer") if path.is_file()]
    places = [shutil.which("compute-sanitizer"), shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")]
    found = next((place for place in [*places, *packaged] if place), None)
    if found is None:
        return Step(f"sanitizer-{tool}", (), 0, "compute-sanitizer was not found: it comes with the CUDA toolkit")
    bounds = "env", "GPUZARR_NO_POOL=1"  # every array is an allocation, whose bounds the tool knows
    options = "--tool", tool, "--error-exitcode", "9", "--print-limit", "20"
    tests = [f"tests/{name}" for name in KERNEL_TESTS if (ROOT / "tests" / name).exists()]
    return Step(f"sanitizer-{tool}", (*bounds, found, *options, *PYTEST, "-x", "-k", "cuda", *tests), 280)


def run(step: Step, into: Path, seconds: float) -> dict[str, Any]:
    """What became of a step: `status` is its exit status, or why there is none."""
    limit = min(step.seconds, seconds)
    if not step.command or limit < 1:
        return {"step": step.name, "status": step.why or "no time was left", "seconds": 0.0}
    begin = time.monotonic()
    for word in step.command:
        if word.endswith(".json"):
            Path(word).unlink(missing_ok=True)  # what an earlier session left there
    with (into / f"{step.name}.log").open("wb") as log:
        process = subprocess.Popen(
            step.command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | str = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = f"ended after {limit:.0f} seconds"
        finally:
            _end(process)
    return {"step": step.name, "status": status, "seconds": round(time.monotonic() - begin, 1)}


def _end(process: subprocess.Popen[bytes]) -> None:
    """The step, and whatever it began."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def run_all(chosen: Sequence[Step], into: Path, seconds: float) -> list[dict[str, Any]]:
    done, budget = [], timing.Budget.of(seconds)
    for step in chosen:
        done.append(run(step, into, budget.share(1)))
        print(f"{step.name}: {done[-1]['status']}, {done[-1]['seconds']} s", flush=True)
        if done[-1]["status"] != 0 and (log := into / f"{step.name}.log").exists():
            print(*(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-15:]), sep="\n")
    return done


def gathered(into: Path, done: list[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    """The session as one document: the machine, the steps, and every JSON that they left."""
    parts = {path.stem: path for path in sorted(into.glob("*.json")) if path.stem in parts_of_a_session()}
    results = {name: json.loads(path.read_text()) for name, path in parts.items()}
    document = {"benchmark": "session", **timing.machine(), "settings": settings, "steps": done}
    return document | {"results": results}


def parts_of_a_session() -> set[str]:
    return {f"probe_{name}" for name in PROBES} | set(BENCHMARKS) | {"costs", "suite"}


def name_of(document: dict[str, Any]) -> str:
    """GPU and time, as a file is named."""
    gpu = re.sub(r"[^a-z0-9]+", "-", (document["gpu"] or "no-gpu").lower()).strip("-")
    return f"{gpu}-{datetime.now(UTC):%Y%m%d-%H%M}"


def chosen_of(every: Sequence[Step], names: str) -> list[Step]:
    prefixes = tuple(filter(None, names.split(",")))
    found = [step for step in every if step.name.startswith(prefixes or "")]
    if unknown := [name for name in prefixes if not any(step.name.startswith(name) for step in every)]:
        raise SystemExit(f"no step begins with {unknown}; there are: {', '.join(step.name for step in every)}")
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="", help="only those that begin with one of these: suite,probe-smoke,bench")
    parser.add_argument("--seconds", type=float, default=3600, help="what all may take; later steps are left out then")
    parser.add_argument("--into", type=Path, default=ROOT / "gpu-session", help="folder of logs and JSON")
    parser.add_argument("--device", default="cuda", help="of probes and benchmarks (emulated: to see that they run)")
    parser.add_argument("--tiny", action="store_true", help="small enough for the emulated device")
    options = parser.parse_args(arguments)
    into = options.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    done = run_all(chosen_of(steps(into, options.device, options.tiny), options.steps), into, options.seconds)
    if any(each["step"] == "calibrate" and each["status"] == 0 for each in done):
        cost.save(cost.calibrated(), into / "costs.json")
    settings = {name: str(value) for name, value in vars(options).items() if name != "into"}
    document = gathered(into, done, settings)
    place = into / f"{name_of(document)}.json"
    place.write_text(json.dumps(document, indent=1) + "\n")
    plot.main([str(into / f"{name}.json") for name in BENCHMARKS if (into / f"{name}.json").exists()])
    print(f"{time.monotonic() - begin:.0f} seconds in all; {place}")
    if any(each["status"] != 0 for each in done):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
