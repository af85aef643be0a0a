"""Chunks that decode to more elements than the array uses of them, also in the middle of an axis.

No metadata says so yet (`encoded_chunk_shapes` is a proposal), so these arrays are made by hand: chunks are stored as
those of a longer array, and then the axes say what is used of them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.metadata import RectilinearAxis
from tests.conftest import examples
from tests.hardware import host_array, on

DECODED = ((3, 5, 4, 2), (4, 4, 6))
USED = ((3, 4, 1, 2), (2, 4, 5))
LENGTHS = (9, 10)  # the last chunks reach beyond the ends, too
CODECS: dict[str, Any] = {
    "raw": {"compressors": None},
    "zstd": {},
    "turned": {"filters": [{"name": "transpose", "configuration": {"order": [1, 0]}}]},
    "shuffled": {"compressors": {"name": "blosc", "configuration": {"cname": "zstd", "shuffle": "shuffle"}}},
}


def edges(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(accumulate(sizes, initial=0))


def used(stored: np.ndarray) -> np.ndarray:
    """The elements that the array uses of what is stored."""
    places = [
        np.concatenate([np.arange(begin, begin + n) for begin, n in zip(edges(sizes), some, strict=False)])
        for sizes, some in zip(DECODED, USED, strict=True)
    ]
    return stored[np.ix_(*(place[:length] for place, length in zip(places, LENGTHS, strict=True)))]


def array(folder: Path, device: Device, codecs: dict[str, Any], values: np.ndarray) -> gpuzarr.Array:
    """An array whose chunks decode to those of `values`."""
    made = gpuzarr.create_array(folder, shape=values.shape, dtype="i4", chunks=DECODED, device=device, **codecs)
    made[...] = on(device, values)
    axes = tuple(RectilinearAxis(*each) for each in zip(LENGTHS, map(edges, USED), DECODED, strict=True))
    made.renew(replace(made.metadata, shape=LENGTHS, axes=axes))
    return made


def values() -> np.ndarray:
    shape = tuple(map(sum, DECODED))
    return np.arange(shape[0] * shape[1], dtype="i4").reshape(shape) + 1


@pytest.mark.parametrize("codecs", CODECS.values(), ids=CODECS)
def test_what_is_used_is_read(codecs: dict[str, Any], tmp_path: Path, device: Device) -> None:
    stored = values()
    a, want = array(tmp_path / "a", device, codecs, stored), used(stored)
    assert a.shape == want.shape == LENGTHS

    @settings(max_examples=examples(60), deadline=None)
    @given(st.tuples(*(st.one_of(st.slices(n), st.integers(0, n - 1)) for n in LENGTHS)), st.integers(0, 2**32))
    def law(selection: Any, seed: int) -> None:
        random = Random(seed)
        np.testing.assert_array_equal(host_array(a[selection]), want[selection])
        lists = [random.choices(range(n), k=5) for n in LENGTHS]
        np.testing.assert_array_equal(host_array(a.oindex[tuple(lists)]), want[np.ix_(*lists)])
        np.testing.assert_array_equal(host_array(a.vindex[tuple(lists)]), want[tuple(lists)])

    law()


@pytest.mark.parametrize("codecs", CODECS.values(), ids=CODECS)
def test_what_is_written_is_read(codecs: dict[str, Any], tmp_path: Path, device: Device) -> None:
    a, random = array(tmp_path / "a", device, codecs, values()), np.random.default_rng(5)
    want = used(values())
    for number in range(30):
        place = tuple(slice(*sorted(random.integers(0, n + 1, 2).tolist())) for n in LENGTHS)
        a[place] = number
        want[place] = number
        np.testing.assert_array_equal(host_array(a[...]), want)
    a[...] = on(a.device, used(values()))
    np.testing.assert_array_equal(host_array(a[...]), used(values()))
