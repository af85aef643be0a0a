"""The host's share of a GPU's read does not grow by Python objects a chunk. Bounds are generous: machines are busy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("zarr")


@pytest.fixture
def planning():
    from benchmarks import planning
    from tests.hardware import emulated

    emulated()  # skips where there is no compiler
    return planning


def test_a_million_chunks_are_planned(planning, tmp_path: Path) -> None:
    for case in planning.PLANS:
        assert min(planning.planned(tmp_path / f"{i}", case, 1_000_000) for i in range(2)) < 3, case


def test_small_chunks_cost_little(planning, tmp_path: Path) -> None:
    for case in planning.READS:
        assert planning.read(tmp_path, case, 256, 9) < 150, case  # the least of nine: the machine has other work


def test_the_benchmark_runs(planning, tmp_path: Path) -> None:
    planning.main(["--chunks", "30000", "--files", "20", "--repeats", "1", "--output", str(tmp_path / "results.json")])
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["plan_seconds"]) == set(planning.PLANS)
    assert set(results["read_microseconds"]) == set(planning.READS)
