"""Boxes of one shape out of chunks of one shape: which chunks they touch, and their elements, as NumPy slices them."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.batch import address
from gpuzarr.cpu.corners import CornerBoxes

pytestmark = pytest.mark.usefixtures("compiled")
DTYPES = ("u1", "u2", "f4", "c16", "V3")


class Stored:
    """An array of some shape, its chunks, and boxes in it."""

    def __init__(self, data: st.DataObject) -> None:
        axes = data.draw(st.integers(1, 4), label="axes")
        of_axis = st.lists(st.integers(1, 9), min_size=axes, max_size=axes)
        self.shape, self.chunk = data.draw(of_axis, label="shape"), data.draw(of_axis, label="chunk")
        self.box = [data.draw(st.integers(0, length), label="box") for length in self.shape]
        last = [length - size for length, size in zip(self.shape, self.box, strict=True)]
        starts = data.draw(st.lists(st.tuples(*(st.integers(0, most) for most in last)), max_size=8), label="starts")
        self.starts = np.array(starts, np.int64).reshape(-1, axes)
        self.grid = [-(-length // size) for length, size in zip(self.shape, self.chunk, strict=True)]
        dtype = np.dtype(data.draw(st.sampled_from(DTYPES), label="dtype"))
        whole = [count * size for count, size in zip(self.grid, self.chunk, strict=True)]
        self.values = np.random.default_rng(0).integers(0, 256, (*whole, dtype.itemsize), "u1").view(dtype)[..., 0]
        self.chunks = [np.ascontiguousarray(self.values[self._slices(at)]) for at in np.ndindex(*self.grid)]
        self.boxes = CornerBoxes(self.starts, self.box, self.chunk, self.grid, dtype.itemsize)

    def _slices(self, at: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple(slice(i * size, (i + 1) * size) for i, size in zip(at, self.chunk, strict=True))

    def touched(self, starts: np.ndarray) -> list[int]:
        """The numbers of the chunks of the elements of these boxes."""
        elements = [product(*(range(i, i + n) for i, n in zip(start, self.box, strict=True))) for start in starts]
        coords = {tuple(i // n for i, n in zip(at, self.chunk, strict=True)) for each in elements for at in each}
        return sorted(int(np.ravel_multi_index(at, self.grid)) for at in coords)

    def there(self, numbers: Any) -> tuple[np.ndarray, np.ndarray]:
        """Chunks that are there, and where."""
        numbers = np.array(sorted(numbers), np.int64)
        return numbers, np.array([address(self.chunks[i]) for i in numbers], np.int64)

    def sliced(self) -> list[np.ndarray]:
        """The elements of each box."""
        return [self.values[tuple(slice(i, i + n) for i, n in zip(at, self.box, strict=True))] for at in self.starts]


@given(st.data())
def test_the_chunks_that_groups_of_boxes_touch(data: st.DataObject) -> None:
    stored = Stored(data)
    cuts = data.draw(st.lists(st.integers(0, len(stored.starts)), max_size=3), label="groups")
    edges = np.array([0, *sorted(cuts), len(stored.starts)], np.int64)
    found = stored.boxes.touched(edges)
    assert [each.tolist() for each in found] == [stored.touched(stored.starts[a:b]) for a, b in pairwise(edges)]


@pytest.mark.parametrize("far", [10, 10**12])
def test_chunks_far_from_each_other(far: int) -> None:
    """Many are marked in a table, where this is not much longer than their number; else they are sorted."""
    starts = np.array([[3 * far, 0], [0, 0], [far, 1], [3 * far, 0], [far, 0]], np.int64)
    (found,) = CornerBoxes(starts, (2, 1), (1, 1), (4 * far, 2), 8).touched(np.array([0, 5]))
    assert found.tolist() == [0, 2, 2 * far, 2 * far + 1, 2 * far + 2, 2 * far + 3, 6 * far, 6 * far + 2]


@given(st.data())
def test_boxes_as_numpy_slices_them(data: st.DataObject) -> None:
    """A run of them, in any places, in any number of parts; no byte beside them changes."""
    stored = Stored(data)
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(stored.starts))] * 2), label="run"))
    places = data.draw(st.none() | st.permutations(range(12)), label="places")
    parts = data.draw(st.integers(1, 4), label="parts")
    out = np.full((12, *stored.box), 7, "u1").astype(stored.values.dtype)
    expected = out.copy()
    for i, box in enumerate(range(first, last)):
        expected[places[i] if places else i] = stored.sliced()[box]
    for part in data.draw(st.permutations(range(parts)), label="order of the parts"):
        where = np.array(places[: last - first], np.int64) if places else None
        chunks = stored.there(stored.touched(stored.starts[first:last]))
        stored.boxes.cut((first, last), chunks, address(out), where, (part, parts))
    assert out.tobytes() == expected.tobytes()


@given(st.data())
def test_a_chunk_that_is_not_there(data: st.DataObject) -> None:
    stored = Stored(data)
    touched = stored.touched(stored.starts)
    left = data.draw(st.sets(st.sampled_from(touched)) if touched else st.just(set()), label="those that are there")
    out = np.empty((len(stored.starts), *stored.box), stored.values.dtype)
    if len(left) == len(touched):
        stored.boxes.cut((0, len(stored.starts)), stored.there(left), address(out))
    else:
        with pytest.raises(KeyError, match="not there"):
            stored.boxes.cut((0, len(stored.starts)), stored.there(left), address(out))
