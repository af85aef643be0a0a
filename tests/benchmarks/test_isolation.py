"""Processes of their own for damaging tests: what dies, hangs or fails in one is a failure of that test alone.

And what ends CUDA for all tests after it ends their process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from benchmarks.sessions import tell
from tests import isolation
from tests.conftest import examples

ROOT = Path(__file__).parents[2]
CONFTEST = "import tests.isolation\nfrom tests.isolation import *\n"
TESTS = """
import os, time
import pytest

HERE = os.getpid()

@pytest.fixture(params=["emulated", "cuda"])
def device(request):
    return request.param

@pytest.mark.damaging
@pytest.mark.parametrize("how", ["works", "dies", "works after", "fails", "is skipped", "hangs", "works last"])
def test_damage(device, how):
    if device != "cuda":
        return
    open(os.environ["PIDS"], "a").write(f"{os.getpid()} {how}\\n")
    if how == "dies":
        os.abort()
    if how == "hangs":
        time.sleep(60)
    if how == "is skipped":
        pytest.skip("no reason")
    assert how != "fails", "as it should"

def test_not_damaging(device):
    open(os.environ["PIDS"], "a").write(f"{os.getpid()} parent\\n")

@pytest.mark.damaging
@pytest.mark.parametrize("number", range(9))
def test_all_die(device, number):
    if device == "cuda":
        os.abort()
"""


def suite(folder: Path, *arguments: str) -> tuple[dict[str, str], dict[str, str], str]:
    """Outcomes by test, process by case, and the output of a suite with such tests."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    more = {"PYTHONPATH": str(ROOT), "PIDS": str(folder / "pids"), "GPUZARR_DAMAGING_SECONDS": "3"}
    more["GPUZARR_DAMAGING_FAILURES"] = "4"
    more["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | more
    command = [sys.executable, "-m", "pytest", "-q", "--junit-xml", "out.xml", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    outcomes = {
        case.attrib["name"]: next((child.tag for child in case), "passed")
        for case in ElementTree.parse(folder / "out.xml").iter("testcase")
    }
    pids = dict(reversed(line.split(" ", 1)) for line in (folder / "pids").read_text().splitlines())
    return outcomes, pids, done.stdout


def test_each_outcome_is_its_own_test_s(tmp_path: Path) -> None:
    outcomes, pids, output = suite(tmp_path, "-k", "not all_die")
    on_gpu = {name[len("test_damage[") :].removesuffix("-cuda]"): o for name, o in outcomes.items() if "-cuda]" in name}
    on_gpu |= {name.removesuffix("]").split("-", 1)[1]: o for name, o in outcomes.items() if "[cuda-" in name}
    assert on_gpu == {
        "works": "passed",
        "dies": "failure",
        "works after": "passed",
        "fails": "failure",
        "is skipped": "skipped",
        "hangs": "failure",
        "works last": "passed",
    }
    assert "ended with status -6" in output and "did nothing for 3 seconds" in output and "as it should" in output
    assert pids["works"] == pids["dies"] != pids["works after"] == pids["fails"]
    assert pids["is skipped"] == pids["hangs"] != pids["works last"] != pids["parent"]
    assert sum(outcome == "passed" for outcome in outcomes.values()) == 7 + 2 + 3


def test_only_what_was_selected_runs(tmp_path: Path) -> None:
    outcomes, pids, _ = suite(tmp_path, "-k", "cuda and (works or parent)")
    assert set(outcomes.values()) == {"passed"} and set(pids) == {"works", "works after", "works last"}


def test_where_all_fail_not_all_are_tried(tmp_path: Path) -> None:
    (tmp_path / "pids").touch()
    outcomes, _, output = suite(tmp_path, "-k", "all_die")
    assert sum(outcome == "failure" for outcome in outcomes.values()) == 9
    died = [line for line in output.splitlines() if line.startswith("the process of this test ended with status -6")]
    assert len(died) == 4 and "not run: 4 other cases failed" in output


LOSES = """
import os
import pytest
import tests.isolation

tests.isolation.lost = lambda: "illegal address" if os.path.exists("lost") else ""

def test_fails(): assert False
def test_loses():
    open("lost", "w").close()
    assert False
def test_after(): pass
"""


def test_a_process_ends_with_the_test_that_lost_cuda(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(LOSES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    how = ["-p", "benchmarks.sessions.tell", "--tell", "told"]
    command = [sys.executable, "-m", "pytest", "-q", *how]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == isolation.GONE and "illegal address" in done.stdout
    found, begun = tell.read(tmp_path / "told")
    assert {test: each["outcome"] for test, each in found.items()} == {
        "test_it.py::test_fails": "failed",
        "test_it.py::test_loses": "failed",
    }
    assert begun is None


def test_cuda_is_lost_where_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def synchronize() -> None:
        raise RuntimeError("an illegal memory access was encountered")

    runtime = SimpleNamespace(deviceSynchronize=synchronize)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    monkeypatch.setattr(isolation, "why_not_cuda", lambda number: "no driver")
    assert isolation.lost() == ""
    monkeypatch.setattr(isolation, "why_not_cuda", lambda number: None)
    assert "illegal memory access" in isolation.lost()
    runtime.deviceSynchronize = lambda: None
    assert isolation.lost() == ""


def test_a_tool_can_ask_for_fewer_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPUZARR_EXAMPLES", raising=False)
    assert examples(40) == 40
    monkeypatch.setenv("GPUZARR_EXAMPLES", "5")
    assert examples(40) == 5 and examples(3) == 3
