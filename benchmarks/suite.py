"""The tests on `cuda`, a process for each file: what ends CUDA in one of them leaves the others alone.

Some files run at once. `--output` gets numbers of each file, and the names and words of all failures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks import timing

ROOT = Path(__file__).parents[1]
KINDS = ("failure", "error", "skipped")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def files(which: str, folder: str) -> list[str]:
    """Test files with a test that `-k which` chooses, those with most of them first; and those that do not load."""
    command = [*PYTEST, "--collect-only", "-k", which, folder]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    words = [line.removeprefix("ERROR ").split()[0] for line in lines if line.startswith("ERROR ") or "::" in line]
    found = [file for word in words if (ROOT / (file := word.partition("::")[0])).is_file()]
    return sorted(set(found), key=lambda file: -found.count(file))


def run(file: str, which: str, into: Path, seconds: float) -> dict[str, Any]:
    """One file in a process of its own: its status, its numbers, its failures."""
    name = file.removesuffix(".py").replace("/", ".")
    xml, log, begin = into / f"{name}.xml", into / f"{name}.log", time.monotonic()
    xml.unlink(missing_ok=True)
    command = [*PYTEST, "-k", which, f"--junit-xml={xml}", "--durations=5", file]
    with log.open("wb") as output:
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, timeout=seconds)
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = -9
    found = {"file": file, "status": status, "seconds": round(time.monotonic() - begin, 1)}
    if xml.exists():
        return found | outcomes(xml)
    return found | {"tests": 0, "failed": [{"test": file, "said": log.read_text(errors="replace")[-4000:]}]}


def outcomes(xml: Path) -> dict[str, Any]:
    """What a JUnit file says: numbers, and of each failure its name and words."""
    cases = list(ElementTree.parse(xml).iter("testcase"))
    found: dict[str, Any] = {"tests": len(cases), **dict.fromkeys(KINDS, 0), "failed": []}
    for case in cases:
        for child in case:
            if child.tag in KINDS:
                found[child.tag] += 1
            if child.tag in KINDS[:2]:
                said = f"{child.get('message') or ''}\n{child.text or ''}"
                found["failed"].append({"test": f"{case.get('classname')}::{case.get('name')}", "said": said[-1500:]})
    return found


def summary(each: Sequence[dict[str, Any]]) -> str:
    heads = ["file", "status", "tests", "failures", "errors", "skipped", "seconds"]
    keys = ("status", "tests", *KINDS, "seconds")
    return timing.table(heads, [[one["file"], *(str(one.get(key, "-")) for key in keys)] for one in each])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--which", default="cuda", help="pytest's -k (default cuda)")
    parser.add_argument("--tests", default="tests", help="a folder or a file (default tests)")
    parser.add_argument("--jobs", type=int, default=max(1, min(4, (os.cpu_count() or 1) // 2)), help="files at once")
    parser.add_argument("--seconds", type=float, default=300, help="for one file")
    parser.add_argument("--output", type=Path, required=True, help="the JSON; logs go to a folder beside it")
    options = parser.parse_args(arguments)
    into = options.output.resolve().parent / "suite"
    into.mkdir(parents=True, exist_ok=True)
    one = partial(run, which=options.which, into=into, seconds=options.seconds)
    with ThreadPoolExecutor(options.jobs) as pool:
        done = []
        for each in as_completed([pool.submit(one, file) for file in files(options.which, options.tests)]):
            done.append(each.result())
            timing.trace("suite", options.output, settings={"which": options.which}, files=done)
    print(summary(done))
    print(*(f"{failure['test']}\n{failure['said']}\n" for each in done for failure in each["failed"]), sep="\n")
    bad = [each["file"] for each in done if each["status"]]
    print(f"{sum(each['tests'] for each in done)} tests; {len(bad)} of {len(done)} files failed")
    if bad or not done:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
