"""Each test is written down as it begins and ends, whatever becomes of its process; and is not run twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.sessions import tell

ROOT = Path(__file__).parents[2]
TESTS = """
import os
import pytest

def test_passes(): pass
def test_fails(): assert 1 == 2, "as it should"
def test_is_skipped(): pytest.skip("no reason")
@pytest.fixture
def late():
    yield
    raise ValueError("too late")
def test_fails_in_the_end(late): pass
def test_dies(): os.abort()
def test_after(): pass
"""


def run(folder: Path, *how: str) -> int:
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.sessions.tell", "--tell", "told"]
    return subprocess.run([*command, *how], cwd=folder, env=os.environ | environment, capture_output=True).returncode


def test_what_was_told(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    place = tmp_path / "told"
    assert run(tmp_path) == -6
    found, begun = tell.read(place)
    outcomes = {test.partition("::test_")[2]: each["outcome"] for test, each in found.items()}
    assert outcomes == {"passes": "passed", "fails": "failed", "is_skipped": "skipped", "fails_in_the_end": "failed"}
    assert begun == "test_it.py::test_dies"
    words = {each["test"].partition("::")[2]: each["said"] for each in tell.failures(found.values())}
    assert "as it should" in words["test_fails"] and "too late" in words["test_fails_in_the_end"]
    assert tell.counts(found.values()) == {"passed": 1, "failed": 2, "skipped": 1}
    tell.tell(place, begun, "failed", "died")
    assert run(tmp_path) == 0, "the rest, without what was told"
    after, begun = tell.read(place)
    assert set(after) - set(found) == {"test_it.py::test_dies", "test_it.py::test_after"} and begun is None
    assert after["test_it.py::test_after"]["outcome"] == "passed"


def test_half_a_line_is_no_line(tmp_path: Path) -> None:
    place = tmp_path / "told"
    assert tell.read(place) == ({}, None)
    tell.tell(place, "a", "begun")
    tell.tell(place, "a", "passed")
    tell.tell(place, "b", "begun")
    place.write_text(place.read_text() + '{"test": "b", "outc')
    found, begun = tell.read(place)
    assert list(found) == ["a"] and begun == "b"
    tell.tell(place, "c", "begun")
    tell.tell(place, "d", "passed")
    assert list(tell.read(place)[0]) == ["a", "d"]


def test_a_file_that_does_not_load_is_told(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import there_is_no_such_thing\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert run(tmp_path) == 2
    found, _ = tell.read(tmp_path / "told")
    assert found["test_it.py"]["outcome"] == "failed" and "no_such_thing" in found["test_it.py"]["why"]


def test_parts_are_of_what_was_chosen(tmp_path: Path) -> None:
    """Parts that follow each other hold every chosen test once, also where the one before was begun again."""
    names = [f"test_{word}_{i}" for i in range(4) for word in ("gpu", "cpu")]
    (tmp_path / "test_it.py").write_text("".join(f"def {name}(): pass\n" for name in names))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    place = tmp_path / "told"
    expected: list[str] = []
    for begin, ended in ((0, ["gpu_0", "gpu_1", "gpu_2"]), (0, []), (3, ["gpu_3"])):
        assert run(tmp_path, "-k", "gpu", "--skip-first", str(begin), "--at-most", "3") == (0 if ended else 5)
        expected += [f"test_it.py::test_{name}" for name in ended]
        assert list(tell.read(place)[0]) == expected
