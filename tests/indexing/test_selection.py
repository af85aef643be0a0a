"""Selections: NumPy's meaning, and zarr-python's where they differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.errors import SelectionError
from gpuzarr.indexing.selection import Points, basic, blocks, fields, orthogonal, pointwise
from gpuzarr.metadata import RectilinearAxis, RegularAxis
from tests.indexing.by_numpy import numbered, outer_by_numpy, take


def same(got, expected):
    expected = np.asarray(expected)
    assert got.shape == expected.shape
    assert np.array_equal(got, expected)


shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
steps = st.integers(-3, 3).filter(bool)
bounds = st.none() | st.integers(-8, 8)


def ints(length):
    return st.integers(-length, length - 1) if length else st.nothing()


def slices(_length=0):
    return st.builds(slice, bounds, bounds, st.none() | steps)


def index_arrays(length):
    values = st.lists(ints(length), max_size=6) if length else st.just([])
    return values.flatmap(lambda v: st.sampled_from([v, np.array(v, np.int64), np.array(v, np.int8)]))


def masks(length):
    return st.lists(st.booleans(), min_size=length, max_size=length).map(lambda v: np.array(v, bool))


def positives(selection):
    """Whether zarr-python can take its slices."""
    return all(member.step is None or member.step > 0 for member in selection if isinstance(member, slice))


@st.composite
def basic_selections(draw):
    """A shape and ints and slices for it, maybe with an ellipsis, maybe fewer than its axes."""
    shape = draw(shapes)
    members = [draw(ints(length) | slices(length)) for length in shape]
    if draw(st.booleans()):
        first = draw(st.integers(0, len(shape)))
        last = draw(st.integers(first, len(shape)))
        members[first:last] = [...]
    elif draw(st.booleans()):
        members = members[: draw(st.integers(0, len(shape)))]
    return shape, tuple(members)


@settings(max_examples=180, deadline=None)
@given(basic_selections())
def test_basic_is_numpy(case):
    shape, selection = case
    array = numbered(shape)
    same(take(array, basic(selection, shape)), array[selection])
    same(take(array, orthogonal(selection, shape)), array[selection])
    if len(selection) == 1:
        same(take(array, basic(selection[0], shape)), array[selection[0]])


@st.composite
def outer_selections(draw):
    shape = draw(shapes.filter(bool))
    return shape, tuple(draw(ints(n) | slices() | index_arrays(n) | masks(n)) for n in shape)


@settings(max_examples=180, deadline=None)
@given(outer_selections())
def test_orthogonal_is_numpy_axis_by_axis(case):
    shape, selection = case
    array = numbered(shape)
    same(take(array, orthogonal(selection, shape)), outer_by_numpy(array, selection))


@st.composite
def one_array_selections(draw):
    """Ints and slices with one index array: where NumPy and zarr-python mean the same if no int is apart from it."""
    shape = draw(shapes.filter(bool))
    place = draw(st.integers(0, len(shape) - 1))
    others = [draw(slices()) for _ in shape]
    others[place] = draw(index_arrays(shape[place]) | masks(shape[place]))
    if draw(st.booleans()):
        others = [*others[:place], others[place], ...]
    return shape, tuple(others)


@settings(max_examples=120, deadline=None)
@given(one_array_selections())
def test_one_array_beside_slices_is_numpy(case):
    shape, selection = case
    array = numbered(shape)
    numpys = tuple(np.asarray(m, int) if isinstance(m, list) else m for m in selection)
    same(take(array, basic(selection, shape)), array[numpys])


@st.composite
def point_selections(draw):
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    grid = draw(st.sampled_from([(3,), (0,), (2, 3), (1, 3), (2, 1), (1,)]))
    arrays = []
    for length in shape:
        size = draw(st.sampled_from([grid, grid[-1:], (1,) * len(grid)]))
        flat = draw(st.lists(ints(length), min_size=int(np.prod(size)), max_size=int(np.prod(size))))
        arrays.append(np.array(flat, draw(st.sampled_from(["i8", "i1", "i4"]))).reshape(size))
    return shape, tuple(arrays)


@settings(max_examples=120, deadline=None)
@given(point_selections(), st.booleans())
def test_pointwise_is_numpy(case, unsigned):
    shape, selection = case
    if unsigned:
        selection = tuple((a % n).astype("u8") for a, n in zip(selection, shape, strict=True))
    array, copies = numbered(shape), [a.copy() for a in selection]
    same(take(array, pointwise(selection, shape)), array[selection])
    same(take(array, basic(selection, shape)), array[selection])
    assert all(np.array_equal(a, b) for a, b in zip(selection, copies, strict=True))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mask_of_the_whole_array_is_numpy(data):
    shape = data.draw(shapes.filter(bool))
    array = numbered(shape)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=array.size, max_size=array.size)), bool).reshape(shape)
    for selected in (basic(mask, shape), basic((mask,), shape), pointwise(mask, shape)):
        assert isinstance(selected, Points)
        same(take(array, selected), array[mask])


A = np.array([1, 0])
M = np.array([True, False, True])
SHAPE = (3, 4, 5)
FULL = numbered(SHAPE) % 3 == 0
ALL = slice(None)
EMPTY = np.array([], int)
# fmt: off
ORACLE = {  # shape -> selections
    (): [(), ..., 0, ALL, True, np.True_, np.array(True), []],
    (0,): [0, ALL, EMPTY, [], np.array([], bool)],
    (3,): [
        True, False, np.True_, None, (None,), 1.0, np.float64(1), [1.0], "x", b"x", range(2), {0}, [None], [True, 2],
        np.array(["a"]), np.array([1, 2], object), np.array([1, 2], "M8[s]"), [[0], [0, 1]], [[0, 1], [2, 2]], 2**70,
    ],
    (10,): [
        10, -11, [0, 10], -10, np.array(3), np.int8(-1), np.uint64(3), EMPTY, np.array([]), [], range(3), A[:, None],
        np.array([1, 200], "u1"), np.array([2**64 - 1], "u8"), np.array([-1, -1], "i1"), slice(np.int8(1), 99), M,
    ],
    (3, 4): [
        (M, [0, 1]), (M, [True] * 4), (M, 0), (0, [4]), (A[:, None], A), (A[:, None], ALL), (A, [0, 1, 2]), (0, None),
        (np.array(1), np.array(2)), (np.array(1), 2), (np.array(1), ALL), ([], []), ([], ALL), (EMPTY, EMPTY),
    ],
    SHAPE: [
        (), 0, ..., (0, 0, 0), (0, 0, 0, ...), (..., -1), (..., ...), (0, 0, 0, 0), (None, 0), EMPTY, (EMPTY, 0, 0),
        [0, 1], ([0, 1], 1), (0, [0, 1], 1), (0, [0, 1], ALL), (0, ALL, [0, 1]), (slice(0, 2), A, 1), (A, A, A), (A, A),
        (..., A), (A, ...), (A, A, ALL), (A, ALL, A), (A, A, 0), (1, ALL, A), (0, M, A), slice(0, 2, 0), slice(0.0, 2),
        FULL, (FULL,), FULL[:2], M, (M, ALL), [True, False, True], (FULL[0, :3, :4], 0), (FULL[:, :, 0], ALL),
    ],
}
# fmt: on


def with_ints(selection):
    """The same with ints for arrays without axes, which zarr-python takes for lists of one, or refuses."""
    if isinstance(selection, tuple):
        return tuple(map(with_ints, selection))
    is_one = isinstance(selection, np.ndarray) and selection.ndim == 0 and selection.dtype.kind in "iu"
    return int(selection) if is_one else selection


@pytest.mark.parametrize("way, beyond", [("basic", 11), ("orthogonal", 8), ("pointwise", 5)])
@pytest.mark.filterwarnings("ignore")
def test_as_zarr_python(way, beyond):
    """What zarr-python takes has its result; of what it refuses we take `beyond` selections, with NumPy's meaning."""
    zarr = pytest.importorskip("zarr", minversion="3.4", reason="older ones differ in corners")
    ours = {"basic": basic, "orthogonal": orthogonal, "pointwise": pointwise}[way]
    taken = []
    for shape, selection in [(shape, selection) for shape, some in ORACLE.items() for selection in some]:
        array = numbered(shape)
        stored = zarr.array(array, chunks=tuple(max(1, n - 1) for n in shape), store=zarr.storage.MemoryStore())
        view = {"basic": stored, "orthogonal": stored.oindex, "pointwise": stored.vindex}[way]
        try:
            expected = view[with_ints(selection)]
        except (IndexError, ValueError, TypeError, OverflowError):
            try:
                got = take(array, ours(selection, shape))
            except SelectionError:
                continue
            taken.append(selection)
            same(got, array[selection] if way != "orthogonal" else outer_by_numpy(array, selection))
        else:
            same(take(array, ours(selection, shape)), expected)
    assert len(taken) == beyond, taken


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_random_selections_as_zarr_python(data):
    zarr = pytest.importorskip("zarr", minversion="3.4", reason="older ones differ in corners")
    shape, selection = data.draw(basic_selections() | outer_selections() | one_array_selections() | point_selections())
    array = numbered(shape)
    stored = zarr.array(array, chunks=tuple(max(1, n // 2) for n in shape), store=zarr.storage.MemoryStore())
    for ours, view in ((basic, stored), (orthogonal, stored.oindex), (pointwise, stored.vindex)):
        try:
            expected = view[selection]
        except (IndexError, ValueError, AssertionError):
            continue
        same(take(array, ours(selection, shape)), expected)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_blocks_are_the_union_of_their_chunks(data):
    lengths = data.draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=3))
    grids, wanted, selection = [], [], []
    for sizes in lengths:
        edges = (0, *np.cumsum(sizes).tolist())
        length = data.draw(st.integers(edges[-2] + 1, edges[-1]))
        regular = data.draw(st.booleans())
        size = sizes[0]
        count = -(-length // size) if regular else len(sizes)
        grids.append(RegularAxis(length, size) if regular else RectilinearAxis(length, edges))
        owner = np.arange(length) // size if regular else np.searchsorted(edges, np.arange(length), "right") - 1
        first = data.draw(st.integers(0, count - 1))
        member = data.draw(ints(count) | st.builds(slice, st.sampled_from([first, first - count, None]), bounds))
        chosen = np.atleast_1d(np.arange(count)[member])
        wanted.append(np.nonzero(np.isin(owner, chosen))[0])
        selection.append(member)
    got = blocks(tuple(selection), tuple(grids))
    assert got.squeeze == ()
    assert [list(indices) for indices in got.axes] == [w.tolist() for w in wanted]


def test_blocks_as_zarr_python():
    zarr = pytest.importorskip("zarr", minversion="3.4", reason="older ones differ in corners")
    array = np.arange(70).reshape(10, 7)
    stored = zarr.array(array, chunks=(3, 7), store=zarr.storage.MemoryStore())
    grids = (RegularAxis(10, 3), RegularAxis(7, 7))
    members = [0, -1, 4, -5, ALL, ..., (), (0, ...), (1, 0), (0, 1), (..., 0), np.int64(1), slice(1, 3), slice(1, 100)]
    members += [
        slice(-2, None),
        slice(-9, None),
        slice(3, 1),
        slice(4, 4),
        slice(0, 0),
        slice(None, None, 2),
        [0],
        True,
    ]
    members += [None, 1.0, slice(None, None, -1), slice(1.0), (0, 0, 0), slice(9, None), slice(None, -1)]
    for member in members:
        try:
            expected = stored.blocks[member]
        except (IndexError, TypeError):
            with pytest.raises(SelectionError):
                blocks(member, grids)
        else:
            same(take(array, blocks(member, grids)), expected)
    assert blocks(..., (RegularAxis(0, 3),)).shape == (0,)
    assert blocks((), ()).shape == ()


def test_fields_are_split_off():
    row = slice(1, 3)
    assert fields("f") == ("f", ())
    assert fields(("f", "g")) == (("f", "g"), ())
    assert fields(["f", "g"]) == (("f", "g"), ())
    assert fields(["f"]) == (("f",), ())
    assert fields(("f", row)) == ("f", (row,))
    assert fields((0, "f", row, "g")) == (("f", "g"), (0, row))
    assert fields(row) == (None, row)
    assert fields((0, row)) == (None, (0, row))
    assert fields(()) == (None, ())
    assert fields([0, 1]) == (None, [0, 1])


@pytest.mark.parametrize(
    "function, selection, shape, words",
    [
        (basic, 10, (10,), "index 10 .* axis 0 of length 10"),
        (basic, (0, -6), (3, 5), "index -6 .* axis 1 of length 5"),
        (basic, (0, [1, 7]), (3, 5), "index 7 .* axis 1 of length 5"),
        (basic, np.array([2**64 - 1], "u8"), (10,), "index 18446744073709551615 .* axis 0"),
        (basic, 2**70, (10,), "index 1180591620717411303424 .* axis 0"),
        (basic, (0, 0), (10,), "too many indices: the array has 1 axes, the selection has 2"),
        (basic, 1.5, (10,), "float 1.5"),
        (basic, [1.5], (10,), "float64"),
        (basic, None, (10,), "NoneType None"),
        (basic, slice(0, 5, 0), (10,), "axis 0: slice step cannot be zero"),
        (basic, np.ones((2, 2), bool), (3, 2), r"shape \(2, 2\) for axis 0"),
        (basic, ([0], [0]), (3, 2, 1), r"2 index arrays for .* use \.oindex"),
        (orthogonal, (np.ones(2, bool),), (3,), "mask of length 2 for axis 0 of length 3"),
        (pointwise, (slice(None), [0]), (3, 2), "vindex takes"),
        (pointwise, (), (), "vindex takes"),
        (pointwise, ([0, 1], [0, 1, 2]), (3, 3), "do not broadcast"),
    ],
)
def test_errors_name_axis_and_value(function, selection, shape, words):
    with pytest.raises(SelectionError, match=words):
        function(selection, shape)


def test_numpy_ints_are_ints():
    array = numbered((3, 4, 5))
    for selection in ((1, ALL, A), (1, 2, 3), (slice(1, 3), 0)):
        asked = tuple(np.int16(m) if isinstance(m, int) else m for m in selection)
        same(take(array, basic(asked, array.shape)), take(array, basic(selection, array.shape)))


def test_huge_arrays_cost_nothing():
    shape = (2**62, 2**40)
    assert basic((slice(None, None, 2), -1), shape).shape == (2**61,)
    assert basic((2**61, 0), shape).axes[0] == range(2**61, 2**61 + 1)


def test_arrays_of_the_caller_are_not_changed():
    given_array = np.array([-1, 0, 3])
    given_array.flags.writeable = False
    for selected in (orthogonal(given_array, (4,)).axes, pointwise(given_array, (4,)).indices):
        assert selected[0].tolist() == [3, 0, 3]
    assert given_array.tolist() == [-1, 0, 3]


def test_what_lives_on_a_gpu_is_fetched():
    class Fetched:
        """As a CuPy array shows itself: NumPy may not convert it, `get` does."""

        shape, dtype, __cuda_array_interface__ = (2,), np.dtype(int), {}

        def get(self):
            return np.array([2, 0])

        def __array__(self):
            raise TypeError("Implicit conversion to a NumPy array is not allowed")

    assert orthogonal(Fetched(), (3,)).axes[0].tolist() == [2, 0]
