"""Elements come to their places whatever memory the results are, by the C library and by NumPy, also from a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from tests.aged import age
from tests.conftest import examples

SHAPE = (23, 17, 12)
DTYPES = {"f4": "f4", "odd size": "S5", "structured": [("a", "u1"), ("b", "<f8")]}
KINDS = {
    "batch by batch": {"MAX_FEW_CHUNKS": 0},
    "chunk by chunk": {"MIN_REGION_CHUNK_BYTES": 1, "MIN_LONE_CHUNK_BYTES": 1},
}
REUSED = [HealthCheck.function_scoped_fixture]


def values(dtype: Any) -> np.ndarray:
    numbers = np.random.default_rng(0).integers(1, 200, SHAPE)
    if np.dtype(dtype).kind != "V":
        return numbers.astype(dtype)
    found = np.empty(SHAPE, dtype)
    found["a"], found["b"] = numbers, -numbers / 4
    return found


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, np.ndarray]]:
    """An array of each dtype, whose last chunks are not stored; and its values."""
    folder, found = tmp_path_factory.mktemp("places"), {}
    for name, dtype in DTYPES.items():
        path, data = folder / name.replace(" ", "-"), values(dtype)
        chunks, compressor = (5, 4, 6), gpuzarr.codecs.ZstdCodec()
        a = gpuzarr.create_array(path, shape=SHAPE, dtype=data.dtype, chunks=chunks, compressors=[compressor])
        a[:18] = data[:18]
        data[18:] = np.zeros((), data.dtype)
        age(path)
        found[name] = path, data
    return found


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, thresholds: Any) -> str:
    """Both kinds of work."""
    thresholds("gpuzarr.read", **KINDS[request.param])
    return str(request.param)


def memory(data: st.DataObject, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Memory for a result: its axes in any order, with gaps or not, forwards or backwards, at any address."""
    order = data.draw(st.permutations(range(len(shape))))
    steps = [data.draw(st.sampled_from([1, 1, 2, -1])) for _ in shape]
    sizes = [max(shape[axis] * abs(steps[axis]), 1) for axis in order]
    shift = data.draw(st.integers(0, 1))
    count = int(np.prod(sizes)) * dtype.itemsize
    whole = np.zeros(count + shift, np.uint8)[shift:].view(dtype).reshape(sizes).transpose(np.argsort(order))
    return whole[tuple(slice(None, None, step) for step in steps)][tuple(map(slice, shape))]


@pytest.mark.parametrize("name", DTYPES)
@settings(max_examples=examples(8), deadline=None, suppress_health_check=REUSED)
@given(data=st.data())
def test_regions_in_memory_of_any_strides(
    name: str, kind: str, loops: str, stored: dict[str, tuple[Path, np.ndarray]], data: st.DataObject
) -> None:
    path, expected = stored[name]
    a = gpuzarr.open_array(path, device="cpu", cache="1MiB")
    selections = [tuple(data.draw(st.slices(n)) for n in SHAPE) for _ in range(data.draw(st.integers(1, 3)))]
    if data.draw(st.booleans()):
        selections += selections[:1]
    for _ in range(2):  # the second time from the cache
        outs = [memory(data, expected[one].shape, expected.dtype) for one in selections]
        a.get_many(selections, out=outs)
        for out, one in zip(outs, selections, strict=True):
            np.testing.assert_array_equal(out, expected[one])


@pytest.mark.parametrize("name", DTYPES)
@settings(max_examples=examples(8), deadline=None, suppress_health_check=REUSED)
@given(data=st.data())
def test_lists_and_points_in_memory_of_any_strides(
    name: str, kind: str, loops: str, stored: dict[str, tuple[Path, np.ndarray]], data: st.DataObject
) -> None:
    path, expected = stored[name]
    a = gpuzarr.open_array(path, device="cpu", cache="1MiB")
    lists = [data.draw(st.lists(st.integers(0, n - 1), min_size=5, max_size=5)) for n in SHAPE]
    index = tuple(np.array(one) for one in lists)
    mixed = (index[0], slice(2, 15, data.draw(st.integers(1, 3))), index[2])
    for _ in range(2):
        points = memory(data, (5,), expected.dtype)
        a.get(index, out=points)
        np.testing.assert_array_equal(points, expected[index])
        np.testing.assert_array_equal(a.oindex[mixed], expected[index[0]][:, mixed[1]][:, :, index[2]])


def test_no_byte_beside_a_result_is_touched(kind: str, loops: str, stored: dict[str, tuple[Path, np.ndarray]]) -> None:
    path, expected = stored["structured"]
    a = gpuzarr.open_array(path, device="cpu", cache="1MiB")
    for _ in range(2):
        around = np.full((2, *SHAPE, expected.itemsize), 255, np.uint8)
        out = around.view(expected.dtype)[..., 0][:, 1:-1, 1:-1, 1:-1]
        a.get_many([np.s_[1:-1, 1:-1, 1:-1]] * 2, out=out)
        np.testing.assert_array_equal(out[1], expected[1:-1, 1:-1, 1:-1])
        around[:, 1:-1, 1:-1, 1:-1] = 255
        assert (around == 255).all()
