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


def places(line, block):
    """Where cuts may be."""
    found = {line.edges[-1]}
    for (start, stop), edge in zip(line.stores, line.edges, strict=False):
        found |= {edge} | {at - start + edge for at in range(start, stop) if at % block == 0}
    return sorted(found)


def parts_of(line, cuts, gap):
    begins = [0, *(cut + gap for cut in cuts[:-1])]
    return [line.intervals(*part) for part in zip(begins, cuts, strict=True)]


def can_be_cut(line, parts, gap):
    """Whether any cuts leave each part a sample: all of them are tried."""
    every = combinations(range(line.edges[-1] + 1), parts)
    return any(all(has_samples(line, part) for part in parts_of(line, cuts, gap)) for cuts in every)


@settings(max_examples=examples(150), deadline=None)
@given(line=LINES, fractions=FRACTIONS, gap=st.integers(0, 6))
def test_parts_and_gaps_are_everything_once(line, fractions, gap):
    try:
        parts = split(line, fractions, gap)
    except ArgumentError as error:
        assert "a part would have no sample" in str(error)
        assert not can_be_cut(line, len(fractions), gap)
        return
    assert parts == split(line, fractions, gap)
    assert all(has_samples(line, part) for part in parts)
    found = [np.concatenate(on_the_line(line, part)) for part in parts]
    assert found[0][0] == 0
    assert found[-1][-1] == line.edges[-1] - 1
    for before, behind in pairwise(found):
        assert behind[0] - before[-1] - 1 == gap
    for part in found:
        assert (np.diff(part) == 1).all()


@settings(max_examples=examples(150), deadline=None)
@given(line=LINES, fractions=FRACTIONS, gap=st.integers(0, 6))
def test_no_block_is_cut_where_fractions_allow_that(line, fractions, gap):
    for block in line.blocks:
        wanted = [*(round(line.edges[-1] * f) for f in np.cumsum(fractions)[:-1].tolist()), line.edges[-1]]
        cuts = [min(places(line, block), key=lambda at: abs(at - where)) for where in wanted]
        parts = parts_of(line, cuts, gap)
        if cuts == sorted(cuts) and all(has_samples(line, part) for part in parts):
            assert split(line, fractions, gap) == parts
            return


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
