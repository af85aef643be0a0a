"""Elements of the last chunks beyond the shape of an array that has shrunk: the same as after zarr-python, and whatever
is written, by whichever way, shards keep them."""

from __future__ import annotations

from random import Random
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import zarr
from hypothesis import given, settings

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.conftest import examples
from tests.hardware import host_array, on

LAYOUTS: list[dict[str, Any]] = [
    {"chunks": (2, 3), "shards": (4, 9)},
    {"chunks": (4, 2), "shards": (8, 2), "compressors": None},
    {"chunks": (3, 4)},
    {"chunks": (3, 4), "zarr_format": 2},
    {"chunks": (5, 1), "compressors": None, "config": {"write_empty_chunks": True}},
]


def shape_of(random: Random) -> tuple[int, int]:
    return random.randint(1, 9), random.randint(1, 9)


def slices_of(shape: tuple[int, ...], random: Random) -> tuple[slice, ...]:
    starts = [random.choice([0, 0, random.randrange(n)]) for n in shape]
    ends = [random.choice([n, random.randint(a, n)]) for a, n in zip(starts, shape, strict=True)]
    return tuple(map(slice, starts, ends))


@settings(max_examples=examples(40), deadline=None)
@given(random=st.randoms(use_true_random=False), layout=st.sampled_from(LAYOUTS))
@pytest.mark.filterwarnings("ignore")
def test_what_is_seen_again_is_what_zarr_python_shows(random: Random, layout: dict[str, Any]) -> None:
    shape = shape_of(random)
    options: dict[str, Any] = {"shape": shape, "dtype": "i4", "fill_value": random.choice([0, 7]), **layout}
    ours = gpuzarr.create_array({}, device="cpu", **options)
    theirs = zarr.create_array(zarr.storage.MemoryStore(), **options)
    for step in range(random.randint(2, 8)):
        do = random.choice(["resize", "slices", "slices", "lists", "append"])
        if do == "resize":
            shape = shape_of(random)
            ours.resize(shape)
            theirs.resize(shape)
        elif do == "slices":
            place = slices_of(shape, random)
            value = random.choice([options["fill_value"], np.full([s.stop - s.start for s in place], 100 + step)])
            ours[place] = value
            theirs[place] = value
        elif do == "lists":
            lists = tuple(sorted(random.sample(range(n), random.randint(1, n))) for n in shape)
            ours.oindex[lists] = step
            theirs.oindex[lists] = step
        elif "shards" in layout:  # without shards zarr-python drops what appends of others may have put there
            axis = random.randrange(2)
            more = np.full([random.randint(1, 3) if i == axis else n for i, n in enumerate(shape)], 50 + step, "i4")
            shape = ours.append(more, axis)
            assert theirs.append(more, axis) == shape
        np.testing.assert_array_equal(ours[...], theirs[...])
    for shape in ((20, 20), (1, 20), (20, 1), (20, 20)):
        ours.resize(shape)
        theirs.resize(shape)
        np.testing.assert_array_equal(ours[...], theirs[...])


def by_slices(a: gpuzarr.Array, values: Any) -> None:
    a[...] = values


def by_rows(a: gpuzarr.Array, values: Any) -> None:
    for i in range(a.shape[0]):
        a[i] = values[i]


def by_lists(a: gpuzarr.Array, values: Any) -> None:
    a.oindex[[*range(a.shape[0])], [*range(a.shape[1])]] = values


def by_points(a: gpuzarr.Array, values: Any) -> None:
    a.vindex[np.ones(a.shape, bool)] = values.reshape(-1)


def by_writer(a: gpuzarr.Array, values: Any) -> None:
    with a.writer() as w:
        w[...] = values


def by_rows_of_a_writer(a: gpuzarr.Array, values: Any) -> None:
    with a.writer(max_inflight=1) as w:
        for i in range(a.shape[0]):
            w[i] = values[i]


def by_layers_of_a_writer(a: gpuzarr.Array, values: Any) -> None:
    with a.writer(max_inflight=1) as w:
        for i in range(0, a.shape[0], 2):
            w[i : i + 2] = values[i : i + 2]


WAYS = [by_slices, by_rows, by_lists, by_points, by_writer, by_rows_of_a_writer, by_layers_of_a_writer]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shards", [(4, 9), (8, 6), {"shape": (4, 6), "index_location": "start"}, "nested"])
def test_shards_keep_it_however_they_are_written(way: Any, shards: Any, device: Device) -> None:
    options: dict[str, Any] = {"chunks": (2, 3), "shards": shards, "compressors": "zstd"}
    if shards == "nested":
        plain = {"name": "bytes", "configuration": {"endian": "little"}}
        inner = {"chunk_shape": [2, 3], "codecs": [plain], "index_codecs": [plain]}
        nested = {"name": "sharding_indexed", "configuration": inner}
        outer = {"chunk_shape": [4, 3], "codecs": [nested], "index_codecs": [plain]}
        serializer = {"name": "sharding_indexed", "configuration": outer}
        options = {"chunks": (8, 9), "serializer": serializer, "compressors": None}
    all_of_it = np.arange(8 * 12, dtype="i4").reshape(8, 12) + 1
    for shape in ((7, 11), (5, 4), (8, 10), (1, 1), (6, 12)):
        a = gpuzarr.create_array({}, shape=(8, 12), dtype="i4", fill_value=0, device=device, **options)
        a[...] = on(device, all_of_it)
        a.resize(shape)
        a.resize((8, 12))
        expected = host_array(a[...]).copy()  # without the shards that lie outside as a whole
        a.resize(shape)
        new = 1000 + np.arange(shape[0] * shape[1], dtype="i4").reshape(shape)
        way(a, on(device, new))
        expected[: shape[0], : shape[1]] = new
        a.resize((8, 12))
        np.testing.assert_array_equal(host_array(a[...]), expected)
