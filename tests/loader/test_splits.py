"""Parts for training and validation share no element, and leave nothing out but gaps."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.space.splits import Line, split
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
    """Whether there is room for one, or a whole store."""
    pairs = zip(intervals, line.stores, strict=True)
    return any(
        stop > start and (stop - start >= line.extent or (start, stop) == whole) for (start, stop), whole in pairs
    )


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


# ---- Of a loader ----


def touched(part, store=0):
    """For each array of a store the elements that any sample of a loader wants, as a mask; and how many samples."""
    found = {view.name: np.zeros(view.arrays[store].shape, bool) for view in part.views}
    counts = part.space.counts(0)
    blocks = np.flatnonzero(counts)
    for block in blocks[part.space.stores(blocks) == store].tolist():
        origins = part.space.origins(block, 0)
        for view in part.views:
            for selection in view.selections(store, origins):
                found[view.name][np.ix_(*[np.asarray(axis) for axis in selection.axes])] = True
    return found, int(counts.sum())


def disjoint(parts, stores=1):
    for store in range(stores):
        masks = [touched(part, store)[0] for part in parts]
        for one, other in combinations(masks, 2):
            for name in one:
                assert not (one[name] & other[name]).any(), name


PATCHES = st.fixed_dictionaries(
    {
        "stride": st.sampled_from([None, 1, 2, 5, "random"]),
        "edge": st.sampled_from(["shift", "pad", "drop"]),
        "pad": st.sampled_from([0, 0, 1, 3]),
        "pad_mode": st.sampled_from(["constant", "reflect"]),
    }
)


@settings(max_examples=examples(60), deadline=None)
@given(
    length=st.integers(8, 60),
    size=st.integers(1, 9),
    patch=PATCHES,
    fractions=st.sampled_from([[0.5, 0.5], [0.8, 0.2], [0.6, 0.2, 0.2], [0.3, 0.3]]),
    gap=st.integers(0, 5),
    chunk=st.integers(1, 20),
    scale=st.sampled_from([1, 1, 2]),
)
def test_patches_of_parts_share_no_element_of_any_array(length, size, patch, fractions, gap, chunk, scale):
    coarse = gpuzarr.zeros(length, chunks=chunk, dtype="u1")
    fine = gpuzarr.zeros(length * scale, chunks=chunk, dtype="u1")
    if patch["stride"] not in (None, "random"):
        patch["stride"] *= scale
    spacing = {"x": [1], "y": [scale]} if scale > 1 else None
    sample = gpuzarr.Patch(size * scale, **patch)
    try:
        loader = gpuzarr.Loader({"x": fine, "y": coarse}, 1, sample=sample, spacing=spacing)
        parts = loader.split(fractions, gap=gap)
    except ArgumentError:
        return
    disjoint(parts)
    places = [np.flatnonzero(touched(part)[0]["x"]) for part in parts]
    for before, behind in pairwise(some for some in places if len(some)):  # a patch may lie in padding alone
        assert behind[0] - before[-1] - 1 >= gap


@settings(max_examples=examples(40), deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    window=st.sampled_from([None, [0, 1], [-2, 0, 3], {"x": [-1, 0], "y": [2]}]),
    stride=st.integers(1, 3),
    fractions=st.sampled_from([[0.5, 0.5], [0.7, 0.3], [0.4, 0.3, 0.3]]),
    gap=st.integers(0, 4),
)
def test_windows_of_parts_share_no_row(lengths, window, stride, fractions, gap):
    arrays = {name: [gpuzarr.zeros(n, chunks=4, dtype="u1") for n in lengths] for name in ("x", "y")}
    try:
        loader = gpuzarr.Loader(arrays, 1, sample=gpuzarr.Rows(stride=stride), window=window)
        parts = loader.split(fractions, gap=gap)
    except ArgumentError:
        return
    disjoint(parts, len(lengths))
    every = [touched(part)[1] for part in parts]
    assert min(every) > 0
    assert sum(every) <= touched(loader)[1] + (len(parts) * len(lengths) if stride > 1 else 0)  # each begins anew


def test_rows_and_gaps_are_all_rows():
    loader = gpuzarr.Loader({"x": gpuzarr.zeros((100, 3), chunks=(10, 3))}, 1)
    one, other = (touched(part)[0]["x"][:, 0] for part in loader.split([0.75, 0.25], gap=7))
    assert np.flatnonzero(one).tolist() == list(range(80)) or np.flatnonzero(one).tolist() == list(range(70))
    assert np.flatnonzero(~one & ~other).tolist() == list(range(one.sum(), one.sum() + 7))


def test_parts_are_of_another_geometry_and_can_be_split_again():
    loader = gpuzarr.Loader({"x": gpuzarr.zeros(100, chunks=10)}, 1, window=[0, 1])
    train, rest = loader.split([0.6, 0.4])
    validation, test = rest.split([0.5, 0.5])
    disjoint([train, validation, test])
    assert [touched(part)[0]["x"].sum() for part in (train, validation, test)] == [60, 20, 20]
    with pytest.raises(ArgumentError):
        test.load_state_dict(validation.state_dict())


def test_other_axes_and_regions():
    x = gpuzarr.zeros((20, 30), chunks=(10, 10))
    halves = [(slice(0, 8), slice(None)), (slice(12, 20), slice(0, 20))]
    loader = gpuzarr.Loader({"x": x}, 1, sample=gpuzarr.Patch((4, 5), region=halves))
    one, other = loader.split([0.6, 0.4], axis=1)
    disjoint([one, other])
    assert touched(one)[0]["x"].sum() == 8 * 30 and touched(other)[0]["x"].sum() == 8 * 20
    with pytest.raises(ArgumentError, match="axis"):
        loader.split([0.5, 0.5], axis=2)
    overlapping = gpuzarr.Patch((4, 5), region=[halves[0], halves[0]])
    with pytest.raises(ArgumentError, match="share elements"):
        gpuzarr.Loader({"x": x}, 1, sample=overlapping).split([0.5, 0.5])


@given(
    regions=st.lists(st.tuples(st.integers(0, 17), st.integers(0, 17)), min_size=2, max_size=4),
    pad=st.integers(0, 2),
    edge=st.sampled_from(["shift", "pad"]),
)
def test_regions_that_come_near_each_other_are_refused(regions, pad, edge):
    x = gpuzarr.zeros((20, 20), chunks=(10, 10))
    boxes = [(slice(i, i + 3), slice(j, j + 3)) for i, j in regions]
    loader = gpuzarr.Loader({"x": x}, 1, sample=gpuzarr.Patch((3, 3), region=boxes, pad=pad, edge=edge))
    reach = 3 + 2 * (pad + (3 if edge == "pad" else 0))
    if any(max(abs(a[0] - b[0]), abs(a[1] - b[1])) < reach for a, b in combinations(regions, 2)):
        with pytest.raises(ArgumentError, match="share elements"):
            loader.split([0.5, 0.5])
    else:  # each region has a sample, also where it is smaller than one
        disjoint(loader.split([0.5, 0.5]))


def test_a_part_without_a_sample_is_refused():
    loader = gpuzarr.Loader({"x": gpuzarr.zeros(10, chunks=2)}, 1, sample=gpuzarr.Patch(4))
    with pytest.raises(ArgumentError, match=r"a part would have no sample: 3 parts of 10"):
        loader.split([0.4, 0.3, 0.3])
