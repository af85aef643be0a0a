"""Parts for training and validation share no element, and leave nothing out but gaps."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.errors import ArgumentError
from gpuzarr.loader.splits import Line, split
from tests.conftest import examples

LINES = st.builds(
    Line,
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)).map(lambda p: (p[0], sum(p))), min_size=1, max_size=4),
    st.integers(1, 6),
    st.sampled_from([(1,), (4, 1), (10, 1), (7, 3, 1)]),
)
FRACTIONS = st.lists(st.integers(1, 10), min_size=1, max_size=4).map(lambda n: [x / sum(n) for x in n])


def on_the_line(line, intervals):
    """The places of the elements of a part, of each store by itself."""
    edges = line.edges
    return [
        np.arange(start, stop) - first + edge
        for (start, stop), (first, _), edge in zip(intervals, line.stores, edges, strict=False)
    ]


def has_samples(line, intervals):
    return any(stop - start >= line.extent for start, stop in intervals)


def can_be_cut(line, parts, gap, block):
    """Whether some cuts at the ends of blocks or stores leave each part a sample: all of them are tried."""
    places = {line.edges[-1]}
    for (start, stop), edge in zip(line.stores, line.edges, strict=False):
        places |= {edge} | {at - start + edge for at in range(start, stop) if at % block == 0}
    for ends in combinations(sorted(places), parts):
        begins = [0, *(end + gap for end in ends[:-1])]
        if all(has_samples(line, line.intervals(*part)) for part in zip(begins, ends, strict=True)):
            return True
    return False


@settings(max_examples=examples(150), deadline=None)
@given(line=LINES, fractions=FRACTIONS, gap=st.integers(0, 6))
def test_parts_and_gaps_are_everything_once(line, fractions, gap):
    if not any(can_be_cut(line, len(fractions), gap, block) for block in line.blocks):
        with pytest.raises(ArgumentError, match="a part would have no sample"):
            split(line, fractions, gap)
        return
    parts = split(line, fractions, gap)
    assert parts == split(line, fractions, gap)
    assert all(has_samples(line, part) for part in parts)
    places = [np.concatenate(on_the_line(line, part)) for part in parts]
    assert places[0][0] == 0
    assert places[-1][-1] == line.edges[-1] - 1
    for before, behind in pairwise(places):
        assert behind[0] - before[-1] - 1 == gap
    for part in places:
        assert (np.diff(part) == 1).all()


@settings(max_examples=examples(150), deadline=None)
@given(line=LINES, fractions=FRACTIONS, gap=st.integers(0, 6))
def test_no_block_is_cut_where_that_is_possible(line, fractions, gap):
    block = next((b for b in line.blocks if can_be_cut(line, len(fractions), gap, b)), None)
    if block is None:
        return
    for part in split(line, fractions, gap)[:-1]:
        stop, last = [(at[1], store[1]) for at, store in zip(part, line.stores, strict=True) if at[0] < at[1]][-1]
        assert stop % block == 0 or stop == last


@settings(max_examples=examples(100), deadline=None)
@given(lengths=st.lists(st.integers(20, 90), min_size=1, max_size=5), fractions=FRACTIONS, block=st.integers(1, 4))
def test_parts_are_as_large_as_fractions_say(lengths, fractions, block):
    line = Line([(0, n) for n in lengths], 1, (block, 1))
    total = sum(lengths)
    if min(fractions) * total < 2 * block:
        return
    ends = np.cumsum([sum(stop - start for start, stop in part) for part in split(line, fractions, 0)])
    assert np.abs(ends - np.cumsum(fractions) * total).max() <= block / 2 + 0.5


def test_what_fractions_leave_over_is_in_no_part():
    assert split(Line([(0, 100)], 1, (10,)), [0.5, 0.2], 5) == [[(0, 50)], [(55, 70)]]


def test_whole_stores_stay_in_a_part():
    assert split(Line([(0, 10)] * 5, 4, (4, 1)), [0.8, 0.2], 0) == [
        [(0, 10)] * 4 + [(0, 0)],
        [(10, 10)] * 4 + [(0, 10)],
    ]


def test_a_gap_reaches_into_the_next_store():
    assert split(Line([(0, 10), (0, 10)], 1, (5,)), [0.5, 0.5], 3) == [[(0, 10), (0, 0)], [(10, 10), (3, 10)]]


@pytest.mark.parametrize(
    "fractions", [[], [0.5, 0.6], [0.5, 0], [0.5, -0.1], [float("nan")], [True], ["half"], 0.5, None, "0.5"]
)
def test_fractions_that_mean_nothing(fractions):
    with pytest.raises(ArgumentError, match="split takes a list of fractions"):
        split(Line([(0, 100)], 1, (1,)), fractions, 0)
