"""Centres of patches are as often of each class, or of each place, as `balance` says."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError, ChangedError, ChunkError, GpuZarrWarning
from gpuzarr.loader.balance import masses
from gpuzarr.loader.balance.balanced_space import BalancedSpace
from gpuzarr.loader.balance.ground import Balance
from gpuzarr.loader.space.alignment import Scale
from gpuzarr.loader.space.grids import Domain, Domains, Origins
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


# ---- Of a loader ----


def stored(device, values, chunks):
    kept = {}
    gpuzarr.save_array(kept, values, chunks=chunks)
    return gpuzarr.open_array(kept, device=device)


def balanced(device, labels=VOLUME, balance=None, shape=(4, 8, 6), stores=1, samples=60, **options):
    """A loader of the places of voxels, and of their labels."""
    places = np.arange(VOLUME.size, dtype="int32").reshape(VOLUME.shape)
    arrays = {
        "x": [stored(device, places, (16, 16, 16)) for _ in range(stores)],
        "y": [stored(device, VOLUME, (8, 32, 32)) for _ in range(stores)],
    }
    of = [stored(device, labels, (16, 16, 16)) for _ in range(stores)] if balance is None else balance
    patch = {name: options.pop(name) for name in ("classes", "region", "pad") if name in options}
    sample = gpuzarr.Patch(shape, stride="random", samples=samples, balance=of, **patch)
    return gpuzarr.Loader(arrays, 8, sample=sample, shuffle=gpuzarr.BlockShuffle(blocks=4), origins=True, **options)


def on_host(batches):
    host = [{name: getattr(v, "get", lambda v=v: v)() for name, v in batch.items()} for batch in batches]
    return {name: np.concatenate([batch[name] for batch in host]) for name in host[0]}


def test_batches_have_balanced_patches(device):
    found = on_host(balanced(device, stores=2))
    origins = found["origins"][:, 1:]
    assert np.array_equal(np.stack(np.unravel_index(found["x"][:, 0, 0, 0], VOLUME.shape), 1), origins)
    middle = found["y"][:, 2, 4, 3]
    is_inner = ((origins > 0) & (origins < np.array(VOLUME.shape) - (4, 8, 6))).all(axis=1)
    assert np.count_nonzero(middle[is_inner] == 5) == 20  # which lies far from the edges
    assert np.bincount(found["origins"][:, 0]).min() >= 20


def test_a_balanced_epoch_goes_on_where_it_was():
    whole = on_host(balanced("cpu"))["origins"]
    loader = balanced("cpu")
    batches = iter(loader)
    first = [next(batches)["origins"].copy() for _ in range(3)]
    resumed = balanced("cpu", prefetch=0)
    resumed.load_state_dict(loader.state_dict())
    assert np.array_equal(np.concatenate([*first, on_host(resumed)["origins"]]), whole)
    assert not np.array_equal(on_host(resumed)["origins"], whole)  # of the next epoch
    changed = VOLUME.copy()
    changed[0, 0, 0] = 5
    with pytest.raises(ArgumentError, match="labels"):
        balanced("cpu", labels=changed).load_state_dict(loader.state_dict())


def test_a_coarser_mask_is_aligned_by_its_shape():
    mask = np.zeros((10, 15, 13), bool)
    mask[7, 7, 5:7] = True
    found = on_host(balanced("cpu", labels=mask, samples=30))["origins"][:, 1:] + (2, 4, 3)
    assert (found // 4 >= (7, 7, 5)).all() and (found // 4 <= (7, 7, 6)).all()
    with pytest.raises(ArgumentError, match="divided by whole numbers"):
        balanced("cpu", labels=np.zeros((10, 15, 30), bool))


def test_a_mask_of_other_voxels_is_aligned_by_its_spacing():
    x = stored("cpu", np.zeros((40, 60), "u1"), (16, 16))
    mask = np.zeros((20, 15), bool)
    mask[7, 5] = True
    m = stored("cpu", mask, (16, 16))
    for translation, shift in [(None, 0), ({"x": (0, 0), "m": (2, 4)}, 4)]:
        sample = gpuzarr.Patch((4, 8), stride="random", balance=m, samples=200)
        given = {"spacing": {"x": (0.5, 1), "m": (1, 4)}, "translation": translation}
        origins = on_host(gpuzarr.Loader({"x": x, "m": m}, 8, sample=sample, origins=True, **given))["origins"][:, 1:]
        found = np.unique(origins - shift, axis=0).tolist()  # at every second and fourth element both arrays have one
        assert found == [[12, 16], [12, 20], [14, 16], [14, 20]]


def test_regions_and_parts_have_their_own_balance():
    region = [(slice(0, 40), slice(0, 20), slice(0, 50)), (slice(20, 40), slice(20, 60), slice(0, 50))]
    found = on_host(balanced("cpu", region=region, classes={0: 1, 1: 1}))
    assert sorted(np.bincount(found["y"][:, 2, 4, 3], minlength=2)[:2])[0] >= 20
    train, validation = balanced("cpu").split([0.5, 0.5], gap=2)
    train, validation = on_host(train), on_host(validation)
    assert (train["y"] == 1).any(axis=(1, 2, 3)).all()
    assert (
        np.count_nonzero((validation["y"] == 5).any(axis=(1, 2, 3))) >= 20
    )  # beside 0, and 1, of which it has a little
    assert train["origins"][:, 1].max() + 4 + 2 <= validation["origins"][:, 1].min()


@pytest.mark.parametrize("wrong", ["labels", [1], VOLUME])
def test_balance_that_is_no_array(wrong):
    with pytest.raises(ArgumentError, match=r"balance=\.\.\.\) takes a gpuzarr\.Array"):
        balanced("cpu", balance=wrong)


def series(mask, names=None, patch=(4, 4), **options):
    """Patches of windows of a series of 30 maps, of which a mask says where centres are."""
    x = gpuzarr.array(np.zeros((30, 2, 16, 24), "u1"), chunks=(8, 2, 8, 8), dimension_names=("t", "c", "y", "x"))
    m = gpuzarr.array(mask, chunks=(8,) * mask.ndim, dimension_names=names)
    sample = gpuzarr.Patch(patch, stride="random", balance=m, samples=240)
    return gpuzarr.Loader({"x": x}, 8, sample=sample, window=[-1, 0, 1], origins=True, **options)


@pytest.mark.parametrize("names", [None, ("y", "x"), ("x", "y")])
def test_a_mask_without_time_is_the_same_at_all_times(names):
    mask = np.zeros((16, 24), bool)
    mask[3, 20] = mask[10, 5] = True
    loader = series(mask.T if names == ("x", "y") else mask, names, shuffle=True)
    found = on_host(loader)["origins"][:, 1:]
    times, at = found[:, 0], found[:, 1:] + (2, 2)
    assert sorted(np.unique(at, axis=0).tolist()) == [[3, 20], [10, 5]]
    assert abs(np.count_nonzero(at[:, 0] == 3) - 120) <= 4
    assert times.min() == 1 and times.max() == 28
    of_blocks = np.add.reduceat(np.bincount(times, minlength=30), [0, 8, 16, 24])
    assert np.abs(of_blocks - np.array([7, 8, 8, 5]) / 28 * 240).max() <= 2


def test_a_mask_with_time_is_that_of_the_origin():
    mask = np.zeros((30, 16, 24), "u1")
    mask[0] = 1  # of which a window does not exist
    mask[7, 3, 20] = mask[20, 10, 5] = 1
    found = on_host(series(mask, patch=(1, 1)))["origins"][:, 1:]
    assert np.unique(found[mask[tuple(found.T)] == 1], axis=0).tolist() == [[7, 3, 20], [20, 10, 5]]
    assert np.count_nonzero(mask[tuple(found.T)]) == 120


def test_axes_in_another_order():
    labels = np.zeros((24, 24), "u1")
    labels[5:8, 20] = 1
    x = gpuzarr.zeros((24, 24), chunks=(8, 8), dtype="u1", dimension_names=("a", "b"))
    m = gpuzarr.array(labels, chunks=(8, 8), dimension_names=("b", "a"))
    sample = gpuzarr.Patch((1, 1), stride="random", balance=m, classes={1: 1}, samples=30)
    found = on_host(gpuzarr.Loader({"x": x}, 8, sample=sample, origins=True))["origins"][:, 1:]
    assert np.unique(found, axis=0, return_counts=True)[1].tolist() == [10, 10, 10]
    assert np.unique(found, axis=0).tolist() == [[20, 5], [20, 6], [20, 7]]
