"""The functions of `gpuzarr.tools` are documented, and the examples of their docstrings run."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr import tools
from gpuzarr.devices import select
from gpuzarr.tools import show_selection

FUNCTIONS = [name for name in tools.__all__ if inspect.isfunction(getattr(tools, name))]
DOCUMENTED = {f"tools.{name}": getattr(tools, name) for name in tools.__all__} | {"parsed": show_selection.parsed}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of their own, on the CPU; `np` and `gpuzarr` are imported already."""
    if name == "tools.save_png":
        pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(select, "why_not_cuda", lambda ordinal: "examples run on the CPU")
    names: dict[str, Any] = {"np": np, "gpuzarr": gpuzarr}
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(DOCUMENTED[name]) or "", names, name, None, 0)
    output: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(test, out=output.append).failed
    assert not failed, "".join(output)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_examples(name: str) -> None:
    assert ">>>" in (inspect.getdoc(getattr(tools, name)) or ""), name


def test_all_names_are_there() -> None:
    assert list(tools.__all__) == sorted(tools.__all__)
    with pytest.raises(AttributeError, match=r"'gpuzarr.tools' has no attribute 'nothing'"):
        tools.nothing  # noqa: B018
