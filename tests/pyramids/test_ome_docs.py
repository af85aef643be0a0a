"""What is public in `gpuzarr.ome` is documented, and its examples run."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr import ome
from gpuzarr.devices import select

ITEMS: dict[str, Any] = {"ome": ome} | {name: getattr(ome, name) for name in ome.__all__}
for kind in (ome.Image, ome.Plate, ome.Well):
    shown = {name: member for name, member in vars(kind).items() if not name.startswith("_")}
    ITEMS |= {f"{kind.__name__}.{name}": member for name, member in shown.items() if hasattr(member, "__get__")}


@pytest.mark.parametrize("name", ITEMS)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(select, "why_not_cuda", lambda ordinal: "examples run on the CPU")
    text = inspect.getdoc(getattr(ITEMS[name], "func", ITEMS[name])) or ""
    assert text.partition("\n")[0].endswith((".", ":", ",")) or ":" in text
    assert ">>>" in text or not inspect.isfunction(ITEMS[name]) or "." in name
    test = doctest.DocTestParser().get_doctest(text, {"np": np, "gpuzarr": gpuzarr}, name, None, 0)
    output: list[str] = []
    assert not doctest.DocTestRunner(verbose=False).run(test, out=output.append).failed, "".join(output)
