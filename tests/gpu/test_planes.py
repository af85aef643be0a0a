"""Byte shuffles undone while chunks are placed: any cut into blocks, planes anywhere, nothing read beside them."""

from __future__ import annotations

import numcodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.indexing.selection import orthogonal
from gpuzarr.metadata import RegularAxis
from tests.conftest import examples
from tests.gpu.arrays import array_of, blosc, smooth
from tests.gpu.placing import check, shuffling
from tests.grids import axes
from tests.hardware import host_array

RNG = np.random.default_rng(11)
SHUFFLED = ["i2", "f4", "f8", "c8", "c16"]
slow = settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@slow
@given(st.data())
def test_any_selection_of_any_layout(threads, data):
    grid = data.draw(st.lists(axes(), min_size=0, max_size=3))
    array = RNG.integers(0, 30000, [a.length for a in grid]).astype(data.draw(st.sampled_from(SHUFFLED)))
    bounds = [st.one_of(st.integers(-a.length, a.length - 1), st.slices(a.length)) for a in grid]
    check(
        threads,
        array,
        grid,
        orthogonal(tuple(data.draw(one) for one in bounds), array.shape),
        permutation=data.draw(st.permutations(range(len(grid)))),
        swapped=data.draw(st.booleans()),
        offset=data.draw(st.integers(0, 9)),
        missing=data.draw(st.sampled_from([None, lambda n: np.arange(n) % 4 != 1])),
        transposed=data.draw(st.booleans()),
        store=shuffling(data.draw(st.integers(32, 60))),
    )


@pytest.mark.parametrize("kind", SHUFFLED)
@pytest.mark.parametrize("offset", range(4))
def test_rows_and_tiles(threads, kind, offset):
    """Chunks large enough for rows of pieces that blocks cut anywhere, and for tiles; cut at both ends."""
    grid = [RegularAxis(45, 40), RegularAxis(3, 2), RegularAxis(150, 70)]
    array = RNG.integers(0, 30000, [a.length for a in grid]).astype(kind)
    selection = orthogonal((slice(1, 44), slice(None), slice(3, 149)), array.shape)
    for permutation in ((0, 1, 2), (2, 1, 0)):
        some = {"permutation": permutation, "swapped": bool(offset % 2), "offset": offset}
        check(threads, array, grid, selection, missing=lambda n: np.arange(n) != 1, store=shuffling(97), **some)


def test_one_chunk_of_many_blocks(threads):
    """So long that every thread comes round more than once."""
    grid, array = [RegularAxis(70_000, 70_000)], RNG.integers(0, 30000, 70_000).astype("i4")
    selection = orthogonal((slice(1, None),), array.shape)
    check(threads, array, grid, selection, permutation=(0,), offset=3, store=shuffling(1033))


SELECTIONS = [
    (...,),
    (slice(3, -3), slice(None, None, -1)),
    (slice(None, None, -2), slice(5, 140, 3)),
    (7, slice(2, 130)),
]


@pytest.mark.parametrize("cname", ["lz4", "lz4hc", "zlib", "zstd"])
@pytest.mark.parametrize("dtype", ["<i2", ">f4", "<f8", ">c16", "<c8", ">u2"])
def test_reads_of_blosc(gpu, tmp_path, kernels_run, cname, dtype):
    values = smooth((100, 150), np.dtype(dtype).newbyteorder("="))
    for number, (order, blocksize) in enumerate((("C", 0), ("F", 1024))):
        encode = blosc(cname, 1, values.dtype.itemsize, blocksize)
        folder = tmp_path / f"{number}"
        some = {"dtype": dtype, "order": order, "missing": (1,)}
        want = array_of(folder, values, (64, 70), lambda number, data, run=encode: run(data), **some)
        seen = kernels_run(gpu)
        for key in SELECTIONS:
            np.testing.assert_array_equal(host_array(gpuzarr.open_array(folder, device=gpu)[key]), want[key])
        assert "unshuffle" not in seen and f"place_planes_{values.dtype.itemsize}" in seen


@slow
@given(st.data())
def test_chunks_of_every_kind_in_one_batch(gpu, tmp_path_factory, data):
    """Blocks of any size; shuffled by this element size, another, bits, or not at all; plain copies; for the host."""
    shape = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 200)))
    chunks = data.draw(st.tuples(st.integers(1, 50), st.integers(1, 90)))
    values = smooth(shape, data.draw(st.sampled_from(SHUFFLED)))
    width = values.dtype.itemsize
    kinds = st.builds(
        blosc,
        st.sampled_from(["lz4", "zstd", "zlib", "blosclz"]),
        st.sampled_from([1, 1, 1, 2, 0]),
        st.sampled_from([width, width, width, 2, 8]),
        st.sampled_from([0, 128, 300, 1000, 4096]),
        st.sampled_from([5, 1, 0]),
    )
    ways = data.draw(st.lists(kinds, min_size=1, max_size=4))
    nbytes = chunks[0] * chunks[1] * width

    def encode(number, data):
        return blosc(typesize=2)(data) if nbytes % 8 else ways[number % len(ways)](data)

    folder = tmp_path_factory.mktemp("planes") / "a"
    want = array_of(folder, values, chunks, encode, missing=(2,), order=data.draw(st.sampled_from("CF")))
    key = tuple(data.draw(st.slices(n)) for n in shape)
    a = gpuzarr.open_array(folder, device=gpu)
    np.testing.assert_array_equal(host_array(a[...]), want)
    np.testing.assert_array_equal(host_array(a[key]), want[key])


def test_raw_streams_and_plain_copies_are_read_in_place(gpu, tmp_path, kernels_run):
    """Nothing is copied: what no codec makes smaller is read where it was uploaded."""
    noise = RNG.integers(0, 2**32, (64, 80), np.uint32)
    want = array_of(tmp_path / "a", noise, (32, 40), lambda number, data: blosc(clevel=number % 2 * 5)(data))
    half = noise & 0xFFFF
    array_of(tmp_path / "b", half, (32, 40), lambda number, data: blosc()(data))
    seen = kernels_run(gpu)
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(tmp_path / "a", device=gpu)[1:]), want[1:])
    assert seen == ["place"]
    a = gpuzarr.open_array(tmp_path / "b", device=gpu)
    np.testing.assert_array_equal(host_array(a[1:]), half[1:])
    assert set(seen) == {"place", "bad_status", "place_planes_4"}
    assert a.last_read.asdict()["streams"] == {"lz4": 8}  # two planes of four, of four chunks
    assert {"decode", "place"} <= set(a.last_read.asdict()["seconds"])


def test_shuffle_codecs(gpu, tmp_path, kernels_run):
    values = smooth((40, 60), "f4")
    filters, compressor = [{"id": "shuffle", "elementsize": 4}], {"id": "zlib", "level": 1}

    def encode(number, data):
        return numcodecs.Zlib(1).encode(numcodecs.Shuffle(4).encode(data))

    want = array_of(tmp_path / "a", values, (16, 32), encode, filters=filters, compressor=compressor, missing=(3,))
    filters[0]["elementsize"] = 8
    other = lambda number, data: numcodecs.Zlib(1).encode(numcodecs.Shuffle(8).encode(data))  # noqa: E731
    array_of(tmp_path / "b", values, (16, 32), other, filters=filters, compressor=compressor, missing=(3,))
    for name, kernel in (("a", "place_planes_4"), ("b", "unshuffle")):
        seen = kernels_run(gpu)
        for key in SELECTIONS:
            got = gpuzarr.open_array(tmp_path / name, device=gpu)[(slice(2, None), *key[1:])]
            np.testing.assert_array_equal(host_array(got), want[(slice(2, None), *key[1:])])
        assert kernel in seen and len({"place_planes_4", "unshuffle"} & set(seen)) == 1


def test_chunks_in_one_piece_are_unshuffled_straight_to_their_place(gpu, tmp_path, kernels_run):
    values = smooth((64, 50), "f8")
    want = array_of(tmp_path / "a", values, (16, 50), lambda number, data: blosc(typesize=8)(data), missing=(1,))
    seen = kernels_run(gpu)
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(tmp_path / "a", device=gpu)[...]), want)
    assert set(seen) == {"bad_status", "unshuffle", "place"}


def test_a_filter_between_is_decoded_in_two_passes(gpu, tmp_path, kernels_run):
    values = np.cumsum(RNG.integers(0, 9, (40, 60)), axis=1).astype("i4")
    filters = [{"id": "delta", "dtype": "<i4"}]

    def encode(number, data):
        return blosc()(numcodecs.Delta("<i4").encode(np.frombuffer(data, "<i4")).tobytes())

    want = array_of(tmp_path / "a", values, (16, 32), encode, filters=filters)
    seen = kernels_run(gpu)
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(tmp_path / "a", device=gpu)[1:, ::2]), want[1:, ::2])
    assert {"unshuffle", "place"} <= set(seen)


def test_strided_results(gpu, tmp_path):
    values = smooth((50, 80), "f4")
    want = array_of(tmp_path / "a", values, (20, 64), lambda number, data: blosc()(data))
    a = gpuzarr.open_array(tmp_path / "a", device=gpu)
    for view in (lambda m: m[::2, ::-1], lambda m: m[:50, ::2], lambda m: m[1:51, 3:83]):
        memory = gpu.upload(np.zeros((100, 160), "f4"))
        out = view(memory[:, :80] if view(memory).shape[1] != 80 else memory)
        a.get(out=out)
        np.testing.assert_array_equal(host_array(out), want)
