"""The suite on a GPU: processes for each file, and no test is lost with one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zarr")
from benchmarks.sessions import suite

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


def ran(
    folder: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> dict[str, dict[str, Any]]:
    monkeypatch.setattr(suite, "ROOT", folder)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "tests").mkdir()
    for name, text in files.items():
        (folder / "tests" / name).write_text(text)
    output = folder / "suite.json"
    with pytest.raises(SystemExit):
        suite.main(["--which", "gpu", "--tests", "tests", "--jobs", "2", "--output", str(output), *arguments])
    return {Path(each["file"]).name: each for each in json.loads(output.read_text())["files"]}


def test_each_end_is_one_test_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ran(tmp_path, FILES, monkeypatch, "--silent-seconds", "10")
    assert {name: each["status"] for name, each in found.items()} == {
        "test_dies.py": -6,
        "test_fails.py": 1,
        "test_broken.py": 2,
        "test_works.py": 0,
        "test_hangs.py": -9,
        "test_ends.py": 77,
    }
    numbers = {name: (each["passed"], each["failed"], each["chosen"]) for name, each in found.items()}
    assert numbers == {
        "test_dies.py": (2, 1, 3),
        "test_fails.py": (1, 1, 2),
        "test_broken.py": (0, 1, 1),
        "test_works.py": (1, 0, 1),
        "test_hangs.py": (1, 1, 2),
        "test_ends.py": (1, 1, 2),
    }
    said = {name: each["failures"][0]["said"] for name, each in found.items() if each["failures"]}
    assert "status -6" in said["test_dies.py"] and "Fatal Python error: Aborted" in said["test_dies.py"]
    assert "assert 1 == 2" in said["test_fails.py"] and "no_such_thing" in said["test_broken.py"]
    assert found["test_hangs.py"]["failures"][0]["test"].endswith("test_gpu_hangs")


def test_a_file_past_its_time_keeps_what_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import time\ndef test_gpu_first(): pass\n"
    text += "def test_gpu_slow(): time.sleep(60)\ndef test_gpu_after(): pass\n"
    found = ran(tmp_path, {"test_slow.py": text}, monkeypatch, "--file-seconds", "10")["test_slow.py"]
    assert (found["passed"], found["failed"], found["chosen"], found["status"]) == (1, 1, 3, -9)
    assert found["processes"] == 1


def test_all_end_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import time\ndef test_gpu(): time.sleep(60)\n"
    files = {f"test_{i}.py": text for i in range(4)}
    found = ran(tmp_path, files, monkeypatch, "--seconds", "4")
    assert len(found) == 4 and all(each["status"] in (-9, None) for each in found.values())
    assert any(each["failures"][0]["said"] == "no time was left" for each in found.values())


def test_one_that_never_comes_to_a_test_is_not_tried_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import os, sys\nif '--collect-only' not in sys.argv: os.abort()\ndef test_gpu(): pass\n"
    found = ran(tmp_path, {"test_dies.py": text}, monkeypatch)["test_dies.py"]
    assert found["processes"] == 1 and found["status"] == -6 and "Aborted" in found["failures"][0]["said"]
