"""A session on a GPU: each step ends in time and alone, whatever becomes of it; what it left is one document."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("zarr")
from benchmarks import prove, suite
from benchmarks.prove import Step


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def test_steps_end_alone_and_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    chosen = [
        Step("fails", python("print('why it fails'); raise SystemExit(3)"), 30),
        Step("hangs", python(child), 1),
        Step("is missing", (), 30, "a tool was not found"),
        Step("works", python("print('fine')"), 30),
    ]
    begin = time.monotonic()
    done = prove.run_all(chosen, tmp_path, 60)
    assert [each["status"] for each in done] == [3, "ended after 1 seconds", "a tool was not found", 0]
    assert time.monotonic() - begin < 20 and (tmp_path / "works.log").read_text() == "fine\n"
    assert "why it fails" in capsys.readouterr().out
    assert prove.run_all(chosen[3:], tmp_path, 0)[0]["status"] == "no time was left"


def test_what_an_earlier_session_left_is_not_taken_for_this_one(tmp_path: Path) -> None:
    left = tmp_path / "gpu_read.json"
    left.write_text("{}")
    prove.run(Step("bench", (*python("raise SystemExit(1)"), "--output", str(left)), 10), tmp_path, 10)
    assert not left.exists()


def test_every_step_is_a_program_of_ours(tmp_path: Path) -> None:
    steps = prove.steps(tmp_path)
    names = [step.name for step in steps]
    assert names[:3] == ["suite", "sanitizer-memcheck", "sanitizer-racecheck"] and len(names) == len(set(names))
    modules = [step.command[2] for step in steps[3:]]
    assert all(find_spec(module) for module in modules)
    probes = {path.stem for path in (prove.ROOT / "benchmarks/probes").glob("*.py")} - {"__init__", "batch", "child"}
    assert {f"benchmarks.probes.{name}" for name in probes - {"report"}} <= set(modules)
    benchmarks = {path.stem for path in (prove.ROOT / "benchmarks").glob("gpu_*.py")} - {"gpu_peers"}
    assert {f"benchmarks.{name}" for name in benchmarks} <= set(modules)
    assert sum(step.seconds for step in steps if step.name.startswith("bench-")) <= 700
    assert "tests/test_place.py" in steps[1].command or not steps[1].command


def test_steps_are_chosen_by_how_their_names_begin(tmp_path: Path) -> None:
    steps = prove.steps(tmp_path)
    chosen = prove.chosen_of(steps, "probe-crc32c,bench")
    assert [step.name for step in chosen][:2] == ["probe-crc32c", "bench-gpu_decode"]
    assert prove.chosen_of(steps, "") == steps
    with pytest.raises(SystemExit, match="no step begins with"):
        prove.chosen_of(steps, "suite,bunch")


def test_the_sanitizer_is_found_or_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove.shutil, "which", lambda name, path=None: f"{path}/{name}" if path else None)
    step = prove.sanitizer("racecheck")
    assert "/usr/local/cuda/bin/compute-sanitizer" in step.command and "racecheck" in step.command
    monkeypatch.setattr(prove.shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(prove, "find_spec", lambda name: None)
    assert prove.sanitizer("memcheck").command == () and "not found" in prove.sanitizer("memcheck").why


def test_a_suite_is_a_process_for_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_dies.py").write_text("import os\ndef test_gpu_dies(): os.abort()\n")
    (folder / "test_fails.py").write_text("def test_gpu_fails(): assert 1 == 2\ndef test_gpu(): pass\n")
    (folder / "test_works.py").write_text("def test_gpu(): pass\n" * 2 + "def test_other(): assert False\n")
    (folder / "test_other.py").write_text("def test_other(): assert False\n")
    (folder / "test_broken.py").write_text("import there_is_no_such_thing\n")
    output = tmp_path / "suite.json"
    with pytest.raises(SystemExit):
        suite.main(["--which", "gpu", "--tests", "tests", "--jobs", "2", "--output", str(output)])
    found = {Path(each["file"]).name: each for each in json.loads(output.read_text())["files"]}
    assert {name: each["status"] for name, each in found.items()} == {
        "test_dies.py": -6,
        "test_fails.py": 1,
        "test_broken.py": 2,
        "test_works.py": 0,
    }
    assert "Fatal Python error: Aborted" in found["test_dies.py"]["failed"][0]["said"]
    assert found["test_fails.py"]["tests"] == 2 and "assert 1 == 2" in found["test_fails.py"]["failed"][0]["said"]
    assert found["test_works.py"]["tests"] == 1 and not found["test_works.py"]["failed"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulated GPU needs g++")
def test_a_session(tmp_path: Path) -> None:
    how = ["--device", "emulated", "--tiny", "--into", str(tmp_path), "--steps", "probe-copies,bench-gpu_kernels"]
    command = [sys.executable, "-m", "benchmarks.prove", *how]
    done = subprocess.run(command, cwd=prove.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (place,) = tmp_path.glob("*-2*.json")
    document = json.loads(place.read_text())
    assert set(document["results"]) == {"probe_copies", "gpu_kernels"} and "seconds in all" in done.stdout
    assert [step["status"] for step in document["steps"]] == [0, 0]
    assert {"date", "commit", "cpu", "cores", "gpu", "versions", "settings"} <= set(document)
    assert (tmp_path / "gpu_kernels.svg").exists() and (tmp_path / "probe-copies.log").exists()
