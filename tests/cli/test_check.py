"""`gpuzarr check`: what it prints, its exit codes, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from gpuzarr.cli import main
from tests.cli.places import unreadable


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A tree with an array in chunks and one in shards."""
    root = gpuzarr.create_group(str(tmp_path / "s.zarr"))
    root.create_array("x", data=np.arange(100, dtype="i4"), chunks=50, compressors=["gzip"])
    root.create_array("g/y", data=np.ones((4, 4), "u1"), chunks=(2, 2), shards=(4, 2), compressors=None)
    return tmp_path / "s.zarr"


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    assert main(["check", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    assert not captured.err
    return captured.out


def test_no_problems(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, place, "--device", "cpu")
    assert text.startswith("no problems: 2 arrays, 6 chunks of ") and text.endswith(", 6 decoded on cpu\n")
    assert said(capsys, place / "x", "--fast").endswith(", none decoded\n")


def test_problems_are_told_with_their_places(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "x/c/1").write_bytes(b"")
    (place / "x/c/2").write_bytes(b"")
    lines = said(capsys, place, "--device", "cpu", code=1).splitlines()
    assert lines[0].startswith("error: /x: ") and lines[0].endswith("(chunk (1,), key 'x/c/1', codec gzip)")
    assert lines[1].startswith("warning: /x: ") and "key 'x/c/2'" in lines[1]
    assert lines[2].startswith("problems: 1 error, 1 warning in 2 arrays, 6 chunks of ")
    found = json.loads(said(capsys, place, "--json", code=1))
    assert found["problems"] and [(f["kind"], f["chunk"]) for f in found["findings"]] == [
        ("damaged-chunk", [1]),
        ("outside-grid", [2]),
    ]
    assert not json.loads(said(capsys, place / "g", "--json"))["problems"]


def test_census(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "g/y/c/0/1").unlink()
    lines = said(capsys, place, "--census", "--fast").splitlines()
    assert lines[0].split()[:4] == ["array", "chunks", "present", "objects"]
    (row,) = [line for line in lines if line.startswith("/g/y ")][:1]
    assert row.split()[1:4] == ["4", "2", "1"] and "8 bytes" in row
    rows = [line.split() for line in lines if line.startswith("/g/y ")][1:]
    assert [row[1:6] for row in rows] == [["0", "2", "0", "2", "0"], ["1", "2", "1", "0", "1"]]


def test_repair(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "x/c/1").write_bytes(b"")
    assert "repaired" not in said(capsys, place, "--repair", code=1) and (place / "x/c/1").exists()
    assert "\nwould repair: deleted the damaged chunk (1,)" in said(
        capsys, place, "--repair=delete-damaged", "--dry-run", code=1
    )
    assert "\nrepaired: deleted the damaged chunk (1,), 'x/c/1' of '/x'" in said(
        capsys, place, "--repair=delete-damaged", code=1
    )
    assert not (place / "x/c/1").exists()
    said(capsys, place)


@pytest.mark.parametrize("arguments", [["--repair=all"], ["--nothing"], []])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    assert ended.value.code == 2 and "usage: gpuzarr check" in capsys.readouterr().err


def test_what_cannot_be_opened(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [[tmp_path / "none"], ["nothing://x"], [place, "--device", "tpu"], [place, "--dry-run"]]
    for arguments in [*wrong, [place, "--memory-limit", "much"]]:
        assert main(["check", *map(str, arguments)]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith("gpuzarr: ") and captured.err.count("\n") == 1


def test_a_store_that_is_half_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whose writer was killed: the document of the root, and a chunk, are not there yet; another one is half."""
    (place / "zarr.json").unlink()
    (place / "g/zarr.json").write_text('{"zarr_format": 3, "node')
    file = place / "x/c/0"
    file.write_bytes(file.read_bytes()[:20])
    (place / "x/c/1").unlink()
    text = said(capsys, place, code=1)
    assert "warning: /: there is no group here" in text and "error: /g: " in text and "(chunk (0,), key 'x/c/0'" in text
    assert "problems: 2 errors, 1 warning in 2 arrays" in text


def test_no_permission(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with unreadable(place / "x/c/1"):
        text = said(capsys, place, code=1)
    assert "error: /x: cannot " in text and "ermission" in text and "key 'x/c/1'" in text


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C in the middle: exit code 130, a line, and nothing has changed."""
    a = gpuzarr.create_array(str(tmp_path / "a"), shape=(100, 10), chunks=(1, 10), dtype="u1", compressors=["gzip"])
    a[...] = 1
    files = sorted(path.name for path in (tmp_path / "a").rglob("*"))
    code = """
import os, signal, sys
from gpuzarr.cli import main
from gpuzarr.tools import check_array
of = check_array.damaged
def damaged(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return of(*arguments)
check_array.damaged = damaged
sys.exit(main(["check", sys.argv[1], "--device", "cpu"]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and done.stderr.startswith("gpuzarr: interrupted") and done.stderr.count("\n") == 1
    assert sorted(path.name for path in (tmp_path / "a").rglob("*")) == files


def test_progress(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(place), "--progress"]) == 0
    assert "check" in capsys.readouterr().err
