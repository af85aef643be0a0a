"""The loader as users have it: epochs, states, ranks, plans, splits."""

from __future__ import annotations

import json
import os
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError, ChunkError, ClosedError, GpuZarrWarning
from tests import hardware
from tests.conftest import examples

LABELS = np.random.default_rng(1).integers(0, 5, (24, 40, 36)).astype("uint8")
VOLUME = np.random.default_rng(0).integers(0, 1 << 14, (24, 40, 36)).astype("uint16")


def stored(device: Any, values: np.ndarray, chunks: Any, **options: Any) -> Any:
    """An array in memory, opened on a device."""
    store: dict[str, bytes] = {}
    gpuzarr.save_array(store, values, chunks=chunks, **options)
    return gpuzarr.open_array(store, device=device)


def on_host(value: Any) -> np.ndarray:
    return value.get() if hasattr(value, "get") else np.asarray(value)


def batches(loader: Any) -> list[dict[str, np.ndarray]]:
    return [{name: on_host(value).copy() for name, value in batch.items()} for batch in loader]


def same(one: list[dict[str, np.ndarray]], other: list[dict[str, np.ndarray]]) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)
        for a, b in zip(one, other, strict=True)
    )


def patches(device: Any, **changed: Any) -> gpuzarr.Loader:
    arrays = {"x": stored(device, VOLUME, (8, 16, 16)), "y": stored(device, LABELS, (16, 16, 36))}
    given: dict[str, Any] = {
        "batch_size": 4,
        "sample": gpuzarr.Patch((5, 9, 7), stride="random", samples=50),
        "shuffle": gpuzarr.BlockShuffle(blocks=4),
        "origins": True,
    }
    return gpuzarr.Loader(arrays, **(given | changed))


def test_batches_have_what_direct_indexing_has(device: Any) -> None:
    loader = patches(device, normalize={"x": (100.0, 7.0)})
    a = stored(device, VOLUME, (8, 16, 16))
    found = batches(loader)
    assert sum(len(batch["x"]) for batch in found) == 50
    for batch in found:
        for x, y, (_, z, row, column) in zip(batch["x"], batch["y"], batch["origins"], strict=True):
            where = slice(z, z + 5), slice(row, row + 9), slice(column, column + 7)
            assert np.array_equal(y, LABELS[where])
            assert x.tobytes() == on_host(a.get(where, scale=1 / 7.0, offset=-100.0 / 7.0)).tobytes()


def test_rows_come_once_in_another_order_each_epoch(device: Any) -> None:
    values = np.arange(103 * 3, dtype="int32").reshape(103, 3)
    loader = gpuzarr.Loader({"x": stored(device, values, (10, 2))}, batch_size=8, shuffle=True)
    first, second = (np.concatenate([batch["x"][:, 0] for batch in batches(loader)]) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(0, 309, 3)) and list(first) != list(second)
    assert loader.epoch == 2 and len(loader) == 13
    loader.set_epoch(0)
    assert np.array_equal(np.concatenate([batch["x"][:, 0] for batch in batches(loader)]), first)
    assert loader.last_epoch is not None and loader.last_epoch.asdict()["chunks_reread"] == 0


def test_windows_are_those_that_exist(device: Any) -> None:
    x, y = np.arange(20.0), np.arange(20) * 10
    arrays = {"x": stored(device, x, 6), "y": stored(device, y, 4)}
    loader = gpuzarr.Loader(arrays, 3, window={"x": [-2, 0], "y": [1, 4]}, origins=True)
    found = batches(loader)
    origins = np.concatenate([batch["origins"][:, 1] for batch in found])
    assert origins.tolist() == list(range(2, 16))
    assert np.array_equal(np.concatenate([batch["x"] for batch in found]), x[origins[:, None] + [-2, 0]])
    assert np.array_equal(np.concatenate([batch["y"] for batch in found]), y[origins[:, None] + [1, 4]])


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(1, 12), st.integers(0, 13), st.integers(1, 12), st.integers(1, 5))
def test_a_state_goes_on_with_what_is_left(batch: int, steps: int, other_batch: int, world: int) -> None:
    device = hardware.DEVICES["cpu"]()
    whole = batches(patches(device, batch_size=1))
    loader = patches(device, batch_size=batch)
    iterator = iter(loader)
    done = sum(len(next(iterator)["x"]) for _ in range(min(steps, len(loader))))
    saved = json.loads(json.dumps(loader.state_dict()))
    assert saved["position"] == done and len(json.dumps(saved)) < 4096
    left = {}
    for rank in range(world):
        other = patches(device, batch_size=other_batch + 1, rank=rank, world_size=world, drop_last=True)
        other.load_state_dict(saved)
        found = np.concatenate([one["origins"] for one in batches(other)] or [np.zeros((0, 4), int)])
        left |= {done + rank + world * i: origin.tolist() for i, origin in enumerate(found)}
    expected = {i: whole[i]["origins"][0].tolist() for i in range(done, done + len(left))}
    assert left == expected and 50 - done - len(left) < world * (other_batch + 1)


def test_a_resumed_loader_ends_as_one_that_was_not_stopped(device: Any) -> None:
    whole = batches(patches(device))
    for stop in (0, 1, 5, 12, 13):
        loader = patches(device)
        iterator = iter(loader)
        for _ in range(stop):
            next(iterator)
        saved = loader.state_dict()
        resumed = patches(device, prefetch=0)
        resumed.load_state_dict(saved)
        assert same(batches(resumed), whole[stop:]), stop
        assert resumed.epoch == 1
        again = pickle.loads(pickle.dumps(loader))
        assert same(batches(again), whole[stop:])
        loader.close()


def test_a_state_of_something_else_is_refused_by_name() -> None:
    saved = patches("cpu").state_dict()
    with pytest.raises(ArgumentError, match="seed"):
        patches("cpu", seed=1).load_state_dict(saved)
    with pytest.raises(ArgumentError, match="shuffle"):
        patches("cpu", shuffle=False).load_state_dict(saved)
    with pytest.raises(ArgumentError, match=r"\(5, 9, 8\)"):
        patches("cpu", sample=gpuzarr.Patch((5, 9, 8), stride="random", samples=50)).load_state_dict(saved)
    with pytest.raises(ArgumentError, match=r"position|samples"):
        patches("cpu").load_state_dict({**saved, "position": 51})
    with pytest.raises(ArgumentError, match="state_dict"):
        patches("cpu").load_state_dict({})


def test_an_epoch_that_is_broken_off_begins_again() -> None:
    loader = patches("cpu")
    whole = batches(loader)
    loader.set_epoch(0)
    for _ in loader:
        break
    assert loader.epoch == 0 and same(batches(loader), whole)
    loader.set_epoch(0)
    first = iter(loader)
    next(first)
    loader.load_state_dict(loader.state_dict())
    loader.set_epoch(0)  # that of the state: it goes on where it was
    assert same(batches(loader), whole[1:])


def test_order_and_values_do_not_depend_on_prefetch_or_memory(device: Any) -> None:
    whole = batches(patches(device))
    least = patches(device).plan()
    limit = least.window_bytes + least.batch_bytes * 2
    assert same(batches(patches(device, prefetch=0, memory_limit=limit)), whole)
    assert same(batches(patches(device, prefetch=7)), whole)


def test_ranks_have_everything_once_together(device: Any) -> None:
    of = [patches(device, rank=rank, world_size=3, batch_size=3) for rank in range(3)]
    found = [batches(loader) for loader in of]
    assert len({len(one) for one in found}) == 1 == len({len(loader) for loader in of})
    origins = [tuple(row) for one in found for batch in one for row in batch["origins"]]
    whole = [tuple(row) for batch in batches(patches(device)) for row in batch["origins"]]
    assert sorted(origins) == sorted(whole)
    part = patches(device, part=gpuzarr.Part(axis=-1, index=1, count=7))
    other = batches(patches(device))
    assert all(np.array_equal(a["x"], b["x"][..., 1:2]) for a, b in zip(batches(part), other, strict=True))


def test_parts_of_the_data_share_no_element() -> None:
    x = np.arange(60)
    loader = gpuzarr.Loader({"x": gpuzarr.array(x, chunks=5)}, 4, window=[0, 1, 2], shuffle=True)
    train, validation = loader.split([0.7, 0.3], gap=5)
    one, other = (np.concatenate([batch["x"].ravel() for batch in batches(part)]) for part in (train, validation))
    assert one.max() + 5 < other.min() and len(one) > len(other) > 0
    with pytest.raises(ArgumentError, match="geometry"):
        validation.load_state_dict(train.state_dict())


def test_what_does_not_fit_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ArgumentError, match=r"memory_limit=1000 \(1000 bytes\) is too small: a window .*KiB"):
        patches("cpu", memory_limit=1000)
    with pytest.raises(ArgumentError, match="no sample"):
        gpuzarr.Loader({"x": gpuzarr.array(np.zeros((0, 3)))})
    with pytest.raises(ArgumentError, match="origins"):
        gpuzarr.Loader({"origins": gpuzarr.array([1])}, origins=True)
    for wrong in ({"batch_size": 0}, {"rank": 1}, {"to": "tensorflow"}, {"on_error": "ignore"}, {"prefetch": -1}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            patches("cpu", **wrong)
    plan = patches("cpu").plan()
    assert plan.samples == 50 and plan.batches == 13 and 0 < plan.shuffle_quality <= 1
    assert plan.decoded_per_delivered > 1 and "50 samples" in str(plan) and "the limit is 1" in str(plan)


def test_texts_for_people_have_units_and_say_what_limited() -> None:
    loader = patches("cpu")
    assert " KiB each" in str(loader.plan()) and "GiB" in str(loader.plan())
    batches(loader)
    text = str(loader.last_epoch)
    assert "KiB" in text and "the caller waited" in text and f"limited by {loader.last_epoch.limited_by}: " in text


def test_common_mistakes_are_told_of() -> None:
    x = gpuzarr.array(np.arange(10, dtype="uint8"), chunks=4)
    with pytest.raises(TypeError, match=r"as_torch\(\)"):
        gpuzarr.Loader({"x": x})[0]
    with pytest.warns(GpuZarrWarning, match="has no batches.*drop_last"):
        assert len(gpuzarr.Loader({"x": x}, batch_size=11, drop_last=True)) == 0
    for wrong, how in ((np.zeros(3), r"gpuzarr.array\("), ("a.zarr", r"open_array\("), ([x, x], "one array at a time")):
        with pytest.raises(ArgumentError, match=rf"stats: array must be a gpuzarr.Array, .*{how}"):
            gpuzarr.stats(wrong)  # type: ignore[arg-type]


def test_a_limit_that_was_taken_is_enough_for_all_epochs() -> None:
    """Though random patches of a later one lie across more chunks."""
    a = gpuzarr.array(np.arange(40, dtype="uint8"), chunks=10)
    sample = gpuzarr.Patch((3,), stride="random", samples=1)

    def loader(seed: int, limit: int | None = None) -> gpuzarr.Loader:
        return gpuzarr.Loader({"x": a}, sample=sample, shuffle=True, seed=seed, memory_limit=limit, origins=True)

    def window(seed: int, epoch: int) -> int:
        made = loader(seed)
        made.set_epoch(epoch)
        return made.plan().window_bytes + made.plan().batches_bytes

    seed = next(seed for seed in range(99) if window(seed, 0) < window(seed, 1))
    made = loader(seed, window(seed, 0))
    for epoch in range(3):
        found = list(made)
        assert all(batch["x"].tolist() == [[batch["origins"][0, 1] + i for i in range(3)]] for batch in found)
        assert len(found) == len(made) and made.epoch == epoch + 1


def test_a_damaged_chunk_is_an_error_after_which_the_loader_goes_on(device: Any) -> None:
    store: dict[str, bytes] = {}
    values = np.arange(40, dtype="int64").reshape(40, 1)
    gpuzarr.save_array(store, values, chunks=(4, 1))
    store["c/3/0"] = store["c/3/0"][:7]
    loader = gpuzarr.Loader({"x": gpuzarr.open_array(store, device=device)}, 4)
    iterator, found = iter(loader), []
    while True:
        try:
            found.append(on_host(next(iterator)["x"])[0, 0])
        except ChunkError as error:
            assert "c/3/0" in str(error)
            found.append(-1)
        except StopIteration:
            break
    assert found == [0, 4, 8, -1, 16, 20, 24, 28, 32, 36] and loader.epoch == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_is_refused_where_the_parent_has_begun() -> None:
    loader = patches("cpu")
    next(iter(loader))
    child = os.fork()
    if child == 0:
        try:
            iter(loader)
        except ClosedError as error:
            os._exit(0 if "num_workers=0" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_progress_bar_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    batches(patches("cpu", progress=True))
    assert "13" in capsys.readouterr().err
    batches(patches("cpu"))
    assert not capsys.readouterr().err


@pytest.mark.parametrize("to", ["list", 1, np.array(["numpy", "torch"])])
def test_arrays_of_other_libraries_are_refused(to: Any) -> None:
    loader = gpuzarr.Loader({"x": gpuzarr.array([1, 2])})
    with pytest.raises(ArgumentError, match="to is one of"):
        loader.iterate(to)


def test_a_grid_of_more_chunks_than_have_numbers_is_refused() -> None:
    a = gpuzarr.create_array({}, shape=(2**40, 2**40), chunks=(1, 1), dtype="u1", fill_value=3)
    with pytest.raises(ArgumentError, match=r"'x'.* has 1208925819614629174706176 chunks"):
        gpuzarr.Loader({"x": a}, 4, sample=gpuzarr.Patch((2, 2), stride="random", samples=8))


def test_blocks_whose_last_samples_are_all_padding(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many samples all chunks are needed, not those between the first and the last one."""
    monkeypatch.setattr("gpuzarr.loader.batches.needs.MAX_LISTED_SAMPLES", 3)
    values = np.arange(1, 41)
    loader = gpuzarr.Loader(
        {"x": stored(device, values, 4)},
        batch_size=5,
        sample=gpuzarr.Patch((2,), stride=1, pad=5),
        shuffle=gpuzarr.BlockShuffle(1, block=24),
        origins=True,
    )
    padded = np.pad(values, 10)
    for batch in loader:
        rows = [padded[origin + 10 : origin + 12].tolist() for _, origin in batch["origins"].tolist()]
        assert on_host(batch["x"]).tolist() == rows
