"""Random numbers of the loader: the same for all time, at any place of their sequence."""

from __future__ import annotations

import numpy as np
import pytest

from gpuzarr.loader.randomness import SEED_MAX, Purpose, fractions, integers_below, permutation, raw, shuffled

# of Philox4x64 with 10 rounds, as its authors publish them (Random123, kat_vectors): counter and key, then the words
ONES = 2**64 - 1
KNOWN = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]  # of zeros


def test_words_are_those_of_philox() -> None:
    # NumPy counts before it draws: the words of counter 0 come after the last counter
    philox = np.random.Philox(key=[0, 0], counter=[ONES, ONES, ONES, ONES])
    assert philox.random_raw(4).tolist() == KNOWN
    philox = np.random.Philox(key=[7, 0], counter=[0, 1, 2, 3])
    assert raw(7, 1, 2, 3, n=9).tolist() == philox.random_raw(9).tolist()


def test_numbers_are_pinned() -> None:
    """A change of them changes the order of every epoch: states of users mean something else then."""
    assert raw(1, Purpose.ORIGINS, 2, 3, n=2).tolist() == [3838192927734520896, 3011769794982063957]
    assert permutation(1, Purpose.BLOCKS, 2, n=8).tolist() == [7, 5, 4, 0, 3, 6, 1, 2]
    assert integers_below(100, SEED_MAX, Purpose.DRAWS, n=5).tolist() == [46, 91, 72, 70, 24]
    assert [int(purpose) for purpose in Purpose] == [0, 1, 2, 3]


@pytest.mark.parametrize("start", [0, 1, 3, 4, 7, 1000])
def test_any_part_of_a_stream_is_had_alone(start: int) -> None:
    whole = raw(5, 1, n=1100)
    assert (raw(5, 1, n=100, start=start) == whole[start : start + 100]).all()
    assert raw(5, 1, n=0, start=start).shape == (0,)
    assert (fractions(5, 1, n=9, start=start) == fractions(5, 1, n=1100)[start : start + 9]).all()
    assert (integers_below(9, 5, 1, n=9, start=start) == integers_below(9, 5, 1, n=1100)[start : start + 9]).all()


def test_streams_share_no_words() -> None:
    streams = [raw(seed, *counter, n=100) for seed in (0, 1, SEED_MAX) for counter in ((0,), (1,), (0, 1), (0, 0, 1))]
    assert len(np.unique(np.concatenate(streams))) == 1200


def test_permutations_are_uniform() -> None:
    drawn = np.array([permutation(seed, Purpose.BLOCKS, n=4) for seed in range(4800)])
    assert (np.sort(drawn) == range(4)).all()
    counts = np.unique(drawn @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 200) ** 2 / 200).sum() < 50  # chi-squared, 23 degrees of freedom: p = 0.001


def test_equal_words_keep_their_order() -> None:
    assert shuffled(np.zeros(5, np.uint64)).tolist() == [0, 1, 2, 3, 4]


def test_integers_lie_below() -> None:
    below = np.arange(1, 2001)
    drawn = integers_below(below, 3, n=2000)
    assert drawn.dtype == np.int64 and (drawn >= 0).all() and (drawn < below).all()
    assert abs((drawn / below).mean() - 0.5) < 0.03
    assert set(integers_below(3, 3, n=100).tolist()) == {0, 1, 2}
    assert integers_below(2**63, 3, n=100).max() > 2**61


def test_fractions_are_below_one() -> None:
    drawn = fractions(3, n=10000)
    assert (drawn >= 0).all() and (drawn < 1).all() and abs(drawn.mean() - 0.5) < 0.02
