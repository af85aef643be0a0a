"""Public names are documented: each has a docstring that says what it does, and its examples run."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices import select
from gpuzarr.nodes.attributes import Attributes
from gpuzarr.nodes.indexers import Indexer
from gpuzarr.nodes.info import About
from gpuzarr.read.explain import Explanation
from gpuzarr.read.reader import Reader
from gpuzarr.read.report import ReadReport
from gpuzarr.write.explain import WriteExplanation
from gpuzarr.write.report import WriteReport
from gpuzarr.write.writer import Writer

CLASSES = (gpuzarr.Array, gpuzarr.ChunkCache, gpuzarr.Group, Attributes, About, Indexer, Reader, Writer)
RESULTS = (Explanation, WriteExplanation, ReadReport, WriteReport)
OTHER_CLASSES = [kind for kind in (*CLASSES, *RESULTS) if kind.__name__ not in gpuzarr.__all__]
FUNCTIONS = [name for name in gpuzarr.__all__ if inspect.isfunction(getattr(gpuzarr, name))]
WEAK = ("What", "Which", "Whether", "Where", "Of", "How", "As", "If")  # a first line begins with a noun or a verb


def members(kind: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(member) or hasattr(member, "__get__")):
            yield f"{kind.__name__}.{name}", member


MEMBERS = dict(pair for kind in (*CLASSES, *RESULTS) for pair in members(kind))
EVERYTHING = {name: getattr(gpuzarr, name) for name in gpuzarr.__all__} | MEMBERS


def documented(member: Any) -> str:
    return inspect.getdoc(getattr(member, "func", member)) or ""


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_docstring_says_what_it_does(name: str) -> None:
    first = documented(EVERYTHING[name]).partition("\n")[0]
    assert first.endswith((".", ":")) or "." in first, f"{name}: {first!r}"
    assert first.split()[0] not in WEAK, f"{name}: {first!r}"


@pytest.mark.parametrize("name", [*FUNCTIONS, "Array", "ChunkCache", "Group", "LocalStore"])
def test_functions_and_classes_have_examples(name: str) -> None:
    assert ">>>" in documented(EVERYTHING[name])


@pytest.mark.parametrize("name", [*EVERYTHING, *(kind.__name__ for kind in OTHER_CLASSES)])
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of their own, on the CPU; `np` and `gpuzarr` are imported already, as in NumPy's documentation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(select, "why_not_cuda", lambda ordinal: "examples run on the CPU")
    item = EVERYTHING.get(name) or next(kind for kind in OTHER_CLASSES if kind.__name__ == name)
    text, names = documented(item), {"np": np, "gpuzarr": gpuzarr}
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    output: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(test, out=output.append).failed
    assert not failed, "".join(output)
