"""Bit shuffles undone while rows are placed: any cut into blocks, any bit to begin with, nothing read beside planes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.gpu.place import in_rows
from gpuzarr.gpu.planes import placeable
from gpuzarr.gpu.shuffle import Blocks, bitunshuffle
from gpuzarr.gpu.tables import addresses
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import parts
from gpuzarr.indexing.selection import orthogonal
from gpuzarr.metadata import RegularAxis
from tests.conftest import examples
from tests.gpu.arrays import array_of, blosc, smooth
from tests.gpu.crowded import bitunshuffled
from tests.gpu.placing import check, lay, shuffling
from tests.hardware import host_array

RNG = np.random.default_rng(12)
KINDS = ["u1", "i2", "f4", "f8", "c8", "c16"]


def stored_as(kind, elements):
    """Chunks of bits, of bytes, and plain ones; single bytes have no byte shuffle."""
    return shuffling(elements, (0, 1, 2, 3) if np.dtype(kind).itemsize == 1 else (0, 1, 2))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_rows_of_any_selection(threads, data):
    """Rows of 16 elements or more, of chunks of every kind, that begin and end anywhere in blocks and in the result."""
    whole = 8 * data.draw(st.integers(5, 12))
    rest = 8 * data.draw(st.integers(4, min(6, whole // 8)))  # all of the last chunk: no shorter one comes behind it
    high, count = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    grid = [RegularAxis(7, high), RegularAxis(whole * count + rest, whole)]
    key = slice(data.draw(st.integers(0, 24)), grid[1].length - data.draw(st.integers(0, 16)))
    kind = np.dtype(data.draw(st.sampled_from(KINDS)))
    array = RNG.integers(0, 30000, (7, grid[1].length)).astype(kind)
    check(
        threads,
        array,
        grid,
        orthogonal((data.draw(st.slices(7)), key), array.shape),
        permutation=(0, 1),
        swapped=kind.itemsize > 1 and data.draw(st.booleans()),
        offset=data.draw(st.integers(0, 3)),
        missing=data.draw(st.sampled_from([None, lambda n: np.arange(n) % 4 != 1])),
        store=stored_as(kind, 8 * data.draw(st.integers(4, 9))),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_so_long_that_every_thread_comes_round_more_than_once(threads, kind):
    length = 8 * (80_000 // np.dtype(kind).itemsize // 8)
    array = RNG.integers(0, 256, length).astype(kind)
    selection = orthogonal((slice(1, -3),), array.shape)
    check(threads, array, [RegularAxis(length, length)], selection, permutation=(0,), store=stored_as(kind, 1032))


@pytest.mark.parametrize("cname", ["lz4", "zstd"])
@pytest.mark.parametrize("dtype", ["|u1", ">i2", "<f4", ">f8", "<c16"])
def test_reads_of_blosc(gpu, tmp_path, kernels_run, cname, dtype):
    """Whole chunks, clipped ones and regions in one pass; what takes elements one by one, in two."""
    values = smooth((100, 150), np.dtype(dtype).newbyteorder("="))
    kernel = f"place_planes_{values.dtype.itemsize}"
    for number, blocksize in enumerate((0, 2048)):
        encode = blosc(cname, 2, values.dtype.itemsize, blocksize)
        folder = tmp_path / f"{number}"
        want = array_of(folder, values, (64, 72), lambda _, data, run=encode: run(data), dtype=dtype, missing=(1,))
        a, seen = gpuzarr.open_array(folder, device=gpu), kernels_run(gpu)
        for key in ((slice(3, -3), slice(5, 140)), (7, slice(33, 144)), (slice(None, None, -2), slice(72))):
            np.testing.assert_array_equal(host_array(a[key]), want[key])
        assert kernel in seen and "bitunshuffle" not in seen
        np.testing.assert_array_equal(host_array(a[...]), want)
        assert "bitunshuffle" in seen  # of the chunks of which 6 columns are wanted
        seen.clear()
        for key in ((slice(None), slice(None, None, 2)), (slice(2, 99), 70), (slice(None), slice(60, 80))):
            np.testing.assert_array_equal(host_array(a[key]), want[key])
        assert "bitunshuffle" in seen and kernel not in seen


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_regions_of_any_chunks(gpu, tmp_path_factory, data):
    """Against c-blosc: any element, block, inner codec and order of bytes; regions that begin and end anywhere."""
    kind = np.dtype(data.draw(st.sampled_from(["|u1", "<i2", ">u2", ">f4", "<f4", "<f8", ">f8", "<c16"])))
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(32, 300)))
    chunks = data.draw(st.tuples(st.integers(1, 20), st.integers(4, 20).map(lambda n: 8 * n)))
    ways = st.builds(
        blosc,
        st.sampled_from(["lz4", "zstd", "blosclz"]),
        st.sampled_from([2, 2, 2, 1, 0]),
        st.sampled_from([kind.itemsize] * 3 + [4]),
        st.sampled_from([0, 256, 8 * 33 * kind.itemsize, 1000, 4096]),
        st.sampled_from([5, 5, 0]),
    )
    each = data.draw(st.lists(ways, min_size=1, max_size=3))
    values = smooth(shape, "i2").astype(kind.newbyteorder("="))
    folder = tmp_path_factory.mktemp("bits") / "a"
    want = array_of(
        folder, values, chunks, lambda number, data: each[number % len(each)](data), dtype=kind.str, missing=(1,)
    )
    key = data.draw(st.slices(shape[0])), slice(data.draw(st.integers(0, 20)), shape[1] - data.draw(st.integers(0, 11)))
    np.testing.assert_array_equal(host_array(gpuzarr.open_array(folder, device=gpu)[key]), want[key])


def test_reads_of_version_3(gpu, tmp_path, kernels_run):
    """Shards of what zarr-python wrote, big-endian, clipped on both axes."""
    zarr = pytest.importorskip("zarr")
    values = smooth((50, 200), "u2")
    codec = zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=2)
    z = zarr.create_array(
        tmp_path / "a", shape=values.shape, chunks=(16, 80), shards=(32, 160), dtype="u2", compressors=[codec],
        serializer=zarr.codecs.BytesCodec(endian="big"),
    )  # fmt: skip
    z[...] = values
    seen = kernels_run(gpu)
    for key in ((...,), (slice(1, 49), slice(3, 199))):
        np.testing.assert_array_equal(host_array(gpuzarr.open_array(tmp_path / "a", device=gpu)[key]), values[key])
    assert "place_planes_2" in seen and "bitunshuffle" not in seen


def test_raw_streams_and_plain_copies_are_read_in_place(gpu, tmp_path, kernels_run):
    """Nothing is copied: what no codec makes smaller is read where it was uploaded."""
    noise = RNG.integers(0, 2**32, (64, 80), np.uint32)
    half = noise & 0xFFFF

    def encode(number, data):
        return blosc(shuffle=2, clevel=5 * (number != 3))(data)

    array_of(tmp_path / "a", half, (32, 40), encode)
    a, seen = gpuzarr.open_array(tmp_path / "a", device=gpu), kernels_run(gpu)
    np.testing.assert_array_equal(host_array(a[1:, 1:]), half[1:, 1:])
    assert set(seen) == {"bad_status", "place_planes_4"}
    assert a.last_read.asdict()["streams"] == {"lz4": 6}  # two planes of four, of three chunks


def test_chunks_of_every_kind_in_one_launch(gpu, tmp_path, kernels_run):
    """Bits, bytes, none, other elements, plain copies, and blocks of no multiple of 8 elements, so not shuffled."""
    values = smooth((80, 480), "f4")
    ways = [
        *(blosc("lz4", kind, 4, blocksize) for kind in (2, 1, 0) for blocksize in (0, 1024)),
        *(blosc("zstd", 2, 8), blosc("zstd", 2, 4), blosc("lz4", 2, 4, clevel=0), blosc("lz4", 2, 4, 1000)),
    ]
    want = array_of(tmp_path / "a", values, (16, 40), lambda number, data: ways[number % len(ways)](data), missing=(5,))
    a, seen = gpuzarr.open_array(tmp_path / "a", device=gpu), kernels_run(gpu)
    np.testing.assert_array_equal(host_array(a[...]), want)
    assert seen.count("place_planes_4") == 1 and {"unshuffle", "place"}.isdisjoint(seen)


def test_a_last_block_that_is_not_shuffled(gpu, tmp_path, kernels_run):
    values = smooth((10, 1025), "i2")  # 20500 bytes: the last block has 4 bytes, or 9 elements
    for number, blocksize in enumerate((4096, 20482)):
        encode = blosc("lz4", 2, 2, blocksize)
        want = array_of(tmp_path / f"{number}", values, (10, 1025), lambda _, data, run=encode: run(data))
        seen = kernels_run(gpu)
        got = gpuzarr.open_array(tmp_path / f"{number}", device=gpu)[1:, 3:]
        np.testing.assert_array_equal(host_array(got), want[1:, 3:])
        assert "place_planes_2" not in seen


@pytest.mark.parametrize("offset", range(4))
def test_the_pass_of_its_own_reads_nothing_beside_planes(gpu, offset):
    widths = np.array([1, 2, 3, 4, 8, 17])
    chunks = [RNG.integers(0, 256, width * 8 * (2 * width + offset), np.uint8) for width in widths]
    sizes, count = np.array([len(chunk) for chunk in chunks]), len(chunks)
    (places, held), target = lay(gpu, chunks, offset), gpu.encoded_batch(sizes)
    bitunshuffle(gpu, Blocks(addresses(target, gpu), sizes, widths, np.arange(count), np.zeros(count, bool), places))
    for number, (chunk, width) in enumerate(zip(chunks, widths, strict=True)):
        np.testing.assert_array_equal(gpu.download(target[number]), bitunshuffled(chunk, width))
    del held


def test_what_can_be_placed():
    def ask(width, block, nbytes, bits=True):
        return placeable(width, np.array(block), np.array(nbytes), bits).item()

    assert ask(1, 256, 1000) and ask(4, 1024, 4096 + 32) and ask(16, 512, 512)
    assert not ask(4, 1024, 4096 + 16) and not ask(4, 1000, 4000) and not ask(4, 64, 4096) and not ask(3, 768, 768)
    assert ask(4, 1024, 4096 + 16, bits=False) and not ask(1, 256, 1000, bits=False)


def test_rows_are_of_32_elements_at_least(gpu):
    def ask(*key):
        selection = orthogonal(key, (8, 100))
        out = flipped(selection, gpu.xp.empty(selection.shape, "f4"))
        regions = list(parts(ascending(selection), (RegularAxis(8, 4), RegularAxis(100, 50)), (0, 0)))
        return in_rows([(regions, (out,))], (200, 4)).tolist()

    assert ask(slice(None), slice(None)) == [True] * 4
    assert ask(3, slice(50, 82)) == [True] and ask(slice(1, None, 3), slice(18, 50)) == [True] * 2
    assert ask(slice(None), slice(20, 81)) == [False] * 4
    assert sorted(ask(slice(None), slice(81))) == [False, False, True, True]
    assert not any(ask(slice(None), slice(None, None, 2)) + ask(slice(None), 3))
