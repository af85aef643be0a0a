"""Run cases in a process of their own: one for all, and another for the rest after each exception, death or hang.

A probe that uses it has `case(device, name, tiny)`, which returns what JSON can hold.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import gpu
from benchmarks.harness.watch import hung

ROOT = Path(__file__).parents[2]
SECONDS = 60.0  # without a word, and a process counts as hung; CUDA's start is among the first case's


def each(
    module: str, cases: Sequence[str], device: str, tiny: bool, seconds: float = SECONDS, total: float = 300
) -> dict[str, Any]:
    """What each case returned, else {"exception": ...}, {"died": status, "said": ...} or {"hung": seconds}.

    After `total` seconds none goes on: {"not run": why}.
    """
    found: dict[str, Any] = {}
    end = time.monotonic() + total
    while (waiting := [case for case in cases if case not in found]) and time.monotonic() < end:
        found |= _child(module, waiting, device, tiny, seconds, end)
    return {case: {"not run": f"{total:.0f} seconds were over"} for case in cases} | found


def _child(module: str, cases: list[str], device: str, tiny: bool, seconds: float, end: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        told, log = Path(folder, "told"), Path(folder, "log")
        told.touch()
        command = [sys.executable, "-m", "benchmarks.probes.child", module, device, str(int(tiny)), str(told), *cases]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
            is_hung = hung(process, told, seconds, end)
        found = dict(json.loads(line) for line in told.read_text().splitlines())
        ended = len(found) == len(cases) or any("exception" in answer for answer in found.values())
        if ended or time.monotonic() > end:
            return found
        said = log.read_text(errors="replace")[-600:]
        how = {"hung": seconds} if is_hung else {"died": process.returncode}
        return found | {cases[len(found)]: how | {"said": said}}


def main(module: str, name: str, tiny: str, told: str, *cases: str) -> None:
    device, run = gpu.device(name), importlib.import_module(module).case
    for each in cases:
        try:
            with device.on():
                answer = run(device, each, bool(int(tiny)))
        except Exception as error:
            answer = {"exception": f"{type(error).__name__}: {error}"[:600]}
        with open(told, "a") as file:
            file.write(json.dumps([each, answer]) + "\n")
        if "exception" in answer:
            break  # CUDA may be gone for this process


if __name__ == "__main__":
    main(*sys.argv[1:])
