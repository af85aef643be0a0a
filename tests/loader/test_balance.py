"""Centres of patches are as often of each class, or of each place, as `balance` says."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError, ChangedError, ChunkError, GpuZarrWarning
from gpuzarr.loader import masses
from gpuzarr.loader.alignment import Scale
from gpuzarr.loader.balance import BalancedSpace
from gpuzarr.loader.grids import Domain, Domains, Origins
from gpuzarr.loader.ground import Balance
from tests.conftest import examples


def space(values, shape, block, samples, scale=1, classes=None, seed=0, chunks=None, region=None, step=1):
    """A space over stores with these balance arrays, of which an element is `scale` elements of the first array.

    Blocks are of origins, which are at each `step` elements.
    """
    stores = values if isinstance(values, list) else [values]
    arrays = [v if isinstance(v, gpuzarr.Array) else gpuzarr.array(v, chunks=chunks or block) for v in stores]
    domains = []
    for number, a in enumerate(arrays):
        starts, stops = region or ((0,) * a.ndim, tuple(n * scale for n in a.shape))
        axes = []
        for start, stop, size in zip(starts, stops, shape, strict=True):
            first = -(-start // step) * step
            count = max((stop - size - first) // step + 1, 0)
            axes.append(Origins(first, step, count, first + (count - 1) * step))
        edges = [np.arange(b, stop, b) for b, stop in zip(block, stops, strict=True)]
        edges = [e[(e > axis.first) & (e <= axis.last)] for e, axis in zip(edges, axes, strict=True)]
        domains.append(Domain.of(number, list(zip(starts, stops, strict=True)), axes, edges))
    balances = [Balance(a, tuple(range(a.ndim)), (Scale(Fraction(scale)),) * a.ndim) for a in arrays]
    return BalancedSpace.of(
        Domains(domains, len(shape)), shape, balances, classes, samples, seed, {"patch": str(shape)}
    )


def origins(found, epoch=0):
    """Of all samples: the store and the first element of each, int64 (n, 1 + axes)."""
    rows = [np.zeros((0, 1 + found.axes), np.int64)]
    counts = found.counts(epoch)
    for block in np.flatnonzero(counts).tolist():
        of_block = found.origins(block, epoch)
        assert of_block.shape == (counts[block], found.axes)
        store = found.stores(np.full(len(of_block), block))
        rows.append(np.column_stack([store, of_block]))
    return np.concatenate(rows)


def centres(found, epoch=0):
    """Where the centres of samples of one element are."""
    return origins(found, epoch)[:, 1:]


VOLUME = np.zeros((40, 60, 50), "uint8")
VOLUME[:20] = 1
VOLUME[30, 30, 20:30] = 5  # of a million voxels ten


def test_each_class_is_the_centre_equally_often():
    found = space(VOLUME, (1, 1, 1), (16, 16, 16), 1000)
    for epoch in range(3):
        labels = VOLUME[tuple(centres(found, epoch).T)]
        assert sorted(np.bincount(labels)[[0, 1, 5]]) == [333, 333, 334]


def test_each_voxel_of_a_rare_class_is_as_often_the_centre():
    at = centres(space(VOLUME, (1, 1, 1), (16, 16, 16), 3000))
    rare = at[VOLUME[tuple(at.T)] == 5]
    assert len(rare) == 1000
    each = np.bincount(rare[:, 2])[20:30]
    assert each.sum() == 1000
    assert np.abs(each - 100).max() <= 4


def test_classes_have_the_weights_that_are_given():
    at = centres(space(VOLUME, (1, 1, 1), (16, 16, 16), 800, classes={1: 3, np.uint8(5): 1, 0: 0}))
    assert np.bincount(VOLUME[tuple(at.T)]).tolist() == [0, 600, 0, 0, 0, 200]


@pytest.mark.parametrize("classes", [None, {True: 3, False: 1}])
def test_masks_say_where_centres_are(classes):
    mask = VOLUME == 5
    at = centres(space(mask, (1, 1, 1), (16, 16, 16), 400, classes=classes))
    assert np.count_nonzero(mask[tuple(at.T)]) == (400 if classes is None else 300)


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_quotas_are_within_one_of_the_shares(data):
    """Of each class, and of each block of a class; of weights of each block."""
    shape = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple))
    block, chunks = (tuple(data.draw(st.integers(1, 7)) for _ in shape) for _ in range(2))
    seed, samples = data.draw(st.integers(0, 2**64 - 1)), data.draw(st.integers(0, 300))
    rng = np.random.default_rng(seed % 1000)
    is_float = data.draw(st.booleans())
    labels = rng.integers(-2, 3, shape)
    values = (
        rng.random(shape) * (labels > -1) + (labels == 0)
        if is_float
        else labels.astype(data.draw(st.sampled_from(["i1", "i8"])))
    )
    if is_float and not values.any():
        return
    found = space(values, (1,) * len(shape), block, samples, chunks=chunks, seed=seed)
    at = centres(found)
    assert len(at) == samples == found.counts(0).sum()
    for label in [None] if is_float else np.unique(values):
        mass = values if is_float else (values == label).astype("f8")
        share = samples / (1 if is_float else len(np.unique(values)))
        mine = at if is_float else at[values[tuple(at.T)] == label]
        assert mass[tuple(mine.T)].all()
        assert abs(len(mine) - share) < 1 + 1e-6
        of_block, in_block = np.zeros((2, *[-(-n // b) for n, b in zip(shape, block, strict=True)]))
        np.add.at(of_block, tuple((mine // block).T), 1)
        np.add.at(
            in_block,
            tuple(np.stack(np.indices(shape), -1).reshape(-1, len(shape)).T // np.array(block)[:, None]),
            mass.reshape(-1),
        )
        assert np.abs(of_block - in_block / mass.sum() * len(mine)).max() < 1 + 1e-6


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_patches_lie_inside_and_hold_their_centre(data):
    shape = data.draw(st.lists(st.integers(4, 12), min_size=1, max_size=3).map(tuple))
    patch = tuple(data.draw(st.integers(1, n - 2)) for n in shape)
    scale, step = data.draw(st.sampled_from([(1, 1), (2, 1), (4, 1), (2, 2), (1, 3)]))
    patch = tuple(max(n, step) for n in patch)
    start = tuple(data.draw(st.integers(0, n * scale - p)) for n, p in zip(shape, patch, strict=True))
    stop = tuple(data.draw(st.integers(s + p, n * scale)) for s, p, n in zip(start, patch, shape, strict=True))
    mask = np.random.default_rng(len(shape)).random(shape) < 0.3
    fine = mask
    for axis in range(mask.ndim):
        fine = fine.repeat(scale, axis)
    region = tuple(slice(*ends) for ends in zip(start, stop, strict=True))
    try:
        found = space(
            mask, patch, (5,) * len(shape), 50, scale=scale, step=step, region=(start, stop), chunks=(4,) * len(shape)
        )
        at = origins(found)[:, 1:]
    except ArgumentError:
        assert not fine[region].all()
        return
    assert (at >= start).all() and (at + patch <= stop).all()
    for origin in at:
        assert fine[tuple(slice(o, o + p) for o, p in zip(origin, patch, strict=True))].any()


def test_the_centre_is_in_the_middle():
    mask = np.zeros((30, 30), bool)
    mask[12:18, 20] = True
    for shape in [(4, 6), (5, 1), (7, 7)]:
        at = origins(space(mask, shape, (8, 8), 60))[:, 1:] + np.array(shape) // 2
        assert np.bincount(at[:, 0]).tolist() == [0] * 12 + [10] * 6
        assert (at[:, 1] == 20).all()


def test_blocks_are_of_origins():
    """Patches of a block share the chunks of its origins' cell and of the next ones, and no others."""
    found = space(np.ones((64, 64), "u1"), (8, 8), (16, 16), 900)
    for block in range(len(found.counts(0))):
        assert len(np.unique(found.origins(block, 0) // 16, axis=0)) == 1


def test_a_coarser_mask_draws_from_all_of_each_of_its_voxels():
    mask = np.zeros((4, 4), bool)
    mask[2, 1] = True
    at = centres(space(mask, (1, 1), (16, 16), 1600, scale=4, chunks=(2, 2)))
    found, counts = np.unique(at, axis=0, return_counts=True)
    assert found.tolist() == [[y, x] for y in range(8, 12) for x in range(4, 8)]
    assert counts.min() > 50


def test_several_stores_are_one_data_set():
    first, second = VOLUME.copy(), np.full((10, 20, 30), 1, "int32")
    found = space([first, second], (1, 1, 1), (16, 16, 16), 999)
    rows = origins(found)
    stores, at = rows[:, 0], rows[:, 1:]
    labels = np.where(stores == 0, first[tuple((at % first.shape).T)], second[tuple((at % second.shape).T)])
    assert np.bincount(labels)[[0, 1, 5]].tolist() == [333, 333, 333]
    of_ones = np.count_nonzero((stores == 1) & (labels == 1)) / 333
    assert abs(of_ones - second.size / (np.count_nonzero(first == 1) + second.size)) < 0.05


def test_origins_are_a_pure_function():
    one = space(VOLUME, (8, 8, 8), (16, 16, 16), 500, seed=3)
    other = pickle.loads(pickle.dumps(space(VOLUME, (8, 8, 8), (16, 16, 16), 500, seed=3)))
    blocks = np.flatnonzero(one.counts(2)).tolist()
    backward = {block: other.origins(block, 2) for block in blocks[::-1]}
    for block in blocks:
        assert np.array_equal(one.origins(block, 2), backward[block])
    assert one.geometry == other.geometry
    assert not np.array_equal(origins(one, 2), origins(one, 3))
    assert not np.array_equal(origins(one), origins(space(VOLUME, (8, 8, 8), (16, 16, 16), 500, seed=4)))


def test_other_labels_are_another_geometry():
    changed = VOLUME.copy()
    changed[0, 0, 0] = 0
    assert space(VOLUME, (8, 8, 8), (16, 16, 16), 9).geometry != space(changed, (8, 8, 8), (16, 16, 16), 9).geometry


@pytest.mark.parametrize(
    "layout", [{"chunks": (16, 16, 16)}, {"chunks": (8, 8, 8), "shards": (16, 32, 64)}, {"chunks": VOLUME.shape}]
)
def test_each_chunk_is_decoded_once_when_blocks_are_counted(layout, monkeypatch):
    for elements in (1000, masses.BOX_ELEMENTS):
        monkeypatch.setattr(masses, "BOX_ELEMENTS", elements)
        a = gpuzarr.array(VOLUME, **layout)
        found = space(a, (1, 1, 1), (16, 16, 16), 9)
        boxes = list(masses._boxes(found.cells[0]))
        touched = sum(a.explain(box).chunks for box in boxes)
        assert touched == a.nchunks
        assert sum(masses_of(found).values()) == VOLUME.size
        assert masses_of(found) == {0: np.count_nonzero(VOLUME == 0), 1: 20 * 3000, 5: 10}


def masses_of(found):
    of = found.masses
    return {int(of.labels[k]): int(of.masses[of.classes == k].sum()) for k in range(len(of.labels))}


def test_many_ids_are_no_classes():
    ids = np.arange(5000, dtype="uint64") + 2**63
    with pytest.raises(ArgumentError, match=r"more than 4096 labels.*give `classes`"):
        space(ids, (1,), (100,), 9).counts(0)
    at = centres(space(ids, (1,), (100,), 10, classes={2**63 + 7: 1, 2**63 + 4999: 4}))[:, 0]
    assert np.bincount(at)[[7, 4999]].tolist() == [2, 8]


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, -np.inf])
def test_weights_that_are_none_are_named(bad):
    weights = np.ones((20, 30), "float32")
    weights[13, 25] = bad
    with pytest.raises(ArgumentError, match=r"weight \S+ at \(13, 25\) of array .* \(chunk \(1, 2\)\)"):
        space(weights, (1, 1), (10, 10), 9).counts(0)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (np.zeros(9), None),
        (np.zeros(9, bool), None),
        (np.zeros(9, "u1"), {1: 1.0}),
        (np.zeros(9, "u1"), {300: 1, -1: 1}),
    ],
)
def test_nothing_that_can_be_a_centre(values, classes):
    with pytest.raises(ArgumentError, match="has nothing, where samples may be, that can be a centre"):
        space(values, (1,), (4,), 9, classes=classes).counts(0)


def test_weights_of_more_than_floats_hold():
    with pytest.raises(ArgumentError, match="add up to more"):
        space(np.full(9, 1e308), (1,), (4,), 9).counts(0)


@pytest.mark.parametrize(
    "classes", [{}, {1: 0}, {1: -1}, {1: np.nan}, {"a": 1}, {1.5: 1}, [1, 2], {1: True}, {1: None}, 5]
)
def test_classes_that_mean_nothing(classes):
    with pytest.raises(ArgumentError, match="classes must be a dict of labels"):
        space(VOLUME, (1, 1, 1), (16, 16, 16), 9, classes=classes)


def test_arrays_that_mean_nothing():
    with pytest.raises(ArgumentError, match="classes go with labels"):
        space(np.ones(9), (1,), (4,), 9, classes={1: 1})
    with pytest.raises(ArgumentError, match=r"balance takes .*not complex64"):
        space(np.ones(9, "complex64"), (1,), (4,), 9)
    with pytest.raises(ArgumentError, match="all of labels, or all of weights"):
        space([np.ones(9), np.ones(9, "u1")], (1,), (4,), 9)
    with pytest.raises(ArgumentError, match="no integer dtype"):
        space([np.ones(9, "i8"), np.ones(9, "u8")], (1,), (4,), 9)


def test_a_class_that_is_nowhere_gives_its_samples_to_the_others():
    found = space(VOLUME, (1, 1, 1), (16, 16, 16), 30, classes={1: 1, 5: 2, 77: 7})
    with pytest.warns(GpuZarrWarning, match=r"labels \[77\] occur nowhere"):
        at = centres(found)
    assert np.bincount(VOLUME[tuple(at.T)]).tolist() == [0, 10, 0, 0, 0, 20]


@pytest.mark.parametrize("values", [VOLUME, VOLUME.astype("float32")])
def test_labels_that_change_meanwhile_are_noticed(values):
    a = gpuzarr.array(values, chunks=(16, 16, 16))
    found = space(a, (1, 1, 1), (40, 60, 50), 30)
    found.counts(0)
    a[0, 0, 0] = 5
    with pytest.raises(ChangedError, match=r"\[0:40, 0:60, 0:50\] of array"):
        found.origins(0, 0)


def test_a_chunk_that_cannot_be_read_is_named():
    kept = {}
    a = gpuzarr.array(VOLUME, chunks=(16, 16, 16), store=kept)
    kept["c/1/2/0"] = kept["c/1/2/0"][:10]
    with pytest.raises(ChunkError, match=r"chunk \(1, 2, 0\)"):
        space(a, (1, 1, 1), (16, 16, 16), 9).counts(0)
