"""The order of samples: a pure function, fair to every rank, and resumable at any place."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpuzarr.errors import ArgumentError
from gpuzarr.loader.order import brackets, lanes
from gpuzarr.loader.order import epoch_order as loader_order
from gpuzarr.loader.order.epoch_order import EpochOrder
from gpuzarr.loader.order.quality import missed, quality
from gpuzarr.loader.order.share import Batching
from gpuzarr.loader.order.shuffle import BlockShuffle, shuffle_of
from gpuzarr.loader.randomness import Purpose, permutation, raw
from gpuzarr.loader.state import loaded, state

Sample = tuple[int, int]

shuffles = st.sampled_from(
    [None, BlockShuffle(), BlockShuffle(6, 3), BlockShuffle(4), BlockShuffle(5), BlockShuffle(1), BlockShuffle(12, 12)]
)
sizes = st.lists(st.integers(0, 9), max_size=25).map(lambda counts: np.array(counts, np.int64))
worlds = st.integers(1, 9)


def order(counts: Any, size: int = 1, rank: int = 0, world: int = 1, *, drop: bool = False, **of: Any) -> EpochOrder:
    return EpochOrder(np.asarray(counts, np.int64), batch_size=size, rank=rank, world_size=world, drop_last=drop, **of)


def pairs(samples: tuple[np.ndarray, np.ndarray]) -> list[Sample]:
    blocks, indices = samples
    assert blocks.dtype == indices.dtype == np.int64
    return list(zip(blocks.tolist(), indices.tolist(), strict=True))


def everything(made: EpochOrder) -> list[Sample]:
    return pairs(made.at(np.arange(made.samples)))


def batches(made: EpochOrder, position: int = 0) -> list[list[Sample]]:
    return [pairs((step.blocks, step.indices)) for step in made.steps(position)]


def divided(made: EpochOrder, position: int = 0) -> bool:
    """Whether the samples behind a position can be divided into as many batches for each rank."""
    left, (size, world) = made.samples - position, (made.batching.batch_size, made.batching.world_size)
    return (
        made.batching.drop_last
        or left % (size * world) in (0, *range(world, size * world))
        or (size > 1 < left / world)
    )


def in_plain_python(counts: list[int], shuffle: BlockShuffle, seed: int, epoch: int) -> list[Sample]:
    """The order of fewer blocks than are dealt in turn, as the docstrings of the library tell it."""
    blocks = [block for block, count in enumerate(counts) if count]
    blocks = [blocks[i] for i in permutation(seed, Purpose.BLOCKS, epoch, n=len(blocks))]
    hands: list[list[int]] = [[] for _ in range(shuffle.lanes or 0)]
    for block in blocks:
        min(hands, key=lambda hand: sum(counts[b] for b in hand)).append(block)
    dealt = []
    for lane, hand in enumerate(hands):
        samples = [(block, index) for block in hand for index in range(counts[block])]
        words = raw(seed, Purpose.SAMPLES, epoch, lane, n=len(samples)) >> np.uint64(32)
        window = {block: number // shuffle.blocks_of_a_lane for number, block in enumerate(hand)}
        ranked = sorted(range(len(samples)), key=lambda i: (window[samples[i][0]], words[i], i))
        dealt.append([samples[i] for i in ranked])
    rounds = range(max(map(len, dealt)))
    return [lane[number] for number in rounds for lane in dealt if number < len(lane)]


@settings(max_examples=60, deadline=None)
@given(counts=sizes, shuffle=shuffles, seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 1000))
def test_order_is_the_one_of_plain_python(counts: np.ndarray, shuffle: Any, seed: int, epoch: int) -> None:
    found = everything(order(counts, seed=seed, epoch=epoch, shuffle=shuffle))
    if shuffle is None:
        assert found == [(block, index) for block, count in enumerate(counts) for index in range(count)]
    else:
        assert found == in_plain_python(counts.tolist(), shuffle, seed, epoch)


@settings(max_examples=60, deadline=None)
@given(
    counts=sizes, shuffle=shuffles, world=worlds, size=st.integers(1, 7), drop=st.booleans(), seed=st.integers(0, 99)
)
def test_ranks_see_everything_once(
    counts: np.ndarray, shuffle: Any, world: int, size: int, drop: bool, seed: int
) -> None:
    ranks = [order(counts, size, rank, world, drop=drop, seed=seed, shuffle=shuffle) for rank in range(world)]
    whole = everything(ranks[0])
    if not divided(ranks[0]):
        with pytest.raises(ArgumentError, match=r"drop_last=True.*batch_size"):
            ranks[0].count()
        return
    found = [batches(rank) for rank in ranks]
    assert {len(of_rank) for of_rank in found} == {ranks[0].count()}
    assert all(batch for of_rank in found for batch in of_rank)
    lengths = [[len(batch) for batch in of_rank] for of_rank in found]
    assert all(length == [size] * len(length) if drop else max(length, default=0) <= size for length in lengths)
    dealt = []  # step after step the samples of the ranks in turn: their slices are strided
    for step in zip(*found, strict=True):
        dealt += [batch[i] for i in range(size) for batch in step if i < len(batch)]
    missing = len(whole) - len(dealt)
    assert dealt == whole[: len(dealt)] and (missing < size * world if drop else missing == 0)
    assert sorted(whole) == [(block, index) for block, count in enumerate(counts) for index in range(count)]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), counts=sizes, shuffle=shuffles, world=worlds, size=st.integers(1, 7), drop=st.booleans())
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(
    data: st.DataObject, counts: np.ndarray, shuffle: Any, world: int, size: int, drop: bool
) -> None:
    made = order(counts, size, data.draw(st.integers(0, world - 1)), world, drop=drop, shuffle=shuffle)
    assume(divided(made))
    steps, whole = list(made.steps()), batches(made)
    assert [step.number for step in steps] == list(range(len(steps)))
    for done, position in enumerate([0, *(step.end for step in steps)]):
        again = order(counts, size, made.batching.rank, world, drop=drop, shuffle=shuffle)
        assert batches(again, position) == whole[done:] and again.count(position) == len(steps) - done
        assert [(step.number, step.end) for step in again.steps(position)] == [(s.number, s.end) for s in steps[done:]]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), counts=sizes, shuffle=shuffles, world=worlds, size=st.integers(1, 7))
def test_the_order_is_kept_when_another_number_of_ranks_goes_on(
    data: st.DataObject, counts: np.ndarray, shuffle: Any, world: int, size: int
) -> None:
    whole = everything(order(counts, shuffle=shuffle))
    position = data.draw(st.integers(0, len(whole)))
    assume(divided(order(counts, size, 0, world), position))
    ranks = [batches(order(counts, size, rank, world, shuffle=shuffle), position) for rank in range(world)]
    dealt = []
    for step in zip(*ranks, strict=True):
        dealt += [batch[i] for i in range(size) for batch in step if i < len(batch)]
    assert dealt == whole[position:]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), counts=sizes, shuffle=shuffles, world=worlds, size=st.integers(1, 7), drop=st.booleans())
def test_blocks_enter_at_their_first_sample_and_leave_at_their_last(
    data: st.DataObject, counts: np.ndarray, shuffle: Any, world: int, size: int, drop: bool
) -> None:
    made = order(counts, size, data.draw(st.integers(0, world - 1)), world, drop=drop, shuffle=shuffle)
    position = data.draw(st.integers(0, made.samples))
    assume(divided(made, position))
    steps = list(made.steps(position))
    with_it: dict[int, list[int]] = {}
    for i, step in enumerate(steps):
        for block in step.blocks.tolist():
            with_it.setdefault(block, []).append(i)
    for i, step in enumerate(steps):
        entering = [block for block in dict.fromkeys(step.blocks.tolist()) if with_it[block][0] == i]
        assert step.enters.tolist() == entering
        assert sorted(step.leaves.tolist()) == sorted(block for block in with_it if with_it[block][-1] == i)
    if position == 0:
        live = [sum(of[0] <= i <= of[-1] for of in with_it.values()) for i in range(len(steps))]
        assert max(live, default=0) <= made.live_blocks() <= np.count_nonzero(counts)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), counts=sizes, shuffle=shuffles)
def test_any_sample_is_found_alone(data: st.DataObject, counts: np.ndarray, shuffle: Any) -> None:
    made = order(counts, shuffle=shuffle)
    whole = everything(made)
    positions = data.draw(st.lists(st.integers(0, max(0, len(whole) - 1)), max_size=30 if whole else 0))
    assert pairs(made.at(np.array(positions, np.int64))) == [whole[position] for position in positions]
    for outside in (-1, len(whole)):
        with pytest.raises(ArgumentError, match=f"{outside}"):
            made.at(np.array([outside]))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), counts=sizes, shuffle=shuffles, world=worlds, size=st.integers(1, 7), at_once=st.integers(1, 20))
def test_it_does_not_matter_how_much_is_looked_at_in_one_go(
    data: st.DataObject, counts: np.ndarray, shuffle: Any, world: int, size: int, at_once: int
) -> None:
    made = order(counts, size, data.draw(st.integers(0, world - 1)), world, drop=True, shuffle=shuffle)
    expected = list(made.steps())
    with (
        patch.object(lanes, "GROUP_SAMPLES", at_once),
        patch.object(brackets, "PIECE_SAMPLES", at_once),
        patch.object(loader_order, "RUN_SAMPLES", at_once),
    ):
        made.arrangement.kept.clear()
        for step, again in zip(expected, made.steps(), strict=True):
            assert all(np.array_equal(getattr(again, name), value) for name, value in vars(step).items())


@pytest.mark.parametrize("counts", [[1000] * 300, [3] * 20000, [0, 40000, 1, 0, 70000, 5, 5], [1] * 50000])
@pytest.mark.parametrize("world", [1, 4, 3])
def test_large_orders_are_whole(counts: list[int], world: int) -> None:
    """With more samples, windows and blocks than are looked at in one go."""
    made = [order(counts, 100, rank, world, drop=True, seed=3, shuffle=BlockShuffle()) for rank in range(world)]
    whole = np.stack(made[0].at(np.arange(made[0].samples)), axis=1)
    expected = [np.repeat(np.arange(len(counts)), counts), np.concatenate([np.arange(count) for count in counts])]
    assert (whole[np.lexsort(whole.T[::-1])] == np.stack(expected, axis=1)).all()
    for rank, of_rank in enumerate(made):
        steps = list(of_rank.steps())
        mine = whole[rank : len(steps) * 100 * world : world]
        assert (np.concatenate([step.blocks for step in steps]) == mine[:, 0]).all()
        assert (np.concatenate([step.indices for step in steps]) == mine[:, 1]).all()
        used = np.unique(mine[:, 0])
        assert np.sort(np.concatenate([step.enters for step in steps])).tolist() == used.tolist()
        assert np.sort(np.concatenate([step.leaves for step in steps])).tolist() == used.tolist()
        later = next(of_rank.steps(steps[-2].end))
        assert (later.blocks == steps[-1].blocks).all() and (later.indices == steps[-1].indices).all()


def test_ranks_have_lanes_of_their_own() -> None:
    """Where their number divides that of the lanes, no two read the same block, but in the tail."""
    sizes = np.random.default_rng(0).integers(50, 150, 400)
    for world in (2, 4, 8):
        seen = []
        for rank in range(world):
            made = order(sizes, 4, rank, world, drop=True, shuffle=BlockShuffle())
            tail = int(made.arrangement.turns.starts[1])
            assert made.samples - tail < 8 * 150  # lanes end nearly at the same time
            seen.append({block for step in made.steps() if step.end <= tail for block in step.blocks.tolist()})
            assert made.live_blocks() <= 16 + 2
        assert sum(map(len, seen)) == len(set().union(*seen)) > 380
    equal = [order([100] * 160, 7, rank, 8, shuffle=BlockShuffle()).live_blocks() for rank in range(8)]
    assert max(equal) == 2 + 2  # of the window that ends and of the one that begins in the same step


def test_lanes_end_at_nearly_the_same_time() -> None:
    rng = np.random.default_rng(0)
    for counts in (rng.integers(1, 100, 20000), np.where(rng.random(3000) < 0.2, 10, 100), np.arange(200)):
        ends = [lane.samples for lane in order(counts, shuffle=BlockShuffle()).arrangement.lanes]
        assert max(ends) - min(ends) <= counts.max()


def test_windows_bound_the_blocks_of_a_stretch() -> None:
    """A lane mixes the samples of its blocks only, and all of them before it takes the next ones."""
    made = order([10] * 64, 8, shuffle=BlockShuffle(blocks=16, lanes=8))
    blocks = made.at(np.arange(640))[0].reshape(4, 160)  # four windows of sixteen blocks
    assert [len(set(window.tolist())) for window in blocks] == [16] * 4
    assert len(set(blocks.ravel().tolist())) == 64
    assert all(len(set(step.blocks.tolist())) > 4 for step in made.steps())


def test_seeds_and_epochs_have_other_orders() -> None:
    orders = [everything(order([5] * 20, seed=s, epoch=e, shuffle=BlockShuffle())) for s in (0, 1) for e in (0, 1, 2)]
    assert len(set(map(tuple, orders))) == 6
    assert everything(order([5] * 20, seed=1)) == everything(order([5] * 20, epoch=2))


def test_shuffled_samples_are_uniform() -> None:
    """Within a window any sample may come at any place."""
    drawn = [order([3, 3], seed=seed, shuffle=BlockShuffle(2, 1)).at(np.array([0, 5])) for seed in range(1200)]
    for place in range(2):
        counts = np.unique([3 * blocks[place] + indices[place] for blocks, indices in drawn], return_counts=True)[1]
        assert len(counts) == 6 and ((counts - 200) ** 2 / 200).sum() < 20.5  # chi-squared, 5 degrees: p = 0.001


def test_the_order_is_pinned() -> None:
    """A change of it lets states that users have saved mean another order, so `state.VERSION` must change with it."""
    made = order([3, 0, 2, 4, 1, 3], seed=7, epoch=2, shuffle=BlockShuffle(blocks=4, lanes=2))
    assert everything(made) == [
        *[(5, 1), (3, 2), (5, 2), (2, 0), (5, 0), (3, 3), (4, 0)],
        *[(3, 0), (0, 0), (2, 1), (0, 1), (3, 1), (0, 2)],
    ]
    many = order(np.arange(1, 3000), seed=2**63, shuffle=BlockShuffle())
    blocks, indices = many.at(np.arange(many.samples))
    weights = np.arange(many.samples, dtype=np.uint64)
    assert int((weights * (blocks * 4096 + indices).astype(np.uint64)).sum()) == 8764055781947889431


def test_a_billion_samples_cost_what_is_asked_for() -> None:
    """Were each sample looked at, this would take minutes, and memory of gigabytes."""
    counts = np.full(10**6, 1000)
    for shuffle in (None, BlockShuffle()):
        made = order(counts, 32, 1, 2, shuffle=shuffle)
        first, later = next(made.steps()), next(made.steps(10**9 // 2 + 7))
        assert len(first.blocks) == len(later.blocks) == 32 and later.end == 10**9 // 2 + 7 + 64
        assert made.count() == 10**9 // 64


def test_orders_without_samples() -> None:
    for counts in ([], [0, 0]):
        for shuffle in (None, BlockShuffle()):
            made = order(counts, 4, 1, 2, shuffle=shuffle)
            assert made.samples == made.count() == made.live_blocks() == 0 and not list(made.steps())
            assert everything(made) == []


def test_what_cannot_be_divided_is_refused() -> None:
    for samples, size, world in ((7, 1, 3), (2, 4, 3), (1, 1, 2)):
        with pytest.raises(ArgumentError, match=f"{samples} samples cannot .* batches of {size} for {world} ranks"):
            order([samples], size, 0, world).count()
        assert order([samples], size, 0, world, drop=True).count() == samples // (size * world)
    assert [len(step.blocks) for step in order([8], 2, 0, 3).steps()] == [2, 1]  # of 5 and of 3 samples
    assert [len(step.blocks) for step in order([8], 2, 2, 3).steps()] == [1, 1]
    with pytest.raises(ArgumentError, match="1 samples behind position 7"):
        order([8], 2, 0, 3).count(7)
    for position in (-1, 9):
        with pytest.raises(ArgumentError, match=f"position .* not {position}"):
            order([8], 2).count(position)
    with pytest.raises(ArgumentError, match=r"BlockShuffle\(block="):
        order([2**28, 2**28], shuffle=BlockShuffle(2, 1))


@pytest.mark.parametrize(
    ("batching", "name"),
    [
        ((0,), "batch_size"),
        ((1.5,), "batch_size"),
        ((1, 2, 2), "rank"),
        ((1, -1, 2), "rank"),
        ((1, 0, 0), "world_size"),
    ],
)
def test_batches_that_mean_nothing_are_refused(batching: Any, name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        Batching(*batching)


def test_shuffles() -> None:
    assert shuffle_of(False) is None and shuffle_of(True) == BlockShuffle(16, 8)
    assert shuffle_of(BlockShuffle(3)) == BlockShuffle(3, 1)
    assert [BlockShuffle(blocks).lanes for blocks in (1, 6, 12, 24)] == [1, 2, 4, 8]
    assert BlockShuffle(np.int64(9), 3, np.array([4, 5])) == BlockShuffle(9, 3, (4, 5))  # type: ignore[arg-type]
    assert BlockShuffle(9, 3).blocks_of_a_lane == 3 and BlockShuffle(block=7).block == 7
    blocks = [{"block": block} for block in (0, (), "a", np.array(3), np.zeros(0, int), {3}, [[3]])]
    for wrong in ({"blocks": 0}, {"blocks": 9, "lanes": 2}, {"lanes": 0}, *blocks):
        with pytest.raises(ArgumentError, match="|".join(wrong)):
            BlockShuffle(**wrong)  # type: ignore[arg-type]
    for other in (None, 1, "yes", np.ones(2)):
        with pytest.raises(ArgumentError, match="shuffle must be"):
            shuffle_of(other)


GEOMETRY = {"shape of x": "(100, 3)", "blocks": "sha256:0a1b"}


def test_states_come_back() -> None:
    made = state(np.int64(3), 640, 7, GEOMETRY)  # type: ignore[arg-type]
    assert loaded(json.loads(json.dumps(made)), 7, GEOMETRY) == (3, 640)
    assert len(json.dumps(made)) < 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 8}, "seed 8.* seed 7"),
        ({"version": 2}, "version 2.* version 1"),
        ({"version": "1"}, "version of the state"),
        ({"position": -1}, "position of the state"),
        ({"position": 2**64}, "position of the state"),
        ({"position": 1.0}, "position of the state"),
        ({"epoch": None}, "epoch of the state"),
        ({"seed": True}, "seed of the state"),
        ({"geometry": 5}, "geometry of the state"),
        ({"geometry": {"blocks": [1]}}, "geometry of the state"),
        ({"geometry": {}}, "blocks is absent in the state and 'sha256:0a1b' in the loader"),
        (
            {"geometry": GEOMETRY | {"blocks": "other"}},
            "blocks is 'other' in the state and 'sha256:0a1b' in the loader",
        ),
        ({"geometry": GEOMETRY | {"new": "a"}}, "new is 'a' in the state and absent in the loader"),
    ],
)
def test_other_states_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        loaded(state(3, 640, 7, GEOMETRY) | change, 7, GEOMETRY)


@pytest.mark.parametrize("garbage", [None, 5, "state", [], b"", {}, {"version": 1}, {1: 2}])
def test_what_is_no_state_is_refused(garbage: Any) -> None:
    with pytest.raises(ArgumentError, match=r"state_dict\(\)"):
        loaded(garbage, 7, GEOMETRY)


def score_of(counts: np.ndarray, shuffle: Any, batch: int) -> float:
    """The score by its definition: from the blocks in the batches of real orders, and of shuffles of all samples."""
    rng, block = np.random.default_rng(1), np.repeat(np.arange(len(counts)), counts)
    ends = range(0, len(block) - batch + 1, batch)

    def different(blocks: np.ndarray) -> float:
        return float(np.mean([len(np.unique(blocks[low : low + batch])) for low in ends]))

    real = [different(order(counts, seed=seed, shuffle=shuffle).at(np.arange(len(block)))[0]) for seed in range(30)]
    return float(np.mean(real) / np.mean([different(rng.permutation(block)) for _ in range(30)]))


@pytest.mark.parametrize("batch", [1, 5, 64, 300])
@pytest.mark.parametrize("shuffle", [None, BlockShuffle(16), BlockShuffle(4), BlockShuffle(64, 1), BlockShuffle(6, 3)])
def test_quality_is_what_orders_have(shuffle: BlockShuffle | None, batch: int) -> None:
    counts = np.append(np.random.default_rng(0).integers(0, 30, 40), [60, 1])
    assert quality(counts, shuffle, batch) == pytest.approx(min(1, score_of(counts, shuffle, batch)), rel=0.03)


def test_better_shuffles_have_better_scores() -> None:
    counts = np.full(1000, 100)
    scores = [
        quality(counts, s, 64) for s in (None, *(BlockShuffle(b) for b in (1, 4, 16, 64, 256)), BlockShuffle(1000, 1))
    ]
    assert all(a <= b for a, b in pairwise(scores)) and scores[0] < 0.03 and scores[-1] == pytest.approx(1)
    assert scores[3] == pytest.approx(16 / 62, rel=0.05)
    assert quality(np.array([], np.int64), None, 4) == quality(np.array([5]), None, 100) == 1.0


def test_probabilities_are_right_for_few_and_for_many_samples() -> None:
    assert missed(np.array([1, 2, 3, 0]), np.array(3), np.array(1)) == pytest.approx([2 / 3, 1 / 3, 0, 1])
    for total in (70_000, 10**9):
        for size, drawn in ((1, 1), (1000, 32), (32, 1000), (7, 50_000), (total - 5, 3)):
            one_by_one = np.exp(np.log1p(-size / (total - np.arange(drawn, dtype=float))).sum())
            found = missed(np.array([size]), np.array(total), np.array(drawn))[0]
            assert found == pytest.approx(one_by_one, rel=1e-5) and 1 - found == pytest.approx(1 - one_by_one, rel=1e-4)


def test_a_window_of_more_blocks_than_there_are_is_one_of_all() -> None:
    counts = np.array([3, 5, 1, 4, 4, 4, 2, 7], np.int64)
    scores = {quality(counts, BlockShuffle(blocks, lanes=2), 6) for blocks in (8, 16, 1 << 20)}
    assert len(scores) == 1 and max(scores) > quality(counts, BlockShuffle(4, lanes=2), 6)
