"""`gpuzarr doctor`: what it prints, and its exit codes."""

from __future__ import annotations

import json

import pytest

from gpuzarr.cli import main
from gpuzarr.tools import doctor_machine
from gpuzarr.tools.doctor_report import Examined


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a problem and a warning."""
    broken = Examined("packages", "cupy-cuda13x", "problem", "version 14.1.0 has a fault", "pip install cupy")
    slow = Examined("C library", "gpuzarr_native", "warning", "it was not compiled")
    monkeypatch.setattr(doctor_machine, "mismatches", lambda installed, driver: [broken, slow])
    monkeypatch.setattr(doctor_machine, "_library", list)


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "no problems" and any(line.split()[:3] == ["packages", "numpy", "ok"] for line in lines)


def test_problems_come_with_the_command_that_mends_them(trouble: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "cpu"]) == 1
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "warning: gpuzarr_native: it was not compiled",
        "problem: cupy-cuda13x: version 14.1.0 has a fault",
        "    pip install cupy",
        "1 problem",
    ]


def test_json(trouble: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "cpu", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] and "pip install cupy" in [one["mend"] for one in found["examined"]]


def test_wrong_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "tpu"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("gpuzarr: no device 'tpu'")
