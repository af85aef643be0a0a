"""Tests that feed damage to a GPU run in processes of their own: an illegal access ends CUDA for a whole process.

A test that is marked `damaging` is run on `cuda` by a child: one process for all cases of a test function, and another
one for the rest after each failure, death or hang. The parent sets its fixtures up, and tells what the child found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.watch import hung

VARIABLE = "GPUZARR_DAMAGING"  # in the child: the file that it tells to
SECONDS = float(os.environ.get("GPUZARR_DAMAGING_SECONDS", 90))  # for one test; CUDA's start is among the first one's
FAILURES = 8  # of the cases of one function; the others are not tried after so many

Found = tuple[str, str]  # "passed", "skipped" or "failed", and why
_found = pytest.StashKey[dict[str, Found]]()
_told = pytest.StashKey[list[Any]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "damaging: feeds damaged bytes to the device; on cuda in a process of its own")
    config.stash[_found] = {}


def isolated(item: pytest.Item) -> bool:
    """Whether the parent lets a child run this test."""
    case = getattr(item, "callspec", None)
    return bool(
        VARIABLE not in os.environ
        and item.get_closest_marker("damaging")
        and case is not None
        and "cuda" in case.params.values()
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not isolated(pyfuncitem):
        return None
    found = pyfuncitem.config.stash[_found]
    if pyfuncitem.nodeid not in found:
        found.update(run(pyfuncitem.config.rootpath, together(pyfuncitem)))
    outcome, why = found[pyfuncitem.nodeid]
    if outcome == "skipped":
        pytest.skip(why)
    if outcome == "failed":
        pytest.fail(why, pytrace=False)
    return True


def together(item: pytest.Function) -> list[str]:
    """The cases of the same function on `cuda` that this session runs, this one first."""
    if hasattr(item.config, "workerinput"):  # of pytest-xdist: the others may be another worker's
        return [item.nodeid]
    function = item.nodeid.partition("[")[0]
    others = [each for each in item.session.items if isolated(each) and each.nodeid.partition("[")[0] == function]
    return [item.nodeid, *(each.nodeid for each in others if each is not item)]


def run(root: Path, nodes: list[str]) -> dict[str, Found]:
    """What children found, node by node."""
    found: dict[str, Found] = {}
    for _ in range(FAILURES):
        waiting = [node for node in nodes if node not in found]
        if not waiting:
            break
        found.update(child(root, waiting))
    return dict.fromkeys(nodes, ("failed", f"not run: {FAILURES} other cases failed")) | found


def child(root: Path, nodes: list[str]) -> dict[str, Found]:
    """What one process found, until its end or its first failure: at least of the first node."""
    with tempfile.TemporaryDirectory() as folder:
        told, log = Path(folder, "told"), Path(folder, "log")
        told.touch()
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *nodes]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=root, env={**os.environ, VARIABLE: str(told)}, stdout=output, stderr=subprocess.STDOUT
            )
            is_hung = hung(process, told, SECONDS)
        tail = log.read_text(errors="replace")[-3000:]
        found, begun = _read(told)
    if begun is None and not found:
        begun = nodes[0]
    if begun is not None:
        how = f"did nothing for {SECONDS:.0f} seconds" if is_hung else f"ended with status {process.returncode}"
        found[begun] = ("failed", f"the process of this test {how}; cases before it there: {len(found)}\n{tail}")
    return found


def _read(told: Path) -> tuple[dict[str, Found], str | None]:
    """What was found, and the node that was begun and not ended."""
    found: dict[str, Found] = {}
    begun = None
    for line in told.read_text().splitlines():
        node, outcome, why = json.loads(line)
        if outcome == "begun":
            begun = node
        else:
            found[node], begun = (outcome, why), None
    return found, begun


def _tell(node: str, outcome: str, why: str = "") -> None:
    with open(os.environ[VARIABLE], "a") as file:
        file.write(json.dumps([node, outcome, why]) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """In the child: tell when a test begins, and how it ended."""
    if VARIABLE not in os.environ:
        return (yield)
    item.config.stash[_told] = []
    _tell(item.nodeid, "begun")
    done = yield
    reports = item.config.stash[_told]
    worst = next((r for kind in ("failed", "skipped") for r in reports if r.outcome == kind), reports[-1])
    why = worst.longrepr[2] if isinstance(worst.longrepr, tuple) else worst.longreprtext
    _tell(item.nodeid, worst.outcome, why)
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if VARIABLE in os.environ:
        item.config.stash[_told].append(report)
    return report
