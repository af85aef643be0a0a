"""Loaders beside each other: each delivers what it is told, in a process of its own, and wrong samples are found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("zarr")
from benchmarks.harness import sampling, sampling_child, sampling_peers, worker_processes
from benchmarks.harness.sampling import TINY, Job, Question
from benchmarks.harness.sampling_peers import Loader, Started
from benchmarks.questions import loader

QUESTIONS = {question.name: question for question in sampling.questions(TINY)}
CROPS, ROWS = "crops of 8 cubed, normalised", "rows"


def told(folder: Path, name: str, number: int = 0) -> Job:
    """A job with samples from anywhere."""
    question: Question = QUESTIONS[name]
    values, layout = sampling.values(question.data, TINY), sampling.kept(question.data, TINY)[number]
    job = Job.of(folder / "a" / "x", values, layout, question, "cpu")
    sampling.write(Path(job.path), layout, values)
    np.save(job.truth, values)
    random = np.random.default_rng(3)
    crops = random.integers(0, np.array(job.shape) - job.edge + 1, (job.samples, len(job.shape)))
    np.save(job.order, crops if job.edge else random.permutation(job.shape[0])[:, None])
    return job


@pytest.mark.parametrize("name", [CROPS, ROWS])
@pytest.mark.parametrize("peer", [each.name for each in sampling_peers.LOADERS if "2" not in each.name])
def test_each_loader_delivers_what_it_is_told(peer: str, name: str, tmp_path: Path) -> None:
    [found] = [each for each in sampling_peers.LOADERS if each.name == peer]
    if found not in sampling_peers.loaders():
        pytest.skip(f"{found.needs} are not all installed")
    if QUESTIONS[name].edge and peer in sampling_peers.OF_ROWS:
        pytest.skip("it has no crops")
    job = told(tmp_path, name, number=1)
    if peer == "gpuzarr":
        np.save(job.order, sampling_peers.order(job))
    answers = list(islice(sampling_child.run(found, job), 3))
    assert answers[0]["why"] == "" and [each["samples"] for each in answers[1:]] == [job.samples] * 2
    assert answers[1]["decoded"] is None or answers[1]["decoded"] > 0


@pytest.mark.parametrize("deal", [worker_processes.without_torch, worker_processes.with_torch])
def test_workers_deliver_in_order_and_after_an_epoch_that_ended_early(deal: Callable[..., Any], tmp_path: Path) -> None:
    if deal is worker_processes.with_torch:
        pytest.importorskip("torch")
    job = told(tmp_path, CROPS)
    started = sampling_peers.in_processes(deal, sampling_peers.zarr_python, False, job)
    assert len(list(islice(started.epoch(0), 2))) == 2
    batches = [batch.copy() for batch in started.epoch(1)]
    assert all(map(np.array_equal, batches, map(job.truly, job.batches()))) and len(batches) == len(job.batches())
    assert started.decoded() == sampling.amplification(job, job.batches())


def test_what_who_keeps_nothing_decodes(tmp_path: Path) -> None:
    """One crop in one chunk, one in all eight; and rows of two chunks."""
    job = replace(told(tmp_path, CROPS), samples=2, batch=2)
    assert sampling.amplification(job, [np.array([[8, 8, 8], [1, 1, 1]])]) == 9 / 2
    rows = replace(told(tmp_path, ROWS), samples=4, batch=4)
    assert sampling.amplification(rows, [np.array([[0], [17], [16], [31]])]) == 2 * 16 / 4


def started(job: Job, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> Started:
    def epoch(number: int) -> Iterator[np.ndarray]:
        return iter(change([job.truly(origins) for origins in job.batches()]))

    return Started(epoch)


def test_wrong_samples_are_told(tmp_path: Path) -> None:
    job = told(tmp_path, ROWS)

    def why(change: Callable[[list[np.ndarray]], list[np.ndarray]], own_order: bool = False) -> str:
        run = sampling_child.run(Loader("x", (), lambda job: started(job, change), own_order), job)
        return str(next(run)["why"])

    assert why(lambda batches: batches) == why(lambda batches: batches[::-1], own_order=True) == ""
    assert why(lambda batches: batches[::-1]) == why(lambda batches: [batches[0] + 1]) == "WRONG VALUES"
    assert why(lambda batches: [batches[0].astype("f8")], own_order=True) == "WRONG VALUES"
    assert why(lambda batches: [batches[0], batches[0]], own_order=True) == "WRONG SAMPLES"


def test_who_fails_is_left_out_and_ours_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = told(tmp_path, ROWS)
    missing = replace(job, path=str(tmp_path / "nothing"))
    row = loader.measure(missing, {"zarr-python in 2 processes": sys.executable}, 1, "cpu")
    assert row["seconds"] == {} and "cannot" in row["left_out"]["zarr-python in 2 processes"]
    with pytest.raises(SystemExit, match="nothing"):
        loader.measure(missing, {"gpuzarr": sys.executable}, 1, "cpu")


def test_all_of_it_runs_on_another_device(tmp_path: Path) -> None:
    output = tmp_path / "loader.json"
    only = ["--questions", "normalised", "--layouts", "v3", "--readers", "gpuzarr"]
    loader.main(["--device", "emulated", "--tiny", "--repeats", "1", "--output", str(output), *only])
    results = json.loads(output.read_text())
    assert [set(row["seconds"]) for row in results["rows"]] == [{"gpuzarr emulated"}]


def test_goals() -> None:
    row: dict[str, Any] = {"row": "crops; v3", "windowed": True, "seconds": {"gpuzarr cpu": 1.0, "a": 2.0}}
    assert loader.missed([row]) == ["crops; v3: 2.00 times the best peer, not 3"]
    assert loader.missed([row | {"windowed": False}]) == []
    assert loader.missed([row | {"seconds": {"gpuzarr cpu": 1.0}}]) != []
