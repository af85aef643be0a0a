"""The README is true: its examples run, its tables list what exists."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from gpuzarr.cli import COMMANDS
from gpuzarr.devices import select

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_examples_run_one_after_another(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if device == "cpu":
        monkeypatch.setattr(select, "why_not_cuda", lambda ordinal: "examples run on the CPU")
    elif missing := select.why_not_cuda(0):
        pytest.skip(missing)
    monkeypatch.chdir(tmp_path)
    assert README.count("```python") == len(EXAMPLES) == 27 and README.count("```") == 54
    names: dict[str, object] = {}
    for example in EXAMPLES:
        exec(example, names)
    assert device in gpuzarr.open("store.zarr/temperature").device.name
    values = np.arange(120 * 64 * 64, dtype="f4").reshape(120, 64, 64)
    memory = names["memory"]
    np.testing.assert_array_equal(memory.get() if device == "cuda" else memory, values[:100])
    saved = names["saved"]
    assert isinstance(saved, dict) and saved["position"] == 64
    assert "temperature" in capsys.readouterr().out
    zarr = pytest.importorskip("zarr")
    pred = zarr.open_group("out.zarr", mode="r")["pred"]
    assert pred.shape == (72, 512, 512) and (pred[0] == 1).any() and (pred[32:64, -1] == 32).all()
    assert pred.attrs["model"] == "v7"
    assert np.array_equal(zarr.open_array("safe.zarr", mode="r")[...], np.ones(3))


def test_the_table_of_commands_is_whole() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M)) - {"help"}
    assert set(re.findall(r"^\| `make ([a-z-]+)`", README, re.M)) == targets
    for command in COMMANDS:
        assert f"`gpuzarr {command.__name__.rsplit('.', 1)[1]} " in README


def test_files_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:benchmarks|tests|gpuzarr|kernels|docs)/[\w/.]*|[A-Z]+\.md)`", README):
        assert (ROOT / name).exists(), name


def test_the_extras_of_the_project_are_told() -> None:
    for extra in re.findall(r"'(?:\.|gpuzarr)\[(\w+)\]'", README):
        assert re.search(rf"^{extra} = ", (ROOT / "pyproject.toml").read_text(), re.M)
