"""The rules of CuPy's arrays that differ from NumPy's: the stand-in keeps them, and so do the arrays of a GPU."""

import copy
import inspect
import operator
import pickle

import numpy as np
import pytest

from tests.cupy_stand_in.functions import LACKING, UNTAKEN

REFUSED = "Implicit conversion to a NumPy array is not allowed"


@pytest.fixture
def a(cp):
    return cp.asarray(np.arange(12, dtype="float32").reshape(3, 4))


HOST = np.ones((3, 4), "float32")
ONE = np.array(2.0)


@pytest.mark.parametrize(
    "use",
    [
        np.asarray,
        np.array,
        np.asanyarray,
        lambda a: np.asarray(a[0, 0]),
        lambda a: np.array([a, a]),
        lambda a: np.full(2, a[0, 0]),
        lambda a: np.vectorize(float)(a),
        lambda a: HOST.copy().__setitem__(0, a[0]),
    ],
)
def test_nothing_becomes_a_numpy_array_by_the_way(a, use):
    with pytest.raises(TypeError, match=REFUSED):
        use(a)


@pytest.mark.parametrize(
    "use",
    [
        lambda a: a + HOST,
        lambda a: HOST + a,
        lambda a: a + ONE,
        lambda a: ONE + a,
        lambda a: np.add(a, HOST),
        lambda a: a > HOST,
        lambda a: np.where(a > 1, HOST, 0),
        lambda a: np.where(a > 1, a, ONE),
        lambda a: np.where(HOST, a, 0),
        lambda a: np.minimum(a, HOST),
        lambda a: np.add(a, 1, out=HOST.copy()),
        lambda a: a.__iadd__(HOST),
        lambda a: a.__imul__(ONE),
        lambda a: np.clip(a, HOST, 1),
    ],
)
def test_no_array_of_numpy_meets_one_in_a_function_of_elements(a, use):
    with pytest.raises(TypeError):
        use(a)


@pytest.mark.parametrize("join", [np.concatenate, np.stack])
def test_arrays_of_two_kinds_are_not_joined(a, join):
    with pytest.raises(TypeError):
        join([a, HOST])


@pytest.mark.parametrize(
    "use",
    [lambda a: a + None, lambda a: operator.add(a, [1, 2, 3, 4]), lambda a: a + "x", lambda a: operator.lt(a, None)],
)
def test_other_things_than_numbers_do_not_meet_them_either(a, use):
    with pytest.raises(TypeError):
        use(a)


def test_no_element_equals_none(a):
    assert (a == None).shape == (a != None).shape == a.shape  # noqa: E711
    assert (a != None).all() and not (a == None).any()  # noqa: E711


@pytest.mark.parametrize("number", [True, 2, 2.5, np.float32(2), np.int64(2), np.bool_(True)])
def test_numbers_do(cp, a, number):
    for result in (a + number, number + a, np.multiply(a, number), cp.where(a > 1, number, a)):
        assert isinstance(result, cp.ndarray)
    expected = np.arange(12, dtype="float32").reshape(3, 4) + number
    assert (a + number).dtype == expected.dtype
    np.testing.assert_array_equal((a + number).get(), expected)


def test_only_comparisons_take_an_array_of_numpy_without_axes(cp, a):
    for result in (a == ONE, operator.eq(ONE, a), a < ONE, np.equal(a, ONE)):
        assert isinstance(result, cp.ndarray)
    assert (a == ONE).get().sum() == 1


@pytest.mark.parametrize(
    "reduce",
    [
        lambda a: a.sum(),
        lambda a: a.mean(),
        np.mean,
        np.max,
        np.std,
        np.nanmean,
        lambda a: a[0, 0],
        np.argmax,
        lambda a: a.mean(axis=(0, 1)),
        np.count_nonzero,
        lambda a: a[0, 0][()],
    ],
)
def test_one_element_is_an_array_too(cp, a, reduce):
    result = reduce(a)
    assert isinstance(result, cp.ndarray) and result.shape == ()
    assert float(result) == pytest.approx(float(reduce(np.arange(12, dtype="float32").reshape(3, 4))))


def test_one_element_is_a_number_where_python_asks(a):
    assert (int(a[1, 1]), float(a[1, 1]), complex(a[1, 1]), bool(a[1, 1])) == (5, 5.0, 5 + 0j, True)
    assert f"{a[1, 1]:.1f}" == "5.0" and a[1, 1].item() == 5
    with pytest.raises(TypeError):
        range(a[1, 1].astype("int64"))  # there is no __index__
    with pytest.raises(ValueError, match="truth value"):
        bool(a)


def test_results_of_bools_are_arrays(cp, a):
    for result in (cp.array_equal(a, a), cp.allclose(a, a), (a == a).all(), np.any(a)):
        assert isinstance(result, cp.ndarray) and bool(result)


@pytest.mark.parametrize(
    "key",
    [
        np.array([0, 2]),
        [0, 2],
        np.array([True, False, True]),
        (slice(None), np.array([1, 3])),
        np.array(1),
        (np.array([0, 1]), np.array([1, 2])),
        (Ellipsis, None),
        (1, slice(None, None, 2)),
        np.int64(2),
    ],
)
def test_arrays_of_numpy_select(cp, a, key):
    assert isinstance(a[key], cp.ndarray)
    np.testing.assert_array_equal(a[key].get(), np.arange(12, dtype="float32").reshape(3, 4)[key])


def test_arrays_select_if_they_are_of_integers_or_bools(cp, a):
    assert a[cp.asarray([0, 2])].shape == (2, 4) and a[a > 5].shape == (6,)
    assert a.take(np.array([0, 1]), axis=1).shape == cp.take(a, [0, 1], axis=1).shape == (3, 2)
    mask = np.array([True, False, True])
    np.testing.assert_array_equal(a[mask, np.array([True, False, True, False])].get(), [0, 10])
    np.testing.assert_array_equal(a[cp.asarray(mask), [0, 1]].get(), [0, 9])
    with pytest.raises(IndexError):
        a[np.array([0.0])]


def test_values_of_numpy_are_set_only_through_arrays_that_select(a):
    a[1] = 7
    a[2, :2] = np.float32(8)
    a[0] = ONE
    a[[0, 1]] = HOST[:2] * 5
    a[a == 8] = np.array([1, 2], "float32")
    np.testing.assert_array_equal(a.get(), [[5, 5, 5, 5], [5, 5, 5, 5], [1, 2, 10, 11]])
    for key in (0, slice(None), slice(0, 2), Ellipsis):
        with pytest.raises(ValueError, match="cannot be used for fill"):
            a[key] = HOST[0]


def test_only_arrays_are_cast(cp, a):
    assert cp.astype(a, "i2").dtype == "i2"
    for number in (1, np.int16(1), np.ones(2)):
        with pytest.raises(TypeError, match="should be a CuPy array"):
            cp.astype(number, "f4")


def test_parts_are_views(a):
    part, element, turned = a[1:], a[0, 0], a.T
    part[0, 0], element[...], turned[3, 0] = 20, 21, 22
    assert a.get()[[1, 0, 0], [0, 0, 3]].tolist() == [20, 21, 22]


@pytest.mark.parametrize("dtype", ["M8[ns]", "m8[s]", "U3", object, ">f4", "S2"])
def test_dtypes_that_there_are_not(cp, a, dtype):
    with pytest.raises((ValueError, TypeError)):
        a.astype(dtype)
    with pytest.raises((ValueError, TypeError)):
        cp.empty((2,), dtype)


def test_arguments_that_methods_do_not_take(a):
    for use in (
        lambda: a.sum(where=True),
        lambda: a.max(initial=0),
        lambda: a.astype("int8", casting="safe"),
        lambda: a.astype("int8", subok=False),
        lambda: np.sum(a, where=a > 1),
        lambda: np.std(a, correction=1),
        lambda: np.max(a, initial=0),
    ):
        with pytest.raises(TypeError):
            use()


@pytest.mark.parametrize("function", [lambda a: np.block([a, a]), lambda a: np.insert(a, 0, 1), np.unstack])
def test_functions_that_there_are_not(a, function):
    with pytest.raises(TypeError):
        function(a)


@pytest.mark.parametrize("name", ["__array_namespace__", "__array_interface__", "__index__", "__contains__", "ctypes"])
def test_attributes_that_there_are_not(a, name):
    assert not hasattr(a, name)


def test_arrays_take_no_attributes_have_no_hash_and_no_length_without_axes(a):
    with pytest.raises(AttributeError):
        a.note = 1
    with pytest.raises(TypeError):
        hash(a)
    with pytest.raises(TypeError):
        len(a[0, 0])
    with pytest.raises(TypeError):
        iter(a[0, 0])
    assert not hasattr(a.flags, "writeable")


def test_functions_of_numpy_return_arrays(cp, a):
    for result in (
        np.concatenate([a, a]),
        np.stack([a, a]),
        np.broadcast_to(a[0], (3, 4)),
        np.moveaxis(a, 0, 1),
        np.expand_dims(a, 0),
        np.zeros_like(a),
        np.full_like(a, 1),
        np.empty((2,), like=a),
        np.asarray(HOST, like=a),
        np.lib.stride_tricks.sliding_window_view(a, 2, 0),
        np.tensordot(a, a, axes=2),
        np.einsum("ij->i", a),
        np.isnan(a),
        -a,
        abs(a),
        a**2,
        2 // (a + 1),
        a @ a.T,
    ):
        assert isinstance(result, cp.ndarray)
    assert (np.shape(a), np.ndim(a), np.size(a), np.result_type(a, 1.0)) == ((3, 4), 2, 12, np.float32)
    assert np.iscomplexobj(a) is False and np.can_cast(a.dtype, "f8")


def test_what_lies_on_a_gpu_says_so(a):
    assert a.__dlpack_device__()[0] == 2
    assert a.__cuda_array_interface__["shape"] == (3, 4)


def test_they_are_copied_and_pickled(cp, a):
    for made in (copy.copy(a), copy.deepcopy(a), a.copy(), pickle.loads(pickle.dumps(a))):
        assert isinstance(made, cp.ndarray)
        made[...] = 0
    assert a.get().sum() == 66


def test_every_copy_to_the_host_is_noticed(cp, a, host_copies):
    a + 1, a[0], a.sum(), cp.asarray(HOST)
    assert host_copies == []
    a.get(), float(a[0, 0]), bool(a[0, 0]), a[0, 0].item(), repr(a)
    assert {"get", "__float__", "__bool__", "item", "__repr__"} <= set(host_copies)
    host_copies.clear()
    a[a > 3] = 0
    assert "mask" in host_copies


def test_the_tables_are_those_of_cupy():
    """What CuPy lacks is looked up in CuPy wherever it is installed, with or without a GPU."""
    cupy = pytest.importorskip("cupy")
    functions = {name for name in vars(np) if not name.startswith("_") and callable(getattr(np, name))}
    assert {name for name in LACKING & functions if hasattr(cupy, name)} == set()
    for name, untaken in UNTAKEN.items():
        assert not set(untaken) & set(inspect.signature(getattr(cupy, name)).parameters), name
