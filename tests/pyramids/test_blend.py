"""Averages are those of sums over the whole array, whoever gives the blocks of which regions in which order."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.blend import Blend
from gpuzarr.pyramids.blocks import Blocks
from gpuzarr.pyramids.weights import weights
from gpuzarr.write.coverage import Bounds
from tests import hardware
from tests.pyramids.blending import all_bounds, all_cores, as_slices, divisions, grids, marked

FLOAT32 = np.dtype("f4")
CPU = hardware.DEVICES["cpu"]()
DTYPES = ("bool", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64")


def plain_weights(kind: Any, block: Sequence[int], halo: Sequence[int]) -> np.ndarray:
    """Weights of a whole block, float64, by their definitions."""
    lengths = [b + 2 * h for b, h in zip(block, halo, strict=True)]
    if isinstance(kind, np.ndarray):
        return kind
    made = np.ones(lengths)
    for axis, (n, h) in enumerate(zip(lengths, halo, strict=True)):
        for i in range(n):
            row = made[(slice(None),) * axis + (slice(i, i + 1),)]  # a view
            if isinstance(kind, tuple):
                row *= kind[axis][i]
            elif kind == "gaussian":
                row *= np.exp(-((i - (n - 1) / 2) ** 2) / (2 * (0.125 * n) ** 2))
            elif kind == "linear" and h:
                row *= min(1, (min(i, n - 1 - i) + 0.5) / (2 * h))
    return np.maximum(made, 1e-3) if kind == "gaussian" else made


def plain_average(grid: dict[str, Any], kind: Any, values: Sequence[np.ndarray], extra: Sequence[int]) -> np.ndarray:
    """The weighted average of all blocks in sums over the whole array, float64."""
    shape, block, halo = grid["shape"], grid["block"], grid["halo"]
    table = plain_weights(kind, block, halo)
    sums, total = np.zeros((*extra, *shape)), np.zeros(shape)
    for bounds, core, one in zip(all_bounds(shape, block, halo), all_cores(shape, block), values, strict=True):
        origins = [a - h for (a, _), h in zip(core, halo, strict=True)]
        part = table[tuple(slice(a - o, b - o) for (a, b), o in zip(bounds, origins, strict=True))]
        sums[(..., *as_slices(bounds))] += part * one
        total[as_slices(bounds)] += part
    return sums / total


@dataclass(frozen=True)
class Case:
    """A grid, and what its blocks have: random numbers, or integers up to a 512th of the greatest."""

    grid: dict[str, Any]
    weights: str
    extra: tuple[int, ...]
    dtype: np.dtype[Any]
    seed: int

    @cached_property
    def kind(self) -> Any:
        """What a user gives for weights."""
        lengths = [b + 2 * h for b, h in zip(self.grid["block"], self.grid["halo"], strict=True)]
        random = np.random.default_rng(self.seed)
        if self.weights == "array":
            return random.uniform(0.01, 5, lengths)
        return tuple(random.uniform(0.01, 5, n) for n in lengths) if self.weights == "vectors" else self.weights

    @cached_property
    def bounds(self) -> list[Bounds]:
        return list(all_bounds(**self.grid))

    @cached_property
    def values(self) -> list[np.ndarray]:
        random, dtype = np.random.default_rng(self.seed), self.dtype
        shapes = [(*self.extra, *(b - a for a, b in bounds)) for bounds in self.bounds]
        if dtype.kind == "f":
            return [random.normal(size=shape).astype(dtype) for shape in shapes]
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min // 2**9, np.iinfo(dtype).max // 2**9)
        return [random.integers(low, high, shape, endpoint=True).astype(dtype) for shape in shapes]


CASES = st.builds(
    Case,
    grids(max_length=9),
    st.sampled_from(["gaussian", "linear", "constant", "array", "vectors"]),
    st.lists(st.integers(0, 2), max_size=2).map(tuple),
    st.sampled_from(DTYPES).map(np.dtype),
    st.integers(0, 99),
)


def blended(
    case: Case, device: Any, order: Sequence[int], cell: Sequence[int], region: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """What a worker returns, put together, and how often each element was in it."""
    blocks = Blocks(**case.grid, region=region)
    made = Blend(blocks, weights(case.kind, blocks), device, case.dtype, cell, case.extra)
    empty, known = made.nbytes, case.bounds
    shape = case.grid["shape"]
    result, times = np.zeros((*case.extra, *shape), made.dtype), np.zeros(shape, int)
    mine = [i for i in order if blocks.number(known[i]) is not None]
    for i in mine:
        for bounds, values in made.add(known[i], hardware.on(device, case.values[i])):
            result[(..., *as_slices(bounds))] = hardware.host_array(values)
            times[as_slices(bounds)] += 1
            assert all(a // n == (b - 1) // n for (a, b), n in zip(bounds, cell, strict=True))
    assert len(mine) == len(blocks) and made.unfinished() == (0, None) and made.nbytes == empty
    return result, times


@given(data=st.data(), case=CASES)
@pytest.mark.parametrize("name", ["cpu", "emulated"])
def test_averages_are_those_of_the_whole_array(name: str, data: st.DataObject, case: Case) -> None:
    """Within rounding those of a plain reference; and the same bits however the work is divided."""
    device, shape = hardware.DEVICES[name](), case.grid["shape"]
    cells = st.tuples(*[st.integers(1, n + 2) for n in shape])
    order = data.draw(st.permutations(range(len(case.values))))
    result, times = np.zeros((*case.extra, *shape)), np.zeros(shape, int)
    for region in data.draw(divisions(shape)):
        part, found = blended(case, device, order, data.draw(cells), region)
        assert (found == marked(shape, region)).all()
        result[..., found > 0], times = part[..., found > 0], times + found
    assert (times == 1).all()
    expected = plain_average(case.grid, case.kind, case.values, case.extra)
    scale = max([1.0, *(np.abs(one.astype(float)).max(initial=0) for one in case.values)])
    is_wide = case.dtype.itemsize == 8 or case.dtype == np.uint32
    np.testing.assert_allclose(result, expected, rtol=0, atol=scale * (1e-13 if is_wide else 1e-5))
    whole, _ = blended(case, CPU, range(len(order)), shape)
    np.testing.assert_array_equal(result, whole)


@given(case=CASES, data=st.data())
def test_in_c_order_rows_of_cells_are_held(case: Case, data: st.DataObject) -> None:
    shape, block, halo = (case.grid[name] for name in ("shape", "block", "halo"))
    cell = data.draw(st.tuples(*[st.integers(1, n + 2) for n in shape]))
    for region in [None, *data.draw(divisions(shape))]:
        blocks = Blocks(**case.grid, region=region)
        made = Blend(blocks, weights(case.kind, blocks), CPU, case.dtype, cell, case.extra)
        empty = made.nbytes
        for bounds, values in zip(case.bounds, case.values, strict=True):
            if blocks.number(bounds) is not None:
                made.add(bounds, values)
                assert made.nbytes <= made.most_nbytes
        if region is None:
            row = int(np.prod([*case.extra, *shape[1:]])) * made.dtype.itemsize
            assert made.most_nbytes - empty <= min(block[0] + 2 * halo[0] + 2 * (cell[0] - 1), shape[0]) * row


def test_nothing_waits_in_c_order_and_sums_are_in_float32() -> None:
    blocks = Blocks((100, 40), (10, 40), (2, 0))
    made = Blend(blocks, weights("linear", blocks), CPU, np.dtype("u1"), (10, 40))
    assert made.nbytes == 14 * 40 * 4
    held = []
    for bounds in all_bounds((100, 40), (10, 40), (2, 0)):
        made.add(bounds, np.ones([b - a for a, b in bounds], "u1"))
        held.append((made.nbytes - 14 * 40 * 4) // (10 * 40 * 4))
    assert held == [2] * 9 + [
        0
    ]  # the cell of a block is final when the next block comes, which begins the next but one


@pytest.mark.parametrize("name", ["arrivals", "blend", "blocks", "convert", "integers", "weights"])
def test_examples_run(name: str) -> None:
    module = import_module(f"gpuzarr.pyramids.{name}")
    assert not doctest.testmod(module, extraglobs={"np": np}).failed


@given(kind=st.sampled_from(["gaussian", "linear", "constant"]), grid=grids())
def test_named_weights_are_by_their_definitions(kind: str, grid: dict[str, Any]) -> None:
    found, whole = weights(kind, Blocks(**grid)).array(FLOAT32), plain_weights(kind, grid["block"], grid["halo"])
    within = [
        slice(h, h + n) if b >= n else slice(None)
        for n, b, h in zip(grid["shape"], grid["block"], grid["halo"], strict=True)
    ]
    np.testing.assert_allclose(found, whole[tuple(within)], rtol=1e-6)
    assert found.dtype == FLOAT32 and found.min() > 0


def test_gaussian_weights_of_monai() -> None:
    """Numbers of `compute_importance_map` of MONAI, worked out by hand from its formula for a window of (8, 8)."""
    made = weights("gaussian", Blocks((64, 64), 4, 2)).array(np.dtype("f8"))
    assert made[3, 4] == pytest.approx(np.exp(-0.25)) and made[3, 6] == pytest.approx(np.exp(-(0.5**2 + 2.5**2) / 2))
    assert made[0, 0] == made[0, 7] == 1e-3  # of exp(-12.25), which is less


@pytest.mark.parametrize(
    ("given_weights", "problem"),
    [
        ("cosine", "one of 'gaussian', 'linear', 'constant'"),
        (np.ones((6, 5)), r"of shape \(6, 6\)"),
        ((np.ones(6), np.ones(5)), r"of shape \(6, 6\)"),
        (np.zeros((6, 6)), "finite and greater than 0"),
        (np.full((6, 6), np.nan), "finite and greater than 0"),
        ((np.ones(6), [1, 1, 1, 1, 1, -1]), "finite and greater than 0"),
        (np.full((6, 6), 1j), "real numbers"),
        (None, "real numbers"),
        ([[1, 2], [3]], "one of 'gaussian'"),
        (([1, 1, 1, 1, 1, 1e-15], [1e-15, 1, 1, 1, 1, 1]), "give none below 1e-20"),
    ],
)
def test_other_weights_are_refused(given_weights: Any, problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        weights(given_weights, Blocks((20, 20), 4, 1))


def test_blocks_that_should_not_come_are_named() -> None:
    blocks = Blocks((20, 20), 5, 1, (slice(0, 10), slice(0, 20)))
    made = Blend(blocks, weights("constant", blocks), CPU, FLOAT32, (5, 5))
    count = len(blocks)
    assert made.unfinished() == (count, ((0, 6), (0, 6)))
    for _ in range(2):
        with pytest.raises(ArgumentError, match=r"block \[0:6, 0:6\] have shape \(6, 5\), not \(6, 6\)"):
            made.add(((0, 6), (0, 6)), np.zeros((6, 5), "f4"))
    made.add(((0, 6), (0, 6)), np.zeros((6, 6), "f4"))
    with pytest.raises(ArgumentError, match=r"the block \[0:6, 0:6\] has come already"):
        made.add(((0, 6), (0, 6)), np.zeros((6, 6), "f4"))
    with pytest.raises(ArgumentError, match=r"\[0:6, 0:7\] is none of the .* blocks of \(5, 5\)"):
        made.add(((0, 6), (0, 7)), np.zeros((6, 7), "f4"))
    with pytest.raises(ArgumentError, match=r"\[14:20, 0:6\] is none of the"):
        made.add(((14, 20), (0, 6)), np.zeros((6, 6), "f4"))
    assert made.unfinished() == (count - 1, ((0, 6), (4, 11)))


def test_values_that_are_no_numbers_are_refused() -> None:
    blocks = Blocks((4,), 4)
    for dtype in ("c8", "S3", "M8[s]", "O"):
        with pytest.raises(ArgumentError, match="cannot be averaged"):
            Blend(blocks, weights("constant", blocks), CPU, np.dtype(dtype), (4,))
    made = Blend(blocks, weights("constant", blocks), CPU, FLOAT32, (4,))
    with pytest.raises(ArgumentError, match="cannot be averaged"):
        made.add(((0, 4),), np.zeros(4, "c8"))
    cut = Blocks((4,), 2, 1, is_cut=True)
    with pytest.raises(ArgumentError, match="their halo is cut off"):
        Blend(cut, weights("constant", blocks), CPU, FLOAT32, (4,))
