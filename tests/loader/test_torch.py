"""A loader where PyTorch and torchdata want a data set: the same samples as from the loader itself."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from tests.loader import rows
from tests.loader.packages import package

torch = package("torch")
data = torch.utils.data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows.store(tmp_path)
    return tmp_path


def same(found: Iterable[dict[str, Any]], wanted: Iterable[dict[str, Any]]) -> None:
    found, wanted = list(found), list(wanted)
    assert len(found) == len(wanted) and found
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        for name in other:
            assert torch.equal(torch.as_tensor(one[name]), torch.as_tensor(other[name]))


def test_batches_through_a_data_loader(folder: Path) -> None:
    loader = rows.loader(folder, to="torch", origins=True)
    dataset = loader.as_torch()
    assert isinstance(dataset, data.IterableDataset)
    through = data.DataLoader(dataset, batch_size=None)
    assert len(through) == len(dataset) == 12
    epochs = [list(through) for _ in range(2)]
    for epoch, batches in enumerate(epochs):
        again = rows.loader(folder, to="torch", origins=True)
        again.set_epoch(epoch)
        same(batches, again)
    dataset.set_epoch(0)
    same(through, epochs[0])
    assert epochs[0][0]["origins"].tolist() != epochs[1][0]["origins"].tolist()


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, which the worker does not use
def test_worker_processes_are_refused(folder: Path) -> None:
    dataset = rows.loader(folder, to="torch").as_torch()
    through = data.DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork")
    batches: Any = iter(through)
    with pytest.raises(gpuzarr.ArgumentError, match=r"num_workers=1: give num_workers=0.*as_dataset"):
        next(batches)
    batches._shutdown_workers()  # which the collector of garbage does in five seconds


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")  # of torchdata
@pytest.mark.parametrize("at", [0, 5, 12, 17])
def test_stateful_data_loader_resumes(folder: Path, at: int) -> None:
    stateful = package("torchdata.stateful_dataloader")

    def through() -> Any:
        return stateful.StatefulDataLoader(rows.loader(folder, to="torch").as_torch(), batch_size=None)

    whole = through()
    wanted = [batch for _ in range(3) for batch in whole]
    stopped = through()
    taken = 0
    while taken < at:
        for batch in stopped:
            same([batch], [wanted[taken]])
            taken += 1
            if taken == at and at % 12:
                break
    state = pickle.loads(pickle.dumps(stopped.state_dict()))
    resumed = through()
    resumed.load_state_dict(state)
    left = [batch for _ in range(3) for batch in resumed][: 36 - at]
    same(left, wanted[at:])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("to", [None, "torch"])
def test_stock_samplers(folder: Path, shuffle: bool, to: str | None) -> None:
    """Two ranks of a DistributedSampler, and stock collation: each sample once, and each batch is one read."""
    dataset = rows.loader(folder, to=to, shuffle=False, origins=True).as_dataset()
    x, y = rows.values()
    seen = []
    for rank in range(2):
        sampler = data.DistributedSampler(dataset, 2, rank, shuffle=shuffle, seed=7)
        for batch in data.DataLoader(dataset, batch_size=8, sampler=sampler):
            origins = batch["origins"][:, 1].tolist()
            assert batch["x"].dtype == torch.float32 and batch["x"].shape == (8, rows.SIDE, rows.SIDE)
            assert np.array_equal(batch["x"], x[origins]) and np.array_equal(batch["y"], y[origins])
            seen += origins
    assert sorted(seen) == list(range(rows.SAMPLES)) and (sorted(seen[:48]) != seen[:48]) == shuffle


def test_a_data_set_in_a_worker_process(folder: Path) -> None:
    dataset = rows.loader(folder, origins=True).as_dataset()
    through = data.DataLoader(dataset, batch_size=16, num_workers=1, multiprocessing_context="spawn")
    same(through, data.DataLoader(dataset, batch_size=16))


def test_a_pickled_data_set_is_one(folder: Path) -> None:
    dataset = rows.loader(folder, origins=True).as_torch()
    dataset.set_epoch(2)
    one = pickle.loads(pickle.dumps(dataset))
    assert isinstance(one, data.IterableDataset)
    same(one, dataset)


def test_an_error_takes_the_place_of_one_batch(folder: Path) -> None:
    wanted = list(rows.loader(folder, to="torch", shuffle=False))
    with (folder / "x/c/1/0/0").open("r+b") as shard:
        shard.write(bytes(4))
    batches = iter(data.DataLoader(rows.loader(folder, shuffle=False).as_torch(), batch_size=None))
    same([next(batches), next(batches)], wanted[:2])
    with pytest.raises(gpuzarr.ChunkError, match=r"chunk \(4, 0, 0\) of array '/'"):
        next(batches)
    same(batches, wanted[3:])


@pytest.mark.parametrize("to", [None, "numpy", "torch"])
def test_batches_are_tensors_whatever_the_loader_has(folder: Path, to: str | None) -> None:
    loader = rows.loader(folder, dtype={"x": "bfloat16"}, to=to)
    batch = next(iter(data.DataLoader(loader.as_torch(), batch_size=None)))
    assert batch["x"].dtype == torch.bfloat16 and batch["y"].dtype == torch.float32
