"""Tests that feed damage to a GPU run in processes of their own: an illegal access ends CUDA for a whole process.

A test that is marked `damaging` is run on `cuda` by a child: one process for all cases of a test function, and another
one for the rest after each failure, death or hang. The parent sets its fixtures up, and tells what the child found.

Where any other test ends CUDA, its process ends with status `GONE`: the tests after it would all fail for its reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.watch import hung
from benchmarks.sessions import tell
from gpuzarr.devices.select import why_not_cuda

VARIABLE = "GPUZARR_DAMAGING"  # set in the child
SECONDS = float(os.environ.get("GPUZARR_DAMAGING_SECONDS", 90))  # for one test; CUDA's start is among the first one's
FAILURES = int(os.environ.get("GPUZARR_DAMAGING_FAILURES", 8))  # of one function's cases; then no others are tried
GONE = 77  # pytest's own statuses end at 5

Found = tuple[str, str]  # "passed", "skipped" or "failed", and why
_found = pytest.StashKey[dict[str, Found]]()
_failed = pytest.StashKey[bool]()


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
        told = pyfuncitem.config.getoption("--tell", None)
        found.update(run(pyfuncitem.config.rootpath, together(pyfuncitem), told))
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


def run(root: Path, nodes: list[str], heard: Path | None = None) -> dict[str, Found]:
    """What children found, node by node. `heard` is touched with each of their tests: this process says nothing."""
    found: dict[str, Found] = {}
    for _ in range(FAILURES):
        waiting = [node for node in nodes if node not in found]
        if not waiting:
            break
        found.update(child(root, waiting, heard))
    return dict.fromkeys(nodes, ("failed", f"not run: {FAILURES} other cases failed")) | found


def child(root: Path, nodes: list[str], heard: Path | None = None) -> dict[str, Found]:
    """What one process found, until its end or its first failure: at least of the first node."""
    with tempfile.TemporaryDirectory() as folder:
        told, log = Path(folder, "told"), Path(folder, "log")
        told.touch()
        how = "-q", "-x", "-p", "no:cacheprovider", "-p", "benchmarks.sessions.tell", "--tell", str(told)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *how, *nodes],
                cwd=root,
                env={**os.environ, VARIABLE: "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            is_hung = hung(process, told, SECONDS, heard=heard)
        tail = log.read_text(errors="replace")[-3000:]
        ended, begun = tell.read(told)
    found = {test: (each["outcome"], each["why"]) for test, each in ended.items()}
    if begun is None and found.keys().isdisjoint(nodes):
        begun = nodes[0]
    if begun is not None:
        end = f"did nothing for {SECONDS:.0f} seconds" if is_hung else f"ended with status {process.returncode}"
        found[begun] = ("failed", f"the process of this test {end}; cases before it there: {len(found)}\n{tail}")
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """After a failure, end the process where CUDA works in it no more."""
    done = yield
    if item.stash.get(_failed, False) and VARIABLE not in os.environ and (why := lost()):
        pytest.exit(f"CUDA works no more after {item.nodeid} ({why}); benchmarks.sessions.suite runs the rest", GONE)
    return done


def lost() -> str:
    """Why CUDA works no more in this process: an illegal access is the answer to all that is asked later. "" if it
    works, or is not used."""
    if "cupy" not in sys.modules or why_not_cuda(0):
        return ""
    try:
        sys.modules["cupy"].cuda.runtime.deviceSynchronize()
    except Exception as error:  # CuPy's own, by version
        return f"{type(error).__name__}: {error}"
    return ""
