"""What the elements of balance arrays mean: labels of classes, or weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, ChangedError, GpuZarrWarning, warn
from gpuzarr.loader.balance import draws
from gpuzarr.loader.balance.masses import Cells, Masses, as_weights, voxels, weights

SUM_TOLERANCE = 1e-9  # of weights, relative: sums in another order differ
BOOL = np.dtype(bool)
Wanted = tuple[Any, int, float]  # a label, how many elements are to be drawn, and how many there are, or their weight


@dataclass(frozen=True)
class Classes:
    """The classes of balance arrays.

    `dtype`: of labels, bool or of integers that has those of all arrays; None: elements are weights. `given`: a weight
    for each label, by which classes share the samples; labels that are not there are never centres. None: of integers
    each that occurs is a class, and all have the same weight; of bools those that are true.
    """

    dtype: np.dtype[Any] | None
    given: Mapping[int, float] | None

    @classmethod
    def of(cls, arrays: Sequence[Any], given: Any) -> Classes:
        """The classes that `Patch(balance=arrays, classes=given)` means. ArgumentError if it means none."""
        kinds = {_kind(array) for array in arrays}
        if len(kinds) > 1:
            raise ArgumentError(f"balance: {named(arrays)} must be all of labels, or all of weights")
        if kinds == {"weights"}:
            if given is not None:
                raise ArgumentError(f"classes go with labels, but {named(arrays)} has weights ({arrays[0].dtype})")
            return cls(None, None)
        dtype = np.result_type(*[array.dtype for array in arrays])
        if dtype.kind not in "biu":
            raise ArgumentError(
                f"balance: no integer dtype has the labels of all of {named(arrays)}, as uint64 and int64"
            )
        return cls(dtype, None if given is None else _checked(given))

    def count(self, cells: Sequence[Cells]) -> Masses:
        """Read all arrays, and count what each block has. ArgumentError if there is nothing that may be a centre."""
        found = weights(cells) if self.dtype is None else self._voxels(cells, self.dtype)
        arrays = [cell.array for cell in cells]
        if not found.masses.sum() < np.inf:
            raise ArgumentError(f"balance: the weights of {named(arrays)} add up to more than float64 can hold")
        if not len(found.blocks):
            raise ArgumentError(f"balance: {named(arrays)} has nothing, where samples may be, that can be a centre")
        return found

    def _voxels(self, cells: Sequence[Cells], dtype: np.dtype[Any]) -> Masses:
        wanted = self._wanted(dtype)
        return voxels(cells, np.dtype(np.uint8) if dtype == BOOL else dtype, wanted)

    def _wanted(self, dtype: np.dtype[Any]) -> np.ndarray | None:
        """The labels that may be centres, ascending; None for all."""
        if self.given is None:
            return np.ones(1, dtype) if dtype == BOOL else None
        low, high = (0, 1) if dtype == BOOL else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return np.array(sorted(label for label, w in self.given.items() if w > 0 and low <= label <= high), dtype)

    def shares(self, masses: Masses, arrays: Sequence[Any]) -> np.ndarray:
        """Of samples for each class, in proportion, float64 (K,); 0 for those that do not occur, with a warning."""
        labels = list(map(int, masses.labels.tolist()))
        occurs = np.bincount(masses.classes, minlength=len(labels)) > 0
        if self.given is None:
            return occurs.astype(np.float64)
        there = {label for label, is_there in zip(labels, occurs, strict=True) if is_there}
        if missing := [label for label, weight in self.given.items() if weight > 0 and label not in there]:
            text = f"the labels {shown(missing)} occur nowhere in {named(arrays)}, where samples may be"
            warn(f"balance: {text}; the other classes get their samples", GpuZarrWarning)
        return np.array([self.given[label] for label in labels]) * occurs

    def drawn(self, cells: Cells, cell: int, wanted: Sequence[Wanted], words: np.ndarray) -> np.ndarray:
        """Elements of a cell, as numbers in C order, int64: one for each of `words`, which are random, of one class
        after the other. Reads the cell. ChangedError if a class has not what was counted."""
        box = cells.box(cell)
        values = cells.array[box]
        of_all = (
            as_weights(cells.array, [part.start for part in box], values).reshape(-1) if self.dtype is None else None
        )
        runs = draws.Runs.of(values) if of_all is None else None
        found, done = [np.zeros(0, np.int64)], 0
        for label, samples, mass in wanted:
            some, done = words[done : done + samples], done + samples
            if of_all is not None and isclose(float(of_all.sum()), mass, rel_tol=SUM_TOLERANCE):
                found.append(draws.places(of_all, some))
            elif runs is not None and (count := runs.count(label)) == mass:
                found.append(runs.elements(label, draws.places(count, some)))
            else:
                where = ", ".join(f"{part.start}:{part.stop}" for part in box)
                changed = f"[{where}] of {named([cells.array])} has changed since its labels were counted"
                raise ChangedError(f"balance: {changed}; make a new loader")
        return np.concatenate(found)


def named(arrays: Sequence[Any]) -> str:
    """Arrays, for messages."""
    more = f" and {len(arrays) - 1} more" if len(arrays) > 1 else ""
    return f"array {'/' + arrays[0].path!r} in {arrays[0].store!r}{more}"


def _kind(array: Any) -> str:
    """Whether elements are labels or weights."""
    if array.dtype.kind in "biu":
        return "labels"
    if array.dtype.kind not in "mM" and np.can_cast(array.dtype, np.float64):
        return "weights"
    raise ArgumentError(
        f"balance takes labels (integers) or weights (bools, floats), not {array.dtype} of {named([array])}"
    )


def _checked(given: Any) -> dict[int, float]:
    """Weights by label. ArgumentError for anything else."""
    expected = "classes must be a dict of labels (integers) and weights (numbers of at least 0, of which one is above)"
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{expected}, not {shown(given)}")
    for label, weight in given.items():
        if not isinstance(label, Integral | np.bool_) or not _is_weight(weight):
            raise ArgumentError(f"{expected}, not {shown({label: weight})}")
    if not any(given.values()):
        raise ArgumentError(f"{expected}, not {shown(given)}")
    return {int(label): float(weight) for label, weight in given.items()}


def _is_weight(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value) and float(value) >= 0
