"""The suite on a GPU: processes for each file, and no test is lost with one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("zarr")
from benchmarks.sessions import suite
from tests.data import environ

Ran = Callable[[str], dict[str, dict[str, Any]]]  # what came of the files of a run
SLEEPS = "import time\n" + "".join(f"def test_gpu_{i}(): time.sleep(60)\n" for i in range(3))
SLOW = "import time\ndef test_gpu_first(): pass\ndef test_gpu_slow(): time.sleep(60)\ndef test_gpu_after(): pass\n"
MANY = "".join(f"def test_gpu_{i}(): assert {i} != 5\n" for i in range(6))
FILES = {
    "test_dies.py": "import os\n"
    "def test_gpu_first(): pass\ndef test_gpu_dies(): os.abort()\ndef test_gpu_after(): pass\n",
    "test_fails.py": "def test_gpu_fails(): assert 1 == 2\ndef test_gpu(): pass\n",
    "test_works.py": "def test_gpu(): pass\n" * 2 + "def test_other(): assert False\n",
    "test_other.py": "def test_other(): assert False\n",
    "test_broken.py": "import there_is_no_such_thing\n",
    "test_hangs.py": "import time\ndef test_gpu_hangs(): time.sleep(60)\ndef test_gpu_after(): pass\n",
    "test_ends.py": "import pytest\ndef test_gpu_loses(): pytest.exit('lost', 77)\ndef test_gpu_after(): pass\n",
}


RUNS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "each end": (FILES, ("--silent-seconds", "10")),
    "a slow file": ({"test_slow.py": SLOW}, ("--part-seconds", "10")),
    "no time": ({f"test_{i}.py": SLEEPS for i in range(4)}, ("--seconds", "4")),
    "in parts": ({"test_many.py": MANY}, ()),
    "no test": (
        {"test_dies.py": "import os, sys\nif '--collect-only' not in sys.argv: os.abort()\ndef test_gpu(): pass\n"},
        (),
    ),
}
CODE = """
import sys
from pathlib import Path
from benchmarks.sessions import suite
suite.ROOT, suite.PART = Path.cwd(), 3
suite.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All at the same time: most of it is waiting."""
    begun = {}
    for number, (name, (files, arguments)) in enumerate(RUNS.items()):
        folder = tmp_path_factory.mktemp(f"suite{number}")
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "tests").mkdir()
        for file, text in files.items():
            (folder / "tests" / file).write_text(text)
        options = "--which", "gpu", "--tests", "tests", "--jobs", "2", "--output", str(folder / "suite.json")
        command = [sys.executable, "-c", CODE, *options, *arguments]
        env = {**environ(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        begun[name] = folder, subprocess.Popen(command, cwd=folder, env=env, text=True, **pipes)

    def found(name: str) -> dict[str, dict[str, Any]]:
        folder, process = begun[name]
        said = process.communicate()[0]
        assert process.returncode == 1, said
        assert said.splitlines()[-1].partition(" tests ended")[1], said
        return {Path(each["part"]).name: each for each in json.loads((folder / "suite.json").read_text())["parts"]}

    return found


def test_each_end_is_one_test_s(ran: Ran) -> None:
    found = ran("each end")
    assert {name: each["status"] for name, each in found.items()} == {
        "test_dies.py": -6,
        "test_fails.py": 1,
        "test_hangs.py and 1 more": -9,  # with test_broken.py
        "test_works.py": 0,
        "test_ends.py": 77,
    }
    numbers = {name: (each["passed"], each["failed"], each["chosen"]) for name, each in found.items()}
    assert numbers == {
        "test_dies.py": (2, 1, 3),
        "test_fails.py": (1, 1, 2),
        "test_hangs.py and 1 more": (1, 2, 3),
        "test_works.py": (1, 0, 1),
        "test_ends.py": (1, 1, 2),
    }
    said = {each["test"]: each["said"] for part in found.values() for each in part["failures"]}
    said = {test.partition("/")[2]: words for test, words in said.items()}
    assert "status -6" in (died := said["test_dies.py::test_gpu_dies"]) and "Fatal Python error: Aborted" in died
    assert "assert 1 == 2" in said["test_fails.py::test_gpu_fails"] and "no_such_thing" in said["test_broken.py"]
    assert said.keys() >= {"test_hangs.py::test_gpu_hangs", "test_ends.py::test_gpu_loses"} and len(said) == 5


def test_a_file_past_its_time_keeps_what_ended(ran: Ran) -> None:
    found = ran("a slow file")["test_slow.py"]
    assert (found["passed"], found["failed"], found["chosen"], found["status"]) == (1, 1, 3, -9)
    assert found["processes"] == 1


def test_all_end_in_time(ran: Ran) -> None:
    found = ran("no time")
    assert len(found) == 4 and all(each["status"] in (-9, None) for each in found.values())
    assert any(each["failures"][0]["said"] == "no time was left" for each in found.values() if each["failures"])
    assert not any(each["failed"] for each in found.values()), "tests that have no time left have not failed"


def test_one_that_never_comes_to_a_test_is_not_tried_for_ever(ran: Ran) -> None:
    found = ran("no test")["test_dies.py"]
    assert found["processes"] == 1 and found["status"] == -6 and "Aborted" in found["failures"][0]["said"]


def test_a_file_of_many_tests_is_run_in_parts(ran: Ran) -> None:
    found = ran("in parts")
    numbers = {name: (each["passed"], each["failed"], each["chosen"]) for name, each in found.items()}
    assert numbers == {"test_many.py": (3, 0, 3), "test_many.py from 3 on": (2, 1, 3)}
    assert found["test_many.py from 3 on"]["failures"][0]["test"] == "tests/test_many.py::test_gpu_5"


@given(st.dictionaries(st.text("ab/", min_size=1), st.integers(1, 1000)), st.integers(1, 300))
def test_parts_hold_every_test_once(files: dict[str, int], most: int) -> None:
    made = suite.parts(Counter(files), most)
    assert len({part.name for part in made}) == len(made) and all(part.count <= most for part in made)
    assert list(dict.fromkeys(file for part in made for file in part.files)) == list(files)
    assert sum(part.count for part in made) == sum(files.values())
    for part in made:
        assert len(part.files) == 1 or (part.skipped == 0 and part.count == sum(files[file] for file in part.files))
        assert part.skipped + part.count <= sum(files[file] for file in part.files)
    assert all(suite.rank(file) == suite.rank(part.files[0]) for part in made for file in part.files)


def test_the_most_wanted_files_come_first() -> None:
    """All that `FIRST` names is there, and a longer name counts before the folder that it is in."""
    files = [str(path.relative_to(suite.ROOT)) for path in (suite.ROOT / "tests").rglob("test_*.py")]
    ranks = {file: suite.rank(file) for file in files}
    assert set(range(len(suite.FIRST))) <= set(ranks.values())
    assert (
        ranks["tests/gpu/test_place.py"]
        == 0
        < ranks["tests/devices/test_cuda.py"]
        < ranks["tests/devices/test_cost.py"]
    )
    assert ranks["tests/read/test_values.py"] < ranks["tests/nodes/test_stats.py"] < ranks["tests/test_readme.py"]


def test_the_last_words_name_what_failed_and_what_is_missing() -> None:
    counts = {"passed": 2, "failed": 40, "skipped": 1, "tests": 43, "chosen": 43}
    bad = {"part": "a.py", "failures": [{"test": f"a.py::test_{i}", "said": "x" * 999} for i in range(40)], **counts}
    late = {"part": "b.py", "failures": [{"test": "b.py", "said": "no time"}], **dict.fromkeys(counts, 0), "chosen": 7}
    lines = suite.ending([bad, late], 50).splitlines()
    assert lines[0] == "failed: a.py::test_0" and lines[suite.SHOWN] == "not ended: b.py: 7"
    assert lines[-2:] == [
        "and 10 that failed, 0 parts that did not end",
        "43 of 50 tests ended: 2 passed, 40 failed, 1 skipped",
    ]
    assert len("\n".join(lines)) < 2000


def test_why_no_test_is_found_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text("import there_is_no_such_thing\n")
    (tmp_path / "tests/test_one.py").write_text("def test_gpu(): pass\n")
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    assert not suite.chosen("gpu", "tests", 3)
    said = capsys.readouterr().out
    assert "no tests were found in tests/test_one.py: status 4" in said and "no_such_thing" in said
