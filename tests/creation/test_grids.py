"""Chunks and shards of several sizes along an axis: every spelling makes the grid that it says, and nothing else."""

from __future__ import annotations

import json
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def runs(sizes: list[int]) -> list[Any]:
    """The same sizes, each as a run of one or several."""
    found: list[list[int]] = []
    for size in sizes:
        if found and found[-1][0] == size:
            found[-1][1] += 1
        else:
            found.append([size, 1])
    return list(found)


@settings(max_examples=25, deadline=None)
@given(axes=st.lists(SIZES, min_size=1, max_size=3), unit=st.integers(1, 3), shards=st.booleans())
def test_each_chunk_has_the_size_that_was_given(axes: list[list[int]], unit: int, shards: bool) -> None:
    """However sizes are spelled; and values come back, whole and by chunks."""
    axes = [[n * unit for n in sizes] for sizes in axes]
    want = np.arange(np.prod([sum(sizes) for sizes in axes])).reshape([sum(sizes) for sizes in axes])
    made = []
    for spelled in (axes, [tuple(sizes) for sizes in axes], [np.array(sizes) for sizes in axes], list(map(runs, axes))):
        grid: dict[str, Any] = {"chunks": (unit,) * len(axes), "shards": spelled} if shards else {"chunks": spelled}
        store: dict[str, bytes] = {}
        a = gpuzarr.create_array(store, data=want, device="cpu", **grid)
        assert a.write_chunk_sizes == tuple(map(tuple, axes))
        assert a.read_chunk_sizes == (
            tuple((unit,) * (n // unit) for n in want.shape) if shards else a.write_chunk_sizes
        )
        assert a.cdata_shape == tuple(map(len, a.read_chunk_sizes)) and a.nchunks == np.prod(a.cdata_shape)
        np.testing.assert_array_equal(gpuzarr.open_array(store)[...], want)
        edges = [list(accumulate(sizes, initial=0)) for sizes in axes]
        last = tuple(slice(e[-2], e[-1]) for e in edges)
        np.testing.assert_array_equal(a.blocks[(-1,) * a.ndim], want[last])
        made.append(json.loads(store["zarr.json"]))
    assert all(document == made[0] for document in made)


@pytest.mark.skipif(ZARR < (3, 4), reason="this zarr-python has no rectilinear grids")
@pytest.mark.parametrize(
    "grid",
    [
        {"chunks": [[3, 7], [5, 5]]},
        {"chunks": [[3, 3, 4], 5]},
        {"chunks": [[10], -1]},
        {"chunks": (2, 5), "shards": [[4, 6], [5, 5]]},
        {"chunks": (3, 4), "shards": -1},
        {"chunks": (3, 4), "shards": False},
        {"chunks": (-1, 3), "shards": (-1, 6)},
        {"chunks": False},
        {"chunks": -1},
        {"chunks": 4},
    ],
    ids=str,
)
def test_the_grid_is_that_of_zarr_python(grid: dict[str, Any], device: Device) -> None:
    want = np.arange(100).reshape(10, 10)
    with zarr.config.set({"array.rectilinear_chunks": True}):
        theirs, ours = (
            zarr.create_array({}, data=want, **grid),
            gpuzarr.create_array({}, data=want, device=device, **grid),
        )
        document = json.loads(json.dumps(theirs.metadata.to_dict()))
        assert ours.metadata.document["chunk_grid"] == document["chunk_grid"]
        assert ours.metadata.document["codecs"] == document["codecs"]
        for name in ("read_chunk_sizes", "write_chunk_sizes", "cdata_shape", "nchunks", "nchunks_initialized"):
            assert getattr(ours, name) == getattr(theirs, name), name
    np.testing.assert_array_equal(host_array(ours[...]), want)


@pytest.mark.parametrize("name", ["chunks", "shards"])
@pytest.mark.parametrize(
    "wrong",
    [[[3, 6], 5], [[3, 8], 5], [[], 5], [[0, 10], 5], [[[3, 0], 10], 5], [["3", "7"], 5], [[3.0, 7.0], 5], [[3, 7]]],
)
def test_sizes_that_do_not_fit_are_refused(name: str, wrong: Any) -> None:
    store: dict[str, bytes] = {}
    grid = {"chunks": wrong} if name == "chunks" else {"chunks": (1, 1), "shards": wrong}
    with pytest.raises(gpuzarr.MetadataError, match=name):
        gpuzarr.create_array(store, shape=(10, 10), dtype="i4", **grid)
    assert not store


def test_what_has_no_such_grids_says_so() -> None:
    for options in ({"zarr_format": 2}, {"shards": (10, 10)}, {"shards": [[3, 7], 5]}):
        with pytest.raises(gpuzarr.MetadataError, match=r"zarr_format=3|as `shards`"):
            gpuzarr.zeros((10, 10), chunks=[[3, 7], 5], **options)


@pytest.mark.parametrize("shards", [False, True])
def test_arrays_like_one_of_several_sizes_have_them_too(shards: bool) -> None:
    grid: dict[str, Any] = {"chunks": (1, 5), "shards": [[3, 7], [5, 5]]} if shards else {"chunks": [[3, 7], 5]}
    a = gpuzarr.create_array({}, data=np.arange(100).reshape(10, 10), **grid)
    for made in (gpuzarr.zeros_like(a), gpuzarr.from_array({}, data=a), gpuzarr.array(a), gpuzarr.open_like(a, "b")):
        assert (made.chunks, made.shards, made.write_chunk_sizes) == (a.chunks, a.shards, a.write_chunk_sizes)
    a[0, 0] = 0
    assert a.nchunks_initialized == len(list(chain.from_iterable(a.read_chunk_sizes[:1]))) * a.cdata_shape[1]
