"""Arrays as large as JSON can say, and of as many axes as NumPy bears.

Facts, explanations and small selections need no more than those of small arrays; what cannot be is refused by a typed
error.
"""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import product

import numpy as np
import pytest

import gpuzarr
from tests import nasty
from tests.hardware import host_array

HUGE = 2**62
SHAPES = [(HUGE,), (2**63 - 1,), (HUGE, HUGE), (HUGE, 0, HUGE), (3, HUGE), (HUGE,) * 40]
LAYOUTS = ["chunks", "v2", "shards", "shards within"]
LISTS = ["read_chunk_sizes", "write_chunk_sizes"]  # of all chunks along an axis, so not of any number
NOT_OF_V3 = ["compressor"]
FACTS = [name for name, member in vars(gpuzarr.Array).items() if isinstance(member, property)]
FACTS = [name for name in FACTS if name not in (*LISTS, *NOT_OF_V3)]


def huge(shape, layout):
    one, two, four = ((n,) * len(shape) for n in (1, 1 + (len(shape) < 9), 1 + 3 * (len(shape) < 9)))
    if layout == "v2":
        return {".zarray": json.dumps(nasty.array_v2(shape=shape, chunks=one)).encode()}
    codecs = {"chunks": [nasty.LITTLE], "shards": [nasty.shards(two)], "shards within": [nasty.shards(two), "crc32c"]}
    return nasty.of(zarr_json=nasty.array(shape, one if layout == "chunks" else four, codecs[layout]))


@pytest.fixture(params=product(SHAPES, LAYOUTS), ids=lambda param: f"{len(param[0])}-{param[0][0]}-{param[1]}")
def store(request):
    return huge(*request.param)


@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_small_selections_are_those_of_small_arrays(name, store, request):
    from tests.hardware import DEVICES

    a = gpuzarr.open(store, mode="r+", device=DEVICES[name]())
    if not a.size:
        return
    corners = [(0,) * a.ndim, (-1,) * a.ndim, (slice(-1, None, 1),) * a.ndim]
    with nasty.in_time("small selections"):
        for number, place in enumerate(corners, 1):
            assert not host_array(a[place]).any()
            a[place] = number
            assert (host_array(a[place]) == number).all()
            a[place] = 0
        few = (slice(0, 5, 2), *corners[0][1:])
        a[few] = 7
        assert host_array(a[few]).tolist() == [7, 7, 7][: len(range(*slice(0, 5, 2).indices(a.shape[0])))]
        assert host_array(a.vindex[tuple([0, -1] for _ in a.shape)]).tolist() == [7, 0]


def test_facts_and_explanations_are_there_at_once(store):
    a = gpuzarr.open(store, mode="r+", device="cpu")
    with nasty.in_time("facts"):
        for fact in FACTS:
            str(getattr(a, fact))
        for fact in LISTS:
            with suppress(gpuzarr.NoMemoryError):
                str(getattr(a, fact))
        str(a.info_complete())
        for selection in (..., slice(None, None, 2), slice(None, None, -1), slice(5, None), [0, 1]):
            explained, written = a.explain(selection), a.explain_write(selection)
            assert str(explained) and str(written)
            assert explained.chunks == written.chunks
        if a.ndim < 3:
            assert a.explain().chunks == a.nchunks == a.explain_write().chunks


def test_what_cannot_be_is_refused(store):
    a = gpuzarr.open(store, mode="r+", device="cpu")
    with nasty.in_time("refusals"):
        for refused in (
            lambda: a[...],
            lambda: a[::2],
            lambda: a.blocks[...],
            lambda: np.asarray(a),
            lambda: a.__setitem__(..., 1),
            lambda: a.__setitem__(slice(None, None, 3), 1),
        ):
            with pytest.raises(gpuzarr.GpuZarrError):
                refused()


def test_regions_of_workers_are_few_or_refused():
    a = gpuzarr.open(huge((HUGE, HUGE), "chunks"), device="cpu")
    with pytest.raises(gpuzarr.NoMemoryError):
        a.shard_slices(0, 1)
    last = slice(HUGE - 1, HUGE)
    assert a.shard_slices(2**62 - 1, 2**62) == [(last, slice(0, HUGE))]


@pytest.mark.parametrize("kind", ["mapping", "folder"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(HUGE,), (HUGE, HUGE), (2**40, 5)])
def test_a_resize_deletes_what_is_there(shape, layout, kind, tmp_path):
    store = huge(shape, layout)
    if kind == "folder":
        for key, data in store.items():
            (tmp_path / key).write_bytes(data)
    store = str(tmp_path) if kind == "folder" else store
    with nasty.in_time("resize"):
        a = gpuzarr.open(store, mode="r+", device="cpu")
        first, last = (0,) * a.ndim, (-1,) * a.ndim
        a[first] = a[last] = 1
        before = a.nchunks_initialized
        a.resize([min(n, 4) for n in shape])
        assert a.nchunks_initialized == before // 2
        a.resize(shape)
        assert (a[first], a[last]) == (1, 0)


def test_a_resize_of_too_many_keys_that_nobody_can_read_is_refused_before_it(monkeypatch):
    from gpuzarr.metadata import ChunkKeys

    store = huge((HUGE,), "chunks")
    a = gpuzarr.open(store, mode="r+", device="cpu")
    monkeypatch.delattr(ChunkKeys, "decode")
    before = dict(store)
    with pytest.raises(gpuzarr.MetadataError, match="decoded"):
        a.resize(1)
    assert store == before


@pytest.mark.parametrize("encoding", ["default", "v2"])
@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("path", ["", "a/b"])
def test_keys_are_decoded(encoding, separator, path):
    from gpuzarr.indexing.layout import layout

    a = gpuzarr.create_array(
        {}, name=path, shape=(9, 9), dtype="i1", chunks=1, chunk_key_encoding=(encoding, separator)
    )
    coords = np.array([[0, 0], [8, 1], [10, 2**60]])
    keys = layout(a.metadata, path).keys(coords)
    assert [a.metadata.chunk_keys.decode(key, path) for key in keys] == [tuple(row) for row in coords.tolist()]
    for key in ("zarr.json", "c", "c/0/x", "c/00/1", "0.01", "c/٣/1", "c/-1/0", "", "9" * 5000 + separator + "1"):
        found = a.metadata.chunk_keys.decode(f"{path}/{key}" if path else key, path)
        assert found is None or len(found) != 2


@pytest.mark.parametrize("name", ["cpu", "emulated"])
@pytest.mark.parametrize("ndim", [31, 32, 33, 62])
@pytest.mark.parametrize("layout", ["bytes", "transpose", "shards", "shards of one", "shards within", "nested"])
def test_many_axes(name, ndim, layout):
    from tests.hardware import DEVICES

    def padded(*sides):
        return [1] * (ndim - 4) + list(sides)

    inner = padded(1, 3, 1, 2)
    turned = {"name": "transpose", "configuration": {"order": list(range(ndim))[::-1]}}
    codecs = {
        "bytes": [nasty.LITTLE],
        "transpose": [turned, nasty.LITTLE],
        "shards": [nasty.shards(inner)],
        "shards of one": [nasty.shards([1] * ndim)],
        "shards within": [nasty.shards(inner), "crc32c"],
        "nested": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": padded(2, 3, 2, 2),
                    "codecs": [nasty.shards(inner)],
                    "index_codecs": [nasty.LITTLE],
                },
            }
        ],
    }[layout]
    a = gpuzarr.open(
        nasty.of(zarr_json=nasty.array(padded(5, 3, 2, 4), padded(2, 3, 2, 2), codecs)),
        mode="r+",
        device=DEVICES[name](),
    )
    wanted = np.arange(a.size, dtype=a.dtype).reshape(a.shape)
    a[...] = wanted
    part = (..., slice(1, 4), slice(None), slice(0, 1), slice(None, None, 2))
    a[part] = wanted[part] = 99
    a[(0,) * ndim] = wanted[(0,) * ndim] = 5
    corners = tuple([0, n - 1] for n in a.shape)
    a.vindex[corners] = wanted[corners] = [1, 2]
    assert np.array_equal(host_array(a[...]), wanted)
    assert np.array_equal(host_array(a[part]), wanted[part])
    assert host_array(a.vindex[corners]).tolist() == [1, 2]


@pytest.mark.parametrize("ndim", [63, 64, 65])
def test_too_many_axes_are_refused_when_the_array_is_opened(ndim):
    for store in (nasty.of(zarr_json=nasty.array([1] * ndim, [1] * ndim)), huge((1,) * ndim, "v2")):
        with pytest.raises(gpuzarr.MetadataError, match="at most 62"):
            gpuzarr.open(store)


def test_a_missing_shard_of_many_chunks_takes_no_memory_of_an_index():
    many = 2**26
    a = gpuzarr.open(nasty.of(zarr_json=nasty.array((HUGE,), (many,), [nasty.shards((1,))])), device="cpu")
    with nasty.in_time("a missing shard"):
        assert a[-1] == a[0] == 0
