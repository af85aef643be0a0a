"""`gpuzarr diff`: what it prints, its exit codes, and how it fails."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.cli import main
from tests.cli.places import unreadable


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, str]:
    """Two trees that are equal but for one element, one attribute and one chunk shape."""
    for name, size in (("a", 5), ("b", 2)):
        root = gpuzarr.create_group(str(tmp_path / name), attributes={"title": name})
        values = np.arange(10.0)
        values[7] += 0.5 * (name == "b")
        root.create_array("x", data=values, chunks=size)
        root.create_array("same", data=np.arange(3))
    return str(tmp_path / "a"), str(tmp_path / "b")


TEXT = """\
/: attributes["title"]: "a" | "b"
/x: chunks: [5] | [2]
/x: values: 1 of 10 differ, the largest difference is 0.5; first at [7]: 7.0 | 7.5
different: 2 nodes; compared 3 nodes with 13 elements
"""


def test_text(places: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *places]) == 1
    assert capsys.readouterr().out == TEXT
    assert main(["diff", places[0], places[0]]) == 0
    assert capsys.readouterr().out == "equal: 3 nodes with 13 elements\n"


def test_what_is_ignored(places: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *places, "--ignore-storage"]) == 1
    assert capsys.readouterr().out == TEXT.replace("/x: chunks: [5] | [2]\n", "")
    assert main(["diff", *places, "--values-only"]) == 1
    assert capsys.readouterr().out.startswith("/x: values:")
    assert main(["diff", *places, "--values-only", "--tolerance", "0.5"]) == 0


def test_json(places: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *places, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], found["compared"], [node["path"] for node in found["nodes"]]) == (False, 3, ["", "x"])
    assert found["nodes"][1]["values"]["first"] == [7]


def test_of_several_stores(places: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(places[0]).parent
    zipped = str(root / "a.zip")
    subprocess.run([sys.executable, "-m", "zipfile", "-c", zipped, "."], cwd=places[0], check=True)
    with serving(root, writable=True) as server:
        options = [f"--storage-option={each}" for each in (f"endpoint={server.url}", "skip_signature=true", "region=r")]
        assert main(["diff", f"s3://{Path(places[0]).name}", places[0], *options]) == 0
        assert main(["diff", zipped, places[0]]) == 0


def test_wrong_places_exit_with_2(places: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", places[0], f"{places[1]}/none"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "none" in captured.err


def test_half_written_stores_exit_with_2(places: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    (Path(places[1]) / "same" / "zarr.json").write_text('{"zarr_format": 3, ')
    (Path(places[1]) / "x" / "c" / "3").write_bytes(b"half")
    assert main(["diff", *places, "--values-only"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("/same: error: ") and lines[1].startswith("/x: error: chunk (3,)")


def test_without_permission_exits_with_2(places: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with unreadable(Path(places[1]) / "x" / "c" / "3"):
        assert main(["diff", *places]) == 2
    assert "/x: error: cannot read" in capsys.readouterr().out


def test_a_closed_pipe_is_no_error(places: tuple[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gpuzarr", "diff", *places]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_exits_with_130(
    places: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuzarr.tools.diff_trees.compare_values", interrupted)
    assert main(["diff", *places, "--no-progress"]) == 130
    assert capsys.readouterr().err == "gpuzarr: interrupted\n"


@pytest.mark.parametrize("flag", ["--storage-option", "--storage-option-b"])
def test_storage_options_that_are_none(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Some versions of Python make an empty list of the value "--", without looking at it."""
    with contextlib.suppress(SystemExit):
        assert main(["diff", "http://127.0.0.1:9/a", "http://127.0.0.1:9/b", f"{flag}=--"]) == 2
    assert "'--' has no value" in capsys.readouterr().err
