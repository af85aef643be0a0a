"""kernels/place.cu puts chunks where NumPy's assignment does: any part, layout, byte order and direction."""

from __future__ import annotations

from itertools import permutations
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.chain import Chain
from gpuzarr.gpu.place import MAX_AXES, fits
from gpuzarr.indexing.selection import orthogonal, pointwise
from gpuzarr.metadata import RegularAxis
from gpuzarr.read.place import placeable
from tests.conftest import examples
from tests.gpu.placing import check
from tests.grids import axes
from tests.hardware import host_array

DTYPES = ["u1", "i2", "f4", "c8", "f8", "c16"]
RNG = np.random.default_rng(5)


def random(shape, kind):
    return RNG.integers(0, 100, shape).astype(kind)


@st.composite
def selections(draw, grid):
    """Ints, slices and lists for each axis; or points."""
    lists = [st.lists(st.integers(-a.length, a.length - 1), max_size=7).map(lambda x: np.array(x, int)) for a in grid]
    bounds = [
        st.one_of(st.integers(-a.length, a.length - 1), st.slices(a.length), some)
        for a, some in zip(grid, lists, strict=True)
    ]
    shape = tuple(a.length for a in grid)
    if grid and draw(st.integers(0, 3)) == 0:
        n = draw(st.integers(0, 9))
        return pointwise(tuple(RNG.integers(-size, size, n) for size in shape), shape)
    return orthogonal(tuple(draw(one) for one in bounds), shape)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_selection_of_any_layout(threads, data):
    grid = data.draw(st.lists(axes(), min_size=0, max_size=3))
    array = random([a.length for a in grid], data.draw(st.sampled_from(DTYPES)))
    selection = data.draw(selections(grid))
    check(
        threads,
        array,
        grid,
        selection,
        permutation=data.draw(st.permutations(range(len(grid)))),
        swapped=data.draw(st.booleans()),
        offset=data.draw(st.integers(0, 17)),
        missing=data.draw(st.sampled_from([None, lambda n: np.arange(n) % 3 != 1, lambda n: np.zeros(n, bool)])),
        transposed=data.draw(st.booleans()),
    )


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("offset", [0, 5])
def test_rows_and_tiles(threads, kind, offset):
    """Chunks large enough for rows of pieces and for tiles, cut at both ends, in both byte orders."""
    grid = [RegularAxis(45, 40), RegularAxis(3, 2), RegularAxis(150, 70)]
    array = random([a.length for a in grid], kind)
    swaps = (False,) if kind == "u1" else (False, True)
    for permutation in ((0, 1, 2), (2, 1, 0), (0, 2, 1)):
        for swapped in swaps:
            selection = orthogonal((slice(1, 44), slice(None), slice(3, 149)), array.shape)
            some = {"permutation": permutation, "swapped": swapped, "offset": offset}
            check(threads, array, grid, selection, missing=lambda n: np.arange(n) != 1, **some)


@pytest.mark.parametrize("key", [slice(None, None, -1), slice(None, None, 3), slice(100, 2, -7)])
def test_directions_and_steps(threads, key):
    grid = [RegularAxis(37, 30), RegularAxis(130, 64)]
    array = random([37, 130], "i4")
    check(threads, array, grid, orthogonal((key, key), array.shape), permutation=(0, 1))
    check(threads, array, grid, orthogonal((slice(None), key), array.shape), permutation=(1, 0), transposed=True)


def test_one_chunk_of_many_blocks(threads):
    """So long that every thread comes round more than once."""
    grid = [RegularAxis(70_000, 70_000)]
    array = random([70_000], "i4")
    check(threads, array, grid, orthogonal((slice(1, None),), array.shape), permutation=(0,), offset=3)


def test_axes_that_the_kernel_does_not_have(gpu):
    shape = (2,) * (MAX_AXES + 1)
    assert not fits(shape, gpu.xp.empty(shape, "f4"), gpu)
    assert not fits((2,), gpu.upload(np.zeros(9, np.uint8))[1:].view("f4"), gpu)
    chain = Chain.build((find("bytes", {"endian": "little"}, 3),), ChunkSpec((4,), np.dtype("f4"), 0))
    right, wrong = gpu.xp.empty(2, "f4"), gpu.xp.empty(2, "f8")
    assert placeable([right, right], chain, gpu) and not placeable([right, wrong], chain, gpu)


def turned(*order):
    return "transpose", {"order": list(order)}


def shaped(*shape):
    return "reshape", {"shape": list(shape)}


SQUEEZED, INSERTED = ("zarrs.squeeze", {}), ("singleton_dim", {"operations": [{"insert": 1}, {"insert": 0}]})
TURNS = [
    [],
    [turned(1, 2, 0)],
    [turned(1, 2, 0), turned(2, 0, 1)],
    [turned(2, 1, 0), turned(1, 0, 2)],
    [shaped([0, 1], [2])],
    [shaped(-1), shaped(5, 6), turned(0, 1), shaped(10, 3)],
    [turned(2, 0, 1), INSERTED, turned(4, 3, 2, 1, 0), SQUEEZED, turned(1, 0, 2)],
    [INSERTED, shaped([0, 1, 2], -1), SQUEEZED, shaped(3, 10)],
]


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("endian", ["little", "big"])
def test_plain_says_how_elements_lie(turns, endian):
    codecs = [*(find(*each, 3) for each in turns), find("bytes", {"endian": endian}, 3)]
    spec = ChunkSpec((2, 3, 5), np.dtype("i4"), 0)
    chain = Chain.build(codecs, spec)
    batch = RNG.integers(0, 1000, (1, *spec.shape)).astype("i4")
    from gpuzarr.devices.cpu import CPU

    lies = chain.encode(batch, CPU)[0].view("<i4" if endian == "little" else ">i4")
    plain = chain.memory_order
    assert (plain.steps, plain.swap) == (len(turns) + 1, 1 if endian == "little" else 4)
    strides = tuple(4 * step for step in plain.strides)
    np.testing.assert_array_equal(np.lib.stride_tricks.as_strided(lies, spec.shape, strides), batch[0])
    assert prod(spec.shape) == lies.size


@pytest.mark.parametrize("turns", [[shaped([0, 1], 5), turned(1, 0)], [shaped(5, 6), turned(1, 0), shaped(-1)]])
def test_other_shapes_behind_a_transpose_have_no_strides(turns):
    codecs = [*(find(*each, 3) for each in turns), find("bytes", {"endian": "little"}, 3)]
    assert Chain.build(codecs, ChunkSpec((2, 3, 5), np.dtype("i4"), 0)).memory_order is None


def test_other_array_codecs_are_decoded_first(gpu, tmp_path):
    zarr = pytest.importorskip("zarr")
    numcodecs = pytest.importorskip("numcodecs")
    want = np.cumsum(RNG.integers(0, 9, (20, 30)), axis=1).astype("i4")
    for number, order in enumerate("CF"):
        z = zarr.create_array(
            tmp_path / f"{number}", shape=want.shape, chunks=(8, 7), dtype="i4", zarr_format=2, order=order,
            filters=[numcodecs.Delta("i4")], fill_value=2,
        )  # fmt: skip
        z[:16] = want[:16]
        got = gpuzarr.open_array(tmp_path / f"{number}", device=gpu)[1:, ::2]
        np.testing.assert_array_equal(host_array(got), np.where(np.arange(20)[:, None] < 16, want, 2)[1:, ::2])


def test_every_order_of_four_axes(gpu):
    grid = [RegularAxis(n, m) for n, m in ((5, 3), (9, 9), (4, 2), (11, 10))]
    array = random([5, 9, 4, 11], "i2")
    selection = orthogonal((slice(1, 5), slice(None), 2, slice(None, None, -1)), array.shape)
    for permutation in list(permutations(range(4)))[::3]:
        check(gpu, array, grid, selection, permutation=permutation)
