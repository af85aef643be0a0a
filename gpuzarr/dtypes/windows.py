"""Windows of elements that are numbers, as the loops of cpu/downsample.py and gpu/downsample.py take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

MEAN, MODE, MAX, MIN, MEDIAN = range(5)  # methods of gpuzarr/native/downsample.c
UNSIGNED, SIGNED, FLOAT16, BFLOAT16, FLOAT32, FLOAT64 = range(6)  # kinds of elements there
_FLOATS = {"float16": FLOAT16, "bfloat16": BFLOAT16, "float32": FLOAT32, "float64": FLOAT64}
_INFINITIES = {FLOAT16: 0x7C00, BFLOAT16: 0x7F80, FLOAT32: 0x7F80_0000, FLOAT64: 0x7FF0_0000_0000_0000}


def kind_of(dtype: np.dtype[Any]) -> int | None:
    """The kind of a dtype; of bools that of integers. None for what is no number of a kernel."""
    if dtype.kind in "bu":
        return UNSIGNED
    return SIGNED if dtype.kind == "i" else _FLOATS.get(dtype.name)


@dataclass(frozen=True)
class Windows:
    """What is made of arrays of `shape`: one element of the elements of each window of `factors`.

    `ignored`: bits of an element that modes ignore, or None. No length is 0.
    """

    method: int
    kind: int
    shape: tuple[int, ...]
    factors: tuple[int, ...]
    ignored: int | None = None

    @property
    def target_shape(self) -> tuple[int, ...]:
        return tuple([-(-length // factor) for length, factor in zip(self.shape, self.factors, strict=True)])

    @property
    def size(self) -> int:
        """Elements of the largest window."""
        return prod(self.factors)

    @property
    def infinity(self) -> int:
        """Bits of an infinite float; bits above them, but the sign, are NaNs. 0 for integers."""
        return _INFINITIES.get(self.kind, 0)

    @property
    def nan(self) -> int:
        """Bits of the NaN that is made."""
        return self.infinity | self.infinity >> 1

    def folded(self, strides: Sequence[int]) -> Windows:
        """The same, where axes that mean nothing are no axes: those of length 1, and those of factor 1 whose elements
        continue the next axis, of arrays with these strides. Such arrays have a view of the new shape."""
        axes: list[tuple[int, int, int]] = []
        for length, factor, stride in zip(self.shape, self.factors, strides, strict=True):
            if length == 1:
                continue
            before = axes[-1] if axes else (0, 0, 0)
            if factor == before[1] == 1 and before[2] == stride * length:
                axes[-1] = before[0] * length, 1, stride
            else:
                axes.append((length, factor, stride))
        shape, factors = [axis[0] for axis in axes] or [1], [axis[1] for axis in axes] or [1]
        return replace(self, shape=tuple(shape), factors=tuple(factors))

    def regions(self) -> Iterator[tuple[tuple[slice, ...], Windows]]:
        """Regions of the source in which all windows are whole, with these windows; and the regions of the target."""
        axes: list[list[tuple[slice, int, int]]] = []
        for length, factor in zip(self.shape, self.factors, strict=True):
            whole = length // factor * factor
            parts = [(slice(0, whole), whole, factor)] if whole else []
            axes.append(parts + ([(slice(whole, length), length - whole, length - whole)] if length > whole else []))
        for chosen in product(*axes):
            where, shape, factors = zip(*chosen, strict=True)
            yield where, replace(self, shape=shape, factors=factors)

    def target_of(self, where: tuple[slice, ...]) -> tuple[slice, ...]:
        """Where the elements are that are made of a region."""
        ends = zip(where, self.factors, strict=True)
        return tuple([slice(one.start // factor, -(-one.stop // factor)) for one, factor in ends])

    def rows(self, values: Any) -> Any:
        """The elements of each window, in C order, as a row of a new array; all windows are whole."""
        counts, n = self.target_shape, len(self.shape)
        form = [length for pair in zip(counts, self.factors, strict=True) for length in pair]
        order = *range(0, 2 * n, 2), *range(1, 2 * n, 2)
        return values.reshape(form).transpose(order).reshape(prod(counts), self.size)
