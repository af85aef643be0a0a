"""A loader with indices, for grain and DALI too: the same samples as direct indexing, one read for several."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, SelectionError
from tests.hardware import host_array
from tests.loader import rows
from tests.loader.packages import package

OPTIONS: dict[str, Any] = {
    "rows": {"normalize": {"x": (3, 2)}},
    "windows": {"window": [-1, 0, 4], "dtype": {"x": "float16"}},
    "parts of two stores": {"sample": gpuzarr.Rows(region=[slice(3, 30), slice(40, 71)])},
    "random patches": {"sample": gpuzarr.Patch((5, 4, 3), stride="random", samples=60)},
    "padded patches": {"sample": gpuzarr.Patch((7, 4), axes=(0, 2), stride=(5, 3), edge="pad", pad=2)},
    "reflected patches": {"sample": gpuzarr.Patch((7, 4, 6), stride=(9, 3, 6), edge="pad", pad=1, pad_mode="reflect")},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows.store(tmp_path)
    return tmp_path


def plain(sample: dict[str, Any]) -> dict[str, Any]:
    return {name: host_array(value).tolist() for name, value in sample.items()}


def test_samples_are_those_of_direct_indexing(folder: Path, device: Device) -> None:
    dataset = rows.loader(folder, device, shuffle=False).as_dataset()
    x, y = rows.values()
    assert len(dataset) == rows.SAMPLES
    indices = [5, 90, 5, 17, -1, np.int64(0)]
    for index, sample in zip(indices, dataset.__getitems__(indices), strict=True):
        assert plain(sample) == {"x": x[index].tolist(), "y": float(y[index])} == plain(dataset[index])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_samples_are_those_of_the_loader(folder: Path, device: Device, options: dict[str, Any]) -> None:
    """In its order, and without its engine: by one read each time."""
    found = rows.arrays(folder, device)
    arrays = {"x": [found["x"]] * 2} if "sample" in options else found
    loader = gpuzarr.Loader(arrays, 7, shuffle=gpuzarr.BlockShuffle(4), seed=5, origins=True, **options)
    loader.set_epoch(4)
    dataset = loader.as_dataset()
    samples = dataset.__getitems__(range(len(dataset)))
    batches = list(loader)
    for name in (*arrays, "origins"):
        whole = np.concatenate([host_array(batch[name]) for batch in batches])
        assert np.array_equal(np.stack([host_array(sample[name]) for sample in samples]), whole)
    assert len({str(sample["origins"]) for sample in samples}) > 50


def test_several_samples_are_one_read(folder: Path) -> None:
    """Nine rows of three chunks of x, of two of y."""
    dataset = rows.loader(folder, shuffle=False).as_dataset()
    dataset.__getitems__([0, 2, 3, 5, 6, 7, 8, 10, 11])
    reports = [view.arrays[0].last_read.asdict() for view in dataset.views]
    assert reports[0]["chunks"] == reports[1]["chunks"] == 5


@pytest.mark.parametrize("index", [rows.SAMPLES, -rows.SAMPLES - 1, 2**70])
def test_there_are_no_others(folder: Path, index: int) -> None:
    dataset = rows.loader(folder).as_dataset()
    with pytest.raises(IndexError, match=f"sample {index} is out of range: there are {rows.SAMPLES}"):
        dataset.__getitems__([0, index])
    assert dataset.__getitems__([]) == []


@pytest.mark.parametrize("wrong", ["a", 1.5, None, (), slice(1), np.array([1, 2])])
def test_what_is_no_index_is_refused(folder: Path, wrong: Any) -> None:
    dataset = rows.loader(folder).as_dataset()
    with pytest.raises(SelectionError, match="a sample is chosen by an integer"):
        dataset[wrong]
    with pytest.raises(ArgumentError, match="samples are chosen by a list of integers"):
        dataset.__getitems__(3)


def test_it_can_be_iterated_over_and_pickled(folder: Path) -> None:
    dataset = rows.loader(folder).as_dataset()
    other = pickle.loads(pickle.dumps(dataset))
    assert repr(other) == repr(dataset) and "96 samples (x: (6, 6) float32, y: () float32), epoch 0" in repr(dataset)
    assert [plain(sample) for sample in other] == [plain(sample) for sample in dataset.__getitems__(range(96))]


def test_several_stores_are_one_data_set(tmp_path: Path, device: Device) -> None:
    given = {"x": [], "y": []}
    for number in range(3):
        (tmp_path / f"{number}").mkdir()
        rows.store(tmp_path / f"{number}")
        found = rows.arrays(tmp_path / f"{number}", device)
        given["x"].append(found["x"])
        given["y"].append(found["y"])
    given["x"][1], given["y"][1] = (
        gpuzarr.create_array({}, data=-host_array(given[name][1][...]), chunks=4, device=device) for name in ("x", "y")
    )
    dataset = gpuzarr.Loader(given).as_dataset()
    x, y = rows.values()
    wanted = [0, 100, 1, 200, 2, 101, 250]
    for index, sample in zip(wanted, dataset.__getitems__(wanted), strict=True):
        sign = -1 if index // rows.SAMPLES == 1 else 1
        row = index % rows.SAMPLES
        assert plain(sample) == {"x": (sign * x[row]).tolist(), "y": float(sign * y[row])}


def test_grain(folder: Path) -> None:
    grain = package("grain")
    dataset = rows.loader(folder, shuffle=False, origins=True).as_dataset()
    source = grain.MapDataset.source(dataset)
    found = list(source.shuffle(seed=1).batch(8))
    origins = np.concatenate([batch["origins"][:, 1] for batch in found])
    x, _ = rows.values()
    assert len(found) == 12 and sorted(origins) == list(range(rows.SAMPLES)) and list(origins) != sorted(origins)
    assert np.array_equal(np.concatenate([batch["x"] for batch in found]), x[origins])

    def through() -> Any:
        sampler = grain.samplers.IndexSampler(rows.SAMPLES, shuffle=True, seed=5, num_epochs=1)
        return iter(grain.DataLoader(data_source=dataset, sampler=sampler, operations=[grain.transforms.Batch(8)]))

    stopped = through()
    first = [next(stopped) for _ in range(5)]
    resumed = through()
    resumed.set_state(stopped.get_state())
    whole = [batch["origins"][:, 1].tolist() for batch in through()]
    assert [batch["origins"][:, 1].tolist() for batch in (*first, *resumed)] == whole


def test_a_source_of_dali_is_tuples(folder: Path) -> None:
    loader = rows.loader(folder, origins=True)
    source = loader.as_dali(["y", "x"])
    for epoch in range(2):
        again = rows.loader(folder)
        again.set_epoch(epoch)
        for (y, x), batch in zip(source, again, strict=True):
            assert np.array_equal(y, batch["y"]) and np.array_equal(x, batch["x"])
    assert [len(arrays) for arrays in loader.as_dali()] == [2] * 12
    for wrong in (["z"], [], "x", 3):
        with pytest.raises(gpuzarr.ArgumentError, match="as_dali"):
            loader.as_dali(wrong)


def test_dali(folder: Path) -> None:
    """Where DALI is installed, which takes hundreds of megabytes."""
    pytest.importorskip("nvidia.dali")
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=10, num_threads=1, device_id=None)
    def twice(source: Any) -> Any:
        x, y = fn.external_source(source, num_outputs=2, cycle="raise", batch=True)
        return x * 2, y

    pipeline = twice(rows.loader(folder, batch_size=10).as_dali())
    pipeline.build()
    for epoch in range(2):
        again = rows.loader(folder, batch_size=10)
        again.set_epoch(epoch)
        for batch in again:
            x, y = (np.stack([np.asarray(one) for one in tensors]) for tensors in pipeline.run())
            assert np.array_equal(x, batch["x"] * 2) and np.array_equal(y, batch["y"])
        with pytest.raises(StopIteration):
            pipeline.run()
        pipeline.reset()
