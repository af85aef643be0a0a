"""Which samples there are, and which elements of each array they want."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.settings import Settings
from gpuzarr.loader.space.alignment import Scale, lattice
from gpuzarr.loader.space.inputs import parsed
from gpuzarr.loader.space.patch_views import folded
from tests.conftest import examples

DEFAULTS = {
    "batch_size": 1, "sample": "rows", "window": None, "shuffle": False, "seed": 0, "rank": 0, "world_size": 1,
    "drop_last": False, "dtype": None, "normalize": None, "fill_to_nan": None, "spacing": None, "translation": None,
    "part": None, "origins": False, "to": None, "prefetch": 2, "memory_limit": None, "on_error": "raise",
    "progress": False,
}  # fmt: skip
MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def meant(arrays, **given):
    """The space and the views of a loader with these arguments."""
    return parsed(Settings.of(**(DEFAULTS | {"arrays": arrays} | given)))


def origins(space, epoch=0):
    """Of all samples, block by block: the store and the first element, int64 (n, 1 + axes)."""
    counts, rows = space.counts(epoch), [np.zeros((0, 1 + space.axes), np.int64)]
    assert counts.dtype == np.int64
    for block in np.flatnonzero(counts).tolist():
        found = space.origins(block, epoch)
        assert found.dtype == np.int64 and found.shape == (counts[block], space.axes)
        rows.append(np.column_stack([space.stores(np.full(len(found), block)), found]))
    return np.concatenate(rows)


def batch(view, store, found):
    """Samples with these origins, read by the view's selections; each element must have its place once."""
    out, times = np.empty((len(found), *view.shape), view.dtype), np.zeros((len(found), *view.shape), int)
    selections = view.selections(store, found)
    array = view.arrays[store]
    for selection, target, counted in zip(
        selections, view.targets(store, found, out), view.targets(store, found, times), strict=True
    ):
        assert target.base is not None and target.shape == selection.full_shape
        target[...] = array.oindex[tuple(np.asarray(axis) for axis in selection.axes)]
        counted += 1
    for part, counted in zip(view.padding(store, found, out), view.padding(store, found, times), strict=True):
        part[...] = view.pad_value
        counted += 1
    assert (times == 1).all()
    return out


def stored(values, chunks=None, **options):
    return gpuzarr.array(values, chunks=chunks or tuple(max(1, n // 3) for n in values.shape), **options)


def numbers(shape, dtype="int32"):
    return np.arange(1, 1 + int(np.prod(shape)), dtype=dtype).reshape(shape)


@st.composite
def grids(draw, edges=("shift", "pad", "drop")):
    """The shape of an array and of its chunks, a Patch in a region, and the region's bounds."""
    ndim = draw(st.integers(1, 3))
    along = range(ndim)
    lengths = [draw(st.integers(1, 14)) for _ in along]
    bounds = [sorted([draw(st.integers(0, n - 1)), draw(st.integers(1, n))]) for n in lengths]
    bounds = [(a, max(b, a + 1)) for a, b in bounds]
    pad = [draw(st.integers(0, 3)) for _ in along]
    edge = draw(st.sampled_from(edges))
    most = [9 if edge == "pad" else b - a + 2 * p for (a, b), p in zip(bounds, pad, strict=True)]
    sizes = tuple(draw(st.integers(1, n)) for n in most)
    stride = draw(st.none() | st.tuples(*[st.integers(1, n) for n in sizes]))
    region = tuple(slice(a, b) for a, b in bounds)
    patch = gpuzarr.Patch(sizes, stride=stride, edge=edge, pad=tuple(pad), region=region)
    chunks = tuple(draw(st.integers(1, n)) for n in lengths)
    return tuple(lengths), chunks, patch, bounds


def along_axis(patch, axis, bounds):
    """Where the patches of a grid begin along an axis, one after the other."""
    size, pad = patch.shape[axis], patch.pad[axis]
    stride = patch.stride[axis] if patch.stride else size
    begin, end = bounds[0] - pad, bounds[1] + pad
    found = []
    for at in range(begin, end, stride):
        if at + size <= end:
            found.append(at)
        elif not found or found[-1] + size < end:
            found += {"shift": [end - size], "pad": [at], "drop": []}[patch.edge]
    return found


@settings(max_examples=examples(150), deadline=None)
@given(grids(), st.sampled_from([False, gpuzarr.BlockShuffle(block=3), True]))
def test_a_grid_has_each_patch_once_and_every_element(grid, shuffle):
    shape, chunks, patch, bounds = grid
    space, _ = meant({"x": stored(numbers(shape), chunks)}, sample=patch, shuffle=shuffle)
    found = origins(space)
    expected = list(product(*[along_axis(patch, axis, bounds[axis]) for axis in range(len(shape))]))
    assert sorted(map(tuple, found[:, 1:].tolist())) == sorted(expected)
    assert len(set(expected)) == len(expected)
    if patch.edge != "drop":
        elements = np.zeros([n + 40 for n in shape], bool)
        for one in found[:, 1:] + 20:
            elements[tuple(slice(a, a + n) for a, n in zip(one, patch.shape, strict=True))] = True
        assert elements[tuple(slice(a + 20 - p, b + 20 + p) for (a, b), p in zip(bounds, patch.pad, strict=True))].all()


@settings(max_examples=examples(150), deadline=None)
@given(grids(), st.sampled_from(MODES))
def test_patches_are_what_padded_arrays_have(grid, mode):
    shape, chunks, patch, _ = grid
    values = numbers(shape)
    space, (view,) = meant({"x": stored(values, chunks, fill_value=-7)}, sample=replace(patch, pad_mode=mode))
    found = origins(space)[:, 1:]
    made = batch(view, 0, found)
    options = {"constant_values": -7} if mode == "constant" else {}
    padded = np.pad(values, 20, mode, **options)
    for one, sample in zip(found, made, strict=True):
        where = tuple(slice(a + 20, a + 20 + n) for a, n in zip(one, patch.shape, strict=True))
        assert np.array_equal(sample, padded[where])


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_indices_beyond_an_axis_are_those_of_numpy(mode, length):
    found = folded(np.arange(-20, length + 20), length, mode)
    assert np.array_equal(found, np.pad(np.arange(length), 20, mode))


def test_patches_that_lie_outside_are_padding_alone():
    patch = gpuzarr.Patch((2, 3), pad=(6, 0), stride=(2, 3))
    space, (view,) = meant({"x": stored(numbers((4, 6)), fill_value=9)}, sample=patch)
    found = origins(space)[:, 1:]
    assert found[:, 0].min() == -6 and found[:, 0].max() == 8
    assert (batch(view, 0, found[(found[:, 0] < -1) | (found[:, 0] >= 4)]) == 9).all()


def test_fill_values_are_cast_as_elements_are():
    x = stored(numbers((5,)), fill_value=3)
    given = {"sample": gpuzarr.Patch(4, edge="pad"), "normalize": {"x": (1.0, 2.0)}}
    assert meant({"x": x}, **given)[1][0].pad_value == 1.0
    view = meant({"x": x}, **given, fill_to_nan={"x": True}, dtype="float64")[1][0]
    assert np.isnan(view.pad_value) and view.dtype == "float64"


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_windows_are_all_that_exist(data):
    length, region = (
        data.draw(st.integers(0, 12)),
        data.draw(st.none() | st.tuples(st.integers(0, 9), st.integers(0, 12))),
    )
    window = data.draw(
        st.lists(st.integers(-4, 4), min_size=1, max_size=4)
        | st.fixed_dictionaries({}, optional={n: st.lists(st.integers(-4, 4), min_size=1, max_size=3) for n in "xy"})
    )
    stride, axis = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2))
    shape = [3, 2]
    shape.insert(axis, length)
    x, y = numbers(shape), -numbers(shape)
    rows = gpuzarr.Rows(axis, stride, None if region is None else slice(*region))
    space, views = meant({"x": stored(x), "y": stored(y, (2, 2, 2))}, sample=rows, window=window, shuffle=True)
    offsets = window if isinstance(window, dict) else {"x": window, "y": window}
    every = [0, *(o for each in offsets.values() for o in each)]
    low, high = (0, length) if region is None else (region[0], min(region[1], length))
    exist = [i for i in range(length) if all(low <= i + o < high for o in every)]
    found = origins(space)[:, 1:]
    assert found[:, 0].tolist() == [i for i in exist if not (i - exist[0]) % stride]
    shuffled = np.random.default_rng(0).permutation(found)
    for view, values in zip(views, (x, y), strict=True):
        for some in (found, shuffled):
            of = offsets.get(view.name)
            expected = [values.take(some[i, 0] if of is None else some[i, 0] + of, axis) for i in range(len(some))]
            assert np.array_equal(batch(view, 0, some), np.array(expected, values.dtype).reshape(-1, *view.shape))


def test_rows_are_one_selection():
    space, (view,) = meant({"x": stored(numbers((3000, 2)), (100, 2))}, window=[-1, 0, 5])
    found = np.random.default_rng(0).permutation(origins(space)[:, 1:])
    (selection,) = view.selections(0, found)
    assert selection.full_shape == (3 * len(found), 2) and isinstance(selection.axes[1], range)
    (ordered,) = meant({"x": stored(numbers((9, 2)))})[1][0].selections(0, np.arange(2, 7)[:, None])
    assert ordered.axes[0] == range(2, 7)


@pytest.mark.parametrize("window", [[-1, 2], {"x": [0, 1, 2]}, {"y": [3]}])
def test_windows_of_patches(window):
    x, y = numbers((8, 3, 7, 9)), numbers((8, 7, 9))
    patch = gpuzarr.Patch((3, 4), stride=(2, 3), edge="pad", pad=1)
    space, views = meant({"x": stored(x), "y": stored(y)}, sample=patch, window=window)
    offsets = window if isinstance(window, dict) else {"x": window, "y": window}
    every = [0, *(o for each in offsets.values() for o in each)]
    found = origins(space)[:, 1:]
    assert sorted(set(found[:, 0])) == [i for i in range(8) if all(0 <= i + o < 8 for o in every)]
    for view, values in zip(views, (x, y), strict=True):
        padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(9, 9)] * 2)
        for (t, a, b), sample in zip(found, batch(view, 0, found), strict=True):
            rows = offsets.get(view.name)
            of_rows = padded[t if rows is None else t + np.array(rows)]
            assert np.array_equal(sample, of_rows[..., a + 9 : a + 12, b + 9 : b + 13])


SIZES = st.sampled_from([Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3), Fraction(3, 2), Fraction(1, 3)])


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.tuples(SIZES, st.integers(-6, 6).map(lambda n: Fraction(n, 2))), min_size=1, max_size=3))
def test_elements_begin_together_where_fractions_say(of):
    scales = [Scale(size, shift) for size, shift in of]
    places = [p for p in range(-40, 40) if all(scale.index(p).denominator == 1 for scale in scales)]
    found = lattice(scales)
    assert places == ([] if found is None else [p for p in range(-40, 40) if (p - found.phase) % found.step == 0])
    if found is not None:
        assert [found.up(p) for p in range(-9, 9)] == [min(q for q in places if q >= p) for p in range(-9, 9)]
        assert [found.down(p) for p in range(-9, 9)] == [max(q for q in places if q <= p) for p in range(-9, 9)]


@settings(max_examples=examples(120), deadline=None)
@given(st.data())
def test_arrays_of_other_voxel_sizes_have_the_same_box(data):
    sizes = {"x": data.draw(SIZES), "y": data.draw(SIZES)}
    begins = {name: data.draw(st.integers(-4, 4)) * sizes[name] / data.draw(st.sampled_from([1, 2])) for name in "xy"}
    lengths = {name: data.draw(st.integers(1, 24)) for name in "xy"}
    size, stride = data.draw(st.integers(1, 6)), data.draw(st.sampled_from(["random", None]))
    arrays = {name: stored(numbers((lengths[name],))) for name in "xy"}
    given = {"spacing": {n: [float(s)] for n, s in sizes.items()}, "translation": {n: [begins[n]] for n in "xy"}}
    patch = gpuzarr.Patch(size, stride=stride, edge="drop", samples=40 if stride else None)

    def place(name, i):
        return begins[name] + i * sizes[name]

    together = {
        i: (place("x", i) - begins["y"]) / sizes["y"]
        for i in range(-60, 60)
        if ((place("x", i) - begins["y"]) / sizes["y"]).denominator == 1
    }
    its_size = size * sizes["x"] / sizes["y"]
    if not together or its_size.denominator > 1:
        with pytest.raises(ArgumentError, match=r"spacing|begin together"):
            meant(arrays, sample=patch, **given)
        return
    space, views = meant(arrays, sample=patch, **given)
    assert [view.shape for view in views] == [(size,), (its_size,)]
    exist = [i for i, j in together.items() if 0 <= i <= lengths["x"] - size and 0 <= j <= lengths["y"] - its_size]
    found = origins(space)[:, 1]
    if stride is None:
        assert found.tolist() == ([] if not exist else list(range(exist[0], exist[-1] + 1, size)))
    else:
        assert len(found) == (40 if exist else 0) and set(found.tolist()) <= set(exist)
    for view in views:
        its = [range(int(s.axes[0].start), int(s.axes[0].stop)) for s in view.selections(0, found[:, None])]
        assert [place(view.name, one.start) for one in its] == [place("x", i) for i in found.tolist()]
        assert [place(view.name, one.stop) for one in its] == [place("x", i + size) for i in found.tolist()]


def test_strides_of_other_voxel_sizes_are_whole():
    arrays = {"x": stored(numbers((12, 12))), "y": stored(numbers((6, 4)))}
    spacing = {"x": (0.1, np.float32(0.1)), "y": np.array([0.2, 0.3])}
    space, views = meant(arrays, spacing=spacing, sample=gpuzarr.Patch((4, 6), stride=(2, 3)))
    assert [view.shape for view in views] == [(4, 6), (2, 2)] and len(origins(space)) == 5 * 3
    with pytest.raises(ArgumentError, match=r"stride.*axis 1.*multiples of 3.*not 2"):
        meant(arrays, spacing=spacing, sample=gpuzarr.Patch((4, 6), stride=2))
    with pytest.raises(ArgumentError, match=r"5 elements .* 2.5 elements of 'y' .* multiples of 2"):
        meant(arrays, spacing=spacing, sample=gpuzarr.Patch((5, 6), stride=(2, 3)))


@settings(max_examples=examples(80), deadline=None)
@given(st.data())
def test_random_origins_are_valid_proportional_and_pure(data):
    ndim = data.draw(st.integers(1, 3))
    stores = data.draw(st.lists(st.tuples(*[st.integers(3, 17)] * ndim), min_size=1, max_size=3))
    size, pad = (tuple(data.draw(st.integers(low, high)) for _ in range(ndim)) for low, high in ((1, 3), (0, 2)))
    samples, seed, epoch = (
        data.draw(st.integers(1, 300)),
        data.draw(st.integers(0, 2**64 - 1)),
        data.draw(st.integers(0, 9)),
    )
    patch = gpuzarr.Patch(size, stride="random", samples=samples, pad=pad)
    shuffle = gpuzarr.BlockShuffle(block=data.draw(st.integers(1, 6)))
    arrays = {"x": [stored(np.zeros(shape, "u1")) for shape in stores]}
    space, _ = meant(arrays, sample=patch, seed=seed, shuffle=shuffle)
    again, _ = meant(arrays, sample=patch, seed=seed, shuffle=shuffle)
    found = origins(space, epoch)
    assert np.array_equal(found, origins(again, epoch)) and len(found) == samples
    for store, *at in found.tolist():
        assert all(-p <= a <= n + p - s for a, n, s, p in zip(at, stores[store], size, pad, strict=True))
    volumes = space.domains.sizes(np.float64)
    assert (np.abs(space.counts(epoch) - volumes / volumes.sum() * samples) < 1 + 1e-6).all()
    assert volumes.sum() == sum(
        np.prod([n + 2 * p - s + 1 for n, s, p in zip(of, size, pad, strict=True)]) for of in stores
    )


def test_random_origins_are_everywhere_and_differ_by_epoch():
    patch = gpuzarr.Patch((3, 4), stride="random", samples=24000)
    space, _ = meant({"x": stored(np.zeros((10, 8), "u1"), (3, 8))}, sample=patch)
    places, times = np.unique(origins(space)[:, 1:], axis=0, return_counts=True)
    assert len(places) == 8 * 5 and times.min() > 480 and times.max() < 720
    assert not np.array_equal(origins(space, 0), origins(space, 1))


def test_random_patches_that_are_larger_than_the_array_are_padded():
    x = [stored(numbers((3, 9)), fill_value=-1), stored(numbers((8, 9)))]
    patch = gpuzarr.Patch((6, 4), stride="random", samples=60, edge="pad")
    space, (view,) = meant({"x": x}, sample=patch)
    found = origins(space)
    assert set(found[found[:, 0] == 0, 1]) == {0} and set(found[found[:, 0] == 1, 1]) == {0, 1, 2}
    padded = np.pad(numbers((3, 9)), ((0, 3), (0, 0)), constant_values=-1)
    for (_, _, at), one in zip(found, batch(view, 0, found[found[:, 0] == 0, 1:]), strict=False):
        assert np.array_equal(one, padded[:, at : at + 4])


def test_random_patches_are_as_large_as_the_region_by_default():
    x = [stored(np.zeros((20, 30), "u1")), stored(np.zeros((20, 30), "u1"))]
    space, _ = meant({"x": x}, sample=gpuzarr.Patch((5, 7), stride="random", region=(slice(0, 10), slice(None))))
    assert len(origins(space)) == -(-2 * 300 // 35)


def test_a_billion_rows_cost_little():
    x = gpuzarr.create_array({}, shape=(10**9, 4), chunks=(1000, 4), dtype="f4")
    tracemalloc.start()
    space, _ = meant({"x": x})
    counts = space.counts(3)
    last = space.origins(len(counts) - 1, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts.sum() == 10**9 and len(counts) == 10**6
    assert last[[0, -1], 0].tolist() == [10**9 - 1000, 10**9 - 1] and peak < 64 << 20


def test_tiny_chunks_make_no_more_blocks_than_fit():
    x = gpuzarr.create_array({}, shape=(10**9,), chunks=(1,), dtype="u1")
    space, _ = meant({"x": x})
    assert len(space.counts(0)) <= 1 << 22 and space.counts(0).sum() == 10**9
    with pytest.raises(ArgumentError, match=r"block=2\).*blocks, more than"):
        meant({"x": x}, shuffle=gpuzarr.BlockShuffle(block=2))


def edges_of(space, axis=0):
    """The first origin of each block along the only axis of samples."""
    return [int(space.origins(block, 0)[0, axis]) for block in range(len(space.counts(0)))]


def test_blocks_are_the_largest_chunks():
    x, y = stored(numbers((50,)), (8,)), stored(numbers((50,)), (20,))
    assert edges_of(meant({"x": x, "y": y})[0]) == [0, 20, 40]
    assert edges_of(meant({"x": x})[0]) == [0, 8, 16, 24, 32, 40, 48]
    assert edges_of(meant({"x": x}, shuffle=gpuzarr.BlockShuffle(block=25))[0]) == [0, 25]
    one = gpuzarr.Patch(20, stride=2)
    assert edges_of(meant({"x": x}, sample=one)[0]) == [0, 24]  # as large as a patch, of whole chunks
    coarse = stored(numbers((25,)), (9,))
    given = {"spacing": {"x": [1], "y": [2]}, "sample": gpuzarr.Patch(4, stride=2)}
    assert edges_of(meant({"x": x, "y": coarse}, **given)[0]) == [0, 18, 36]


def block_shape(array, **given):
    """The origins of the first block along each axis."""
    return meant({"x": array}, **given)[0].domains.all[0].spans(0)


@pytest.mark.parametrize("sample", [gpuzarr.Patch((8, 8), stride="random"), gpuzarr.Patch((8, 8), stride=1)])
def test_blocks_are_larger_where_samples_share_chunks(sample):
    """So that chunks at their ends are at most a quarter, if that fits, and there are blocks enough to mix."""
    x = gpuzarr.create_array({}, shape=(1000, 1000), chunks=(8, 8), dtype="u1")
    assert block_shape(x, sample=sample) == [(0, 32), (0, 32)]
    wide = gpuzarr.create_array({}, shape=(1000, 1000), chunks=(8, 8), dtype="V1000000")
    assert block_shape(wide, sample=sample, shuffle=True) == [(0, 8), (0, 8)]  # a window of them has more than a GiB
    few = {"shuffle": gpuzarr.BlockShuffle(blocks=1000)}
    assert np.prod([b for _, b in block_shape(x, sample=sample, **few)]) < 32 * 32
    assert len(meant({"x": x}, sample=sample, **few)[0].counts(0)) >= 4000
    apart = gpuzarr.Patch((8, 8))
    assert block_shape(x, sample=apart) == [(0, 1), (0, 1)]


def test_blocks_of_windows_are_larger():
    x = gpuzarr.create_array({}, shape=(1000,), chunks=(1,), dtype="u1")
    ((first, end),) = block_shape(x, window=[-1, 0, 3])
    assert first == 0 and 16 <= end + 1 <= 20  # the first row has none before it


def test_blocks_of_rectilinear_grids_begin_where_chunks_do():
    x = gpuzarr.create_array({}, shape=(30, 4), chunks=[[5, 10, 1, 14], [4]], dtype="i4")
    x[...] = numbers((30, 4))
    space, (view, _) = meant({"x": x, "y": stored(numbers((30,)), (3,))})
    assert edges_of(space) == [0, 5, 15, 16] and len(origins(space)) == 30
    assert np.array_equal(batch(view, 0, origins(space)[:, 1:]), numbers((30, 4)))
    patch = gpuzarr.Patch((6, 2), stride=(1, 1))
    found = origins(meant({"x": x}, sample=patch)[0])
    assert len(found) == len({tuple(row) for row in found.tolist()}) == 25 * 3


@pytest.mark.parametrize(
    "sample", [gpuzarr.Rows(), gpuzarr.Patch(3, axes=0), gpuzarr.Patch(3, axes=0, stride="random")]
)
def test_stores_follow_each_other(sample):
    lengths = [5, 12, 3]
    arrays = {"x": [stored(numbers((n, 2)), (4, 2)) for n in lengths]}
    space, (view,) = meant(arrays, sample=sample)
    stores = space.stores(np.arange(len(space.counts(0))))
    assert sorted(stores.tolist()) == stores.tolist() and set(stores.tolist()) == {0, 1, 2}
    for store, at in origins(space).tolist():
        assert 0 <= at < lengths[store]
        assert batch(view, store, np.array([[at]])).flat[0] == 2 * at + 1


def test_regions_are_domains_of_their_own():
    x = {"x": stored(numbers((20, 20)))}
    two = [(slice(0, 6), slice(0, 6)), (slice(-8, None), slice(10, 20))]
    space, _ = meant(x, sample=gpuzarr.Patch((4, 4), region=two))
    assert sorted(origins(space)[:, 1:].tolist()) == [
        *([a, b] for a in (0, 2) for b in (0, 2)),
        *([a, b] for a in (12, 16) for b in (10, 14, 16)),
    ]
    assert origins(meant(x, sample=gpuzarr.Rows(region=[slice(2, 4), slice(9, 10)]))[0])[:, 1].tolist() == [2, 3, 9]
    given = Settings.of(**(DEFAULTS | {"arrays": x, "sample": gpuzarr.Patch((4, 4))}))
    part = parsed(replace(given, domains=[[((0, 3), (0, 20)), ((4, 8), (0, 9))]]))[0]
    assert origins(part)[:, 1:].tolist() == [[4, 0], [4, 4], [4, 5]]  # a part that holds no patch is no error


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 5), st.sampled_from([-1, 0, 1, 2, "c"]), st.booleans())
def test_parts_together_are_the_sample(count, axis, is_patch):
    values = numbers((6, 5, 7, 6))
    x = gpuzarr.create_array({}, data=values, chunks=(2, 2, 3, 4), dimension_names=["a", "b", "c", "d"])
    arrays = {"x": x, "y": stored(numbers((6, 5))) if not is_patch else stored(values)}
    sample = gpuzarr.Patch((5, 5), edge="pad", axes=(1, 3), stride=3) if is_patch else gpuzarr.Rows()
    whole, found = meant(arrays, sample=sample)
    where = origins(whole)[:, 1:]
    parts = [meant(arrays, sample=sample, part=gpuzarr.Part(axis, i, count))[1] for i in range(count)]
    its = {"c": 2 if is_patch else 1}.get(axis, axis)
    for number, view in enumerate(found):
        expected = batch(view, 0, where)
        made = [batch(views[number], 0, where) for views in parts]
        if view.name == "x" or (is_patch and axis != "c"):
            assert [one.shape for one in made] == [
                one.shape for one in np.array_split(expected, count, its + (its >= 0))
            ]
            expected = np.concatenate(np.array_split(expected, count, its + (its >= 0)), its + (its >= 0))
            made = [np.concatenate(made, its + (its >= 0))]
        assert all(np.array_equal(one, expected) for one in made)


def test_parts_of_other_voxel_sizes_are_whole():
    arrays = {"x": stored(numbers((12,))), "y": stored(numbers((6,)))}
    given = {"spacing": {"x": [1], "y": [2]}, "sample": gpuzarr.Patch(8)}
    _, views = meant(arrays, **given, part=gpuzarr.Part(0, 1, 2))
    assert [view.selections(0, np.array([[4]]))[0].axes[0] for view in views] == [range(8, 12), range(4, 6)]
    with pytest.raises(ArgumentError, match=r"'y' would not have whole elements"):
        meant(arrays, **given, part=gpuzarr.Part(0, 1, 8))


def test_axes_are_found_by_name_or_place():
    x = gpuzarr.create_array({}, data=numbers((2, 6, 8)), dimension_names=["c", "y", "x"])
    y = gpuzarr.create_array({}, data=numbers((8, 6)), dimension_names=["x", "y"])
    _, views = meant({"x": x, "y": y}, sample=gpuzarr.Patch((3, 4)))
    assert [view.shape for view in views] == [(2, 3, 4), (4, 3)]
    assert views[1].selections(0, np.array([[1, 2]]))[0].axes == (range(2, 6), range(1, 4))
    for axes in (("y", "x"), (1, 2), (-2, -1)):
        assert meant({"x": x}, sample=gpuzarr.Patch((3, 4), axes=axes))[1][0].shape == (2, 3, 4)
    assert meant({"x": x}, sample=gpuzarr.Patch((None, 4)))[1][0].shape == (2, 6, 4)
    assert meant({"x": x, "y": y}, sample=gpuzarr.Rows("y"))[1][1].shape == (8,)
    _, (view,) = meant({"x": x}, sample=gpuzarr.Patch((4, 3), axes=("x", "y"), stride=(4, 2)))
    assert view.selections(0, np.array([[4, 1]]))[0].axes == (range(2), range(1, 4), range(4, 8))


def test_numbers_are_cast_where_that_means_something():
    arrays = {"x": stored(numbers((4, 2), "f4")), "y": stored(numbers((4,), "u2")), "z": stored(numbers((4,), "u1"))}
    _, views = meant(arrays, dtype="float64", normalize={"y": (2, 4)}, fill_to_nan=True)
    assert [view.dtype.str[1:] for view in views] == ["f8", "f8", "u1"]
    assert views[2].cast == (None,) and views[1].cast[0].scale == 0.25 and views[1].cast[0].offset == -0.5
    assert [view.cast[0] is not None and view.cast[0].nan_of is not None for view in views] == [True, True, False]
    _, views = meant(arrays, dtype={"z": "float32"}, fill_to_nan={"z": 7})
    assert [view.dtype.str[1:] for view in views] == ["f4", "u2", "f4"] and views[2].cast[0].nan_of == 7


def test_the_geometry_is_what_decides_about_the_order():
    x = stored(numbers((40, 40)), (8, 8))
    given = {"sample": gpuzarr.Patch((4, 4), stride=2), "window": None}

    def of(array=x, **changed):
        return meant({"x": array}, **(given | changed))[0].geometry

    assert of() == of() == of(normalize={"x": (1, 2)}) == of(part=gpuzarr.Part(0, 0, 2)) == of(seed=3)
    others = [
        of(stored(numbers((40, 41)), (8, 8))),
        of(stored(numbers((40, 40)), (16, 8))),
        of(sample=gpuzarr.Patch((4, 4), stride=3)),
        of(sample=gpuzarr.Patch((4, 4), stride=2, edge="pad")),
        of(sample=gpuzarr.Patch((4, 4), stride="random")),
        of(sample=gpuzarr.Patch((4, 4), stride=2, region=(slice(0, 20), slice(None)))),
        of(sample="rows"),
        of(sample="rows", window=[0, 1]),
        of(shuffle=gpuzarr.BlockShuffle(block=7)),
    ]
    assert all(other != of() for other in others)
    assert all(isinstance(text, str) and len(text) < 200 for each in others for text in each.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"sample": gpuzarr.Rows("t")}),
        ({}, {"sample": gpuzarr.Rows(-2)}),
        ({}, {"window": [0]}),
        ({"window": [-1, 2]}, {"window": {"x": [2, 0, -1]}}),
        ({"sample": gpuzarr.Patch((4, 6))}, {"sample": gpuzarr.Patch((4, 6), axes=("t", -1), stride=(4, 6))}),
        ({"sample": gpuzarr.Patch((None, 6))}, {"sample": gpuzarr.Patch(6, pad=[0])}),
        ({"sample": gpuzarr.Patch(6)}, {"sample": gpuzarr.Patch(6), "spacing": {"x": [2.5]}, "translation": {}}),
        ({"sample": gpuzarr.Patch(6)}, {"sample": gpuzarr.Patch(6), "translation": {"x": [9]}}),
    ],
)
def test_a_state_is_taken_however_the_same_samples_are_said(one, other):
    x = gpuzarr.create_array({}, shape=(24, 12), chunks=(4, 4), dtype="i4", dimension_names=("t", "c"))
    first, second = (gpuzarr.Loader({"x": x}, 2, shuffle=True, origins=True, **given) for given in (one, other))
    batches = iter(first)
    next(batches)
    second.load_state_dict(first.state_dict())
    pairs = zip(batches, second, strict=True)
    assert all(np.array_equal(its["origins"], theirs["origins"]) for its, theirs in pairs)


X, Y = stored(numbers((10, 12))), stored(numbers((10, 9)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arrays": {}}, "arrays must be a dict"),
        ({"arrays": [X]}, "arrays must be a dict"),
        ({"arrays": {"x": []}}, "arrays must be a dict"),
        ({"arrays": {1: X}}, "arrays must be a dict"),
        ({"arrays": {"x": np.zeros(3)}}, r"array 'x' must be a gpuzarr.Array, not .*gpuzarr.array\("),
        ({"arrays": {"x": "a.zarr"}}, r"array 'x' must be a gpuzarr.Array, not 'a.zarr'.*open_array"),
        ({"arrays": {"x": [X, X], "y": X}}, "'x' has 2 arrays, 'y' has 1"),
        ({"arrays": {"x": [X, stored(numbers((3,)))]}}, "'x' has 2 axes in store 0, 1 in store 1"),
        ({"arrays": {"x": [X, Y]}}, "'x' has 12 elements along axis 1 in store 0, 9 in store 1"),
        (
            {"arrays": {"x": [X, X.astype("f4") if hasattr(X, "astype") else stored(numbers((10, 12), "f4"))]}},
            "give dtype=",
        ),
        ({"arrays": {"x": X, "y": Y}, "sample": gpuzarr.Patch((3, 3))}, "'y' has 9 elements along axis 1, 'x' has 12"),
        ({"sample": "columns"}, 'sample is "rows"'),
        (
            {"sample": gpuzarr.Patch((3, 13))},
            r"13 elements along axis 1 of array 'x' do not fit into the 12.*edge=.pad",
        ),
        ({"sample": gpuzarr.Patch((3, 13), stride="random")}, "13 elements along axis 1 of array 'x' do not fit"),
        ({"sample": gpuzarr.Patch((1, 2, 3))}, "array 'x' has no axis -3"),
        ({"sample": gpuzarr.Patch(2, axes="z")}, "array 'x' has no dimension 'z'"),
        ({"sample": gpuzarr.Patch((2, 2), axes=(0, -2))}, "axes= names axis 0 of array 'x' twice"),
        ({"sample": gpuzarr.Patch((2, 2)), "window": [0]}, "both the window and the patch are along axis 0"),
        ({"sample": gpuzarr.Patch((2, 2), region=(slice(1),))}, "region takes 2 slices"),
        ({"sample": gpuzarr.Rows(2)}, "array 'x' has no axis 2"),
        ({"window": []}, "window takes from 1"),
        ({"window": 1}, "window takes lists of integers"),
        ({"window": [0.5]}, "offset of window"),
        ({"window": {"z": [1]}}, "window has 'z', which is no array"),
        ({"spacing": {"x": [1, 1]}}, "rows have no size"),
        ({"sample": gpuzarr.Patch((2, 2)), "spacing": {"x": [1]}}, r"spacing\['x'\] takes 2 numbers"),
        ({"sample": gpuzarr.Patch((2, 2)), "spacing": {"x": [1, 0]}}, r"spacing\['x'\] must be above 0"),
        ({"sample": gpuzarr.Patch((2, 2)), "spacing": {"x": [1, float("nan")]}}, "finite number"),
        ({"sample": gpuzarr.Patch((2, 2)), "spacing": {}}, "spacing has nothing for array 'x'"),
        ({"sample": gpuzarr.Patch((2, 2)), "spacing": [1, 1]}, "spacing takes a dict"),
        ({"sample": gpuzarr.Patch((2, 2)), "shuffle": gpuzarr.BlockShuffle(block=(2,))}, "needs 2 sizes"),
        ({"sample": gpuzarr.Patch((2, 2), stride="random", balance=3)}, "balance=...\\) takes a gpuzarr.Array"),
        ({"sample": gpuzarr.Patch((2, 2), stride="random", balance=Y)}, "none of the loader's arrays"),
        ({"sample": gpuzarr.Patch((2, 2), stride="random", balance=[X, X])}, "2 arrays, but there are 1"),
        ({"normalize": {"z": (0, 1)}}, "normalize has 'z'"),
        ({"normalize": (0, 1)}, "normalize takes a dict"),
        ({"normalize": {"x": 3}}, r"normalize\['x'\] is \(mean, standard deviation\)"),
        ({"normalize": {"x": gpuzarr.stats(X)}}, r"give its `\.normalize`"),
        ({"normalize": {"x": (np.arange(13.0), 1.0)}}, "has length 13 along axis 1, along which the array has 12"),
        ({"normalize": {"x": (0.0, np.arange(1.0, 14.0))}}, "has length 13 along axis 1, along which the array has 12"),
        ({"normalize": {"x": (0, 0)}}, "must be above 0"),
        ({"dtype": "f4"}, r"dtype='f4' is for arrays of floats.*'x' is .*dtype=\{'x': 'f4'\}"),
        ({"fill_to_nan": True}, r"fill_to_nan=True is for arrays of floats"),
        ({"dtype": {"z": "f4"}}, "dtype has 'z'"),
        ({"dtype": {"x": "nothing"}}, "array 'x'"),
        ({"part": 3}, "part must be a gpuzarr.Part"),
        ({"part": gpuzarr.Part(1, 0, 2)}, "samples of array 'x' have 1 axes"),
        ({"part": gpuzarr.Part("z", 0, 2)}, "no array has a dimension"),
        ({"part": gpuzarr.Part(0, 0, 13)}, "have only 12 elements"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ArgumentError, match=message):
        meant(**({"arrays": {"x": X}} | given))


@pytest.mark.parametrize(
    "make",
    [
        lambda: gpuzarr.Patch(0),
        lambda: gpuzarr.Patch(()),
        lambda: gpuzarr.Patch((None,)),
        lambda: gpuzarr.Patch("4"),
        lambda: gpuzarr.Patch((4, 4), stride=(1, 2, 3)),
        lambda: gpuzarr.Patch(4, stride="grid"),
        lambda: gpuzarr.Patch(4, stride=0),
        lambda: gpuzarr.Patch(4, edge="wrap"),
        lambda: gpuzarr.Patch(4, pad=-1),
        lambda: gpuzarr.Patch(4, pad_mode="mean"),
        lambda: gpuzarr.Patch((4, 4), axes=0),
        lambda: gpuzarr.Patch(4, samples=3),
        lambda: gpuzarr.Patch(4, stride="random", samples=0),
        lambda: gpuzarr.Patch(4, balance=X),
        lambda: gpuzarr.Patch(4, stride="random", classes={1: 1}),
        lambda: gpuzarr.Patch(4, region=3),
        lambda: gpuzarr.Patch(4, region=[]),
        lambda: gpuzarr.Patch(4, region=slice(0, 9, 2)),
        lambda: gpuzarr.Patch(4, region=slice("a", 9)),
        lambda: gpuzarr.Rows(0.5),
        lambda: gpuzarr.Rows(stride=0),
        lambda: gpuzarr.Part(0, 2, 2),
        lambda: gpuzarr.Part(0, 0, 0),
    ],
)
def test_samples_that_mean_nothing(make):
    with pytest.raises(ArgumentError):
        make()


@pytest.mark.parametrize("mode", MODES)
def test_padded_patches_come_from_the_loader(device, mode):
    values = numbers((9, 14), "u2")
    store = {}
    gpuzarr.save_array(store, values, chunks=(4, 5), fill_value=8)
    x = gpuzarr.open_array(store, device=device)
    sample = gpuzarr.Patch((6, 6), stride=4, edge="pad", pad=2, pad_mode=mode)
    given = {"sample": sample, "shuffle": True, "origins": True, "dtype": {"x": "float32"}}
    padded = np.pad(values, 8, mode, **({"constant_values": 8} if mode == "constant" else {}))
    for batch in gpuzarr.Loader({"x": x}, 5, **given):
        found = batch["x"].get() if hasattr(batch["x"], "get") else batch["x"]
        for (_, a, b), one in zip(batch["origins"], found, strict=True):
            assert np.array_equal(one, padded[a + 8 : a + 14, b + 8 : b + 14].astype("f4"))
