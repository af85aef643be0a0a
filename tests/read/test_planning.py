"""The host's share of a GPU's read does not grow by Python's work for each chunk: lines that run are counted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hardware import emulated

pytest.importorskip("zarr")


@pytest.fixture
def planning():
    from benchmarks.questions import planning

    emulated()  # skips where there is no compiler
    return planning


def lines_run(work: Callable[[], Any]) -> int:
    """Lines of gpuzarr's code that this thread runs, each time that it comes to one."""
    count = 0

    def counted(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return counted

    def traced(frame: Any, event: str, _: Any) -> Any:
        return counted if "gpuzarr" in Path(frame.f_code.co_filename).parts else None

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_planning_runs_no_line_for_each_chunk(planning, tmp_path: Path) -> None:
    """But the one that makes the key of an object."""
    chunks = 50_000
    for case, (_, _, shards) in planning.PLANS.items():
        lines = lines_run(lambda case=case: planning.planned(tmp_path, case, chunks))
        assert 100 < lines < chunks * (0.5 if shards else 1.5), case


def test_reading_runs_as_many_lines_for_more_chunks(planning, tmp_path: Path) -> None:
    """Where a batch holds them all: what is done for each is done by the threads that open and read its file."""
    for case in planning.READS:
        few, many = (
            lines_run(lambda n=n, case=case: planning.read(tmp_path / f"{n}", case, n, repeats=2)) for n in (32, 128)
        )
        assert 100 < many < few * 1.2, case


def test_the_benchmark_runs(planning, tmp_path: Path) -> None:
    planning.main(["--chunks", "30000", "--files", "20", "--repeats", "1", "--output", str(tmp_path / "results.json")])
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["plan_seconds"]) == set(planning.PLANS)
    assert set(results["read_microseconds"]) == set(planning.READS)
