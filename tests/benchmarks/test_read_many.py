"""The benchmark of many regions: it runs on a GPU, too, leaves out who reads wrong values, and tells what is behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("zarr")
from benchmarks.harness import regions
from benchmarks.harness.region_readers import RegionReader, loop, region_readers
from benchmarks.questions import read_many

SIZES, STEPS = regions.TINY, regions.STEPS
ROW: dict[str, Any] = {"question": "rows", "layout": "v3", "cached": False}


def question(name: str) -> regions.Question:
    return next(each for each in regions.questions(SIZES) if name in each.name)


@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulated GPU needs g++")
def test_it_runs_on_an_emulated_gpu(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    only = ["--questions", "windows", "--layouts", "v2", "--readers", "gpuzarr"]
    read_many.main(["--device", "emulated", "--tiny", "--repeats", "1", "--output", str(output), *only])
    results = json.loads(output.read_text())
    assert [set(row["seconds"]) for row in results["rows"]] == [
        {"gpuzarr emulated", "gpuzarr loop", "gpuzarr reader"},
        {"gpuzarr emulated"},
    ]
    assert results["goals_missed"] == ["not judged: not on the CPU"]


def test_slices_mean_what_lists_mean() -> None:
    """In each question that has both; else peers would be asked for something else."""
    arrays = {kind: data.values() for kind, data in regions.data(SIZES).items()}
    for asked in regions.questions(SIZES):
        values = arrays[asked.data]
        listed = [values[number][key] for number, key in asked.requests]
        if asked.slices:
            sliced = asked.slices.join([values[number][key] for number, key in asked.slices.requests])
            assert all(np.array_equal(a, b) for a, b in zip(listed, sliced, strict=True)), asked.name
        assert all(values.size for values in listed), asked.name


def test_questions_of_full_size_lie_in_the_arrays() -> None:
    sizes = regions.Sizes()
    shapes = {"cube": (sizes.side,) * 3, "table": (sizes.rows, sizes.columns), "field": (regions.STEPS, *sizes.grid)}
    for asked in regions.questions(sizes):
        for _, key in asked.requests:
            for part, length in zip(key, shapes.get(asked.data, (regions.STEPS_A_CHUNK,)), strict=False):
                ends = (part.start, part.stop - 1) if isinstance(part, slice) else (np.min(part), np.max(part))
                assert 0 <= ends[0] <= ends[1] < length, asked.name
    assert [len(each.requests) for each in regions.questions(sizes)][:2] == [1000, 50]


def test_wrong_values_are_told(tmp_path: Path) -> None:
    values = [np.arange(STEPS * 2.0).reshape(STEPS, 2)]
    asked = question("windows")
    right = RegionReader("right", lambda path: values[0], lambda arrays, requests: [arrays[0][k] for _, k in requests])
    wrong = RegionReader("wrong", lambda path: values[0] + 1, right.read)
    fails = RegionReader("fails", lambda path: None, loop)
    runs = list(read_many.runs(asked, [tmp_path], [right, wrong, fails], cached=False))
    assert [run.name for run in runs] == [
        f"{name}{more}" for name in ("right", "wrong", "fails") for more in ("", ", slices")
    ]
    row = read_many.measure(runs, values, 1)
    assert set(row["seconds"]) == set(row["processor"]) == {"right", "right, slices"}
    assert set(row["left_out"].values()) == {"WRONG VALUES", "cannot (AttributeError)", "cannot (TypeError)"}
    ours = RegionReader("gpuzarr cpu", wrong.open, wrong.read)
    with pytest.raises(SystemExit, match="wrong values"):
        read_many.measure(list(read_many.runs(asked, [tmp_path], [ours], cached=False)), values, 1)


def test_each_reader_is_asked_what_it_is_for(tmp_path: Path) -> None:
    def names(name: str, cached: bool) -> set[str]:
        return {run.name for run in read_many.runs(question(name), [tmp_path], region_readers("cpu"), cached)}

    assert "gpuzarr reader" in names("windows", False) and "gpuzarr reader" not in names("random rows", False)
    assert all("cache" not in name for name in names("windows", False))
    assert "gpuzarr cpu" in names("windows", True) and "gpuzarr loop" not in names("windows", True)


def test_what_is_behind_is_told() -> None:
    fast = {**ROW, "seconds": {"gpuzarr cpu": 1.0, "gpuzarr loop": 0.5, "peer": 3.0}}
    slow = {**ROW, "cached": True, "seconds": {"gpuzarr cpu": 2.0, "peer": 1.0}}
    assert read_many.missed([{**fast, "seconds": {"gpuzarr cpu": 1.0, "peer": 2.0}}]) == []
    assert read_many.missed([fast, slow]) == [
        "rows; v3: 2.00 times the seconds of one's own loop",
        "rows; v3, cached: 0.50 times the best peer",
        "geometric mean: 1.22",
    ]
