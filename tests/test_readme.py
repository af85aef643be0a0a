"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gpuzarr.cli import COMMANDS

README = (Path(__file__).parent.parent / "README.md").read_text()
MAKEFILE = (Path(__file__).parent.parent / "Makefile").read_text()


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    zarr = pytest.importorskip("zarr")
    root = zarr.create_group(tmp_path / "store.zarr")
    values = np.arange(120 * 9 * 7, dtype="f4").reshape(120, 9, 7)
    for name in ("temperature", "sub/array"):
        root.create_array(name, shape=values.shape, chunks=(50, 5, 5), dtype="f4")[...] = values
    monkeypatch.chdir(tmp_path)
    example, _ = re.findall(r"```python\n(.*?)```", README, re.S)
    names = {"memory": np.empty((100, 9, 7), "f4")}
    exec(example.replace('temperature")', 'temperature", device="cpu")'), names)
    assert np.array_equal(names["memory"], values[:100])
    assert "temperature" in capsys.readouterr().out


def test_the_example_of_writing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, example = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(example, {})
    zarr = pytest.importorskip("zarr")
    pred = zarr.open_group("out.zarr")["pred"]
    assert pred.shape == (72, 512, 512) and (pred[0] == 1).any() and (pred[32:64, -1] == 32).all()


def test_the_table_of_commands_is_whole() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M)) - {"help"}
    assert set(re.findall(r"^\| `make ([a-z-]+)`", README, re.M)) == targets
    for command in COMMANDS:
        assert f"`gpuzarr {command.__name__.rsplit('.', 1)[1]} " in README
