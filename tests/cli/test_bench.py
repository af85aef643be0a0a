"""`gpuzarr bench`: what it prints, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from gpuzarr.cli import main
from tests.cli.places import unreadable


@pytest.fixture
def path(tmp_path: Path) -> str:
    root = gpuzarr.create_group(str(tmp_path / "s.zarr"))
    root.create_array("small", data=np.zeros(3))
    root.create_group("g").create_array("large", data=np.arange(4000, dtype="i4").reshape(40, 100), chunks=(10, 100))
    return str(tmp_path / "s.zarr")


def test_text(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", path, "--seconds", "0.001", "--no-peers"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("array  /g/large (40, 100) int32\nread   15.6 KiB, stored in ")
    assert "\ngpuzarr cpu" in text and "  1.00  " in text and "read (40, 100) from 4 chunks" in text
    assert "- chunks of 4,000 bytes are small" in text


def test_json(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", f"{path}/g/large", "--seconds", "0.001", "--json", "--select", "0, ::2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["result_bytes"], found["selection"]) == (200, [[0, 1, 1], [0, 100, 2]])
    assert "zarr-python" in [timing["name"] for timing in found["timings"]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{path}/none"], "none"),
        (["{path}/empty"], "there is no array in"),
        (["{path}", "--select", "x"], "a selection is ints and slices"),
        (["{path}", "--seconds", "-1"], "seconds must be a positive number"),
    ],
)
def test_errors_are_one_line(arguments: list[str], told: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    gpuzarr.create_group(f"{path}/empty")
    assert main(["bench", *(each.format(path=path) for each in arguments)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and told in captured.err


def test_a_half_written_chunk(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(path) / "g/large/c/1/0").write_bytes(b"half")
    assert main(["bench", path]) == 1
    assert "chunk (1, 0)" in capsys.readouterr().err


def test_without_permission(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with unreadable(Path(path) / "g/large/c/1/0"):
        assert main(["bench", path, "--no-peers"]) == 1
    assert "Permission denied" in capsys.readouterr().err


def test_an_interrupt(path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuzarr.tools.bench_run._timed", interrupted)
    assert main(["bench", path, "--no-peers"]) == 130
    assert capsys.readouterr().err == "gpuzarr: interrupted\n"
