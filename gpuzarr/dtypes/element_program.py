"""Programs that are run on each element of a chunk: what codecs and casts make of numbers, as plain data.

A GPU runs one by `kernels/program.cuh`, to the bit as NumPy on x86 computes: NaNs keep their bits, integers wrap, and
each operation is rounded once. (What NumPy makes of a float that uint32 does not hold differs from element to element
of one array; here and on the CPU, by `cpu.elements.converted`, it is the lowest bits of the int64.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.dtypes.on_gpu import fits_gpu

_FLOATS = {"float16": 3, "bfloat16": 4, "float32": 5, "float64": 6}  # kinds of kernels/numbers.cuh; bools are 0
_INTEGERS = {"b": 0, "u": 1, "i": 2}
(CONVERT, ADD, SUBTRACT, MULTIPLY, DIVIDE, RINT, KEEP_BITS, KEEP_LEADING_BITS, REPLACE, SCALE_UP, SCALE_DOWN,
 REFUSE_NAN, REFUSE_INFINITY, TO_INTEGER, TO_NARROW, TO_FLOAT) = range(16)  # fmt: skip
_OF_UFUNC: dict[Any, int] = {np.add: ADD, np.subtract: SUBTRACT, np.multiply: MULTIPLY, np.true_divide: DIVIDE}
_MASK = 2**64 - 1
Dtype = np.dtype[Any]


@dataclass(frozen=True)
class Instruction:
    """One operation. `kind`, `to`: what a number is, and becomes. `first`, `second`: constants, as words of 64 bits.

    `skip`: instructions that are not run where REPLACE has replaced. `problem`: the error where a number is refused.
    """

    operation: int
    kind: int
    to: int = 0
    first: int = 0
    second: int = 0
    skip: int = 0
    problem: str | None = None

    @property
    def words(self) -> tuple[int, int, int]:
        """The first three words in the table of kernels/program.cuh; the last one is the address of a flag."""
        return (
            self.operation | self.kind << 8 | self.to << 24 | self.skip << 40,
            self.first & _MASK,
            self.second & _MASK,
        )


@dataclass(frozen=True)
class Program:
    """What becomes of elements of dtype `source`, elements of `dtype`. Both are such that `runs_on` holds."""

    source: Dtype
    dtype: Dtype
    instructions: tuple[Instruction, ...] = ()

    @classmethod
    def of(cls, dtype: Dtype) -> Program:
        """The program that changes nothing."""
        return cls(dtype, dtype)

    @cached_property
    def may_refuse(self) -> bool:
        """Whether it refuses some elements, so that the whole chunk must be seen."""
        return any(each.problem is not None for each in self.instructions)

    @cached_property
    def words(self) -> np.ndarray:
        """The table of kernels/program.cuh, uint64 (instructions, 4), without flags."""
        return np.array([(*each.words, 0) for each in self.instructions], np.uint64).reshape(-1, 4)

    def then(self, after: Program) -> Program:
        """This program, and `after` on what it makes."""
        assert self.dtype == after.source
        return Program(self.source, after.dtype, self.instructions + after.instructions)

    def adding(self, operation: int, dtype: Dtype | None = None, **given: Any) -> Program:
        """The program with one more instruction, which makes elements of `dtype` (None: as before)."""
        dtype = self.dtype if dtype is None else dtype
        made = Instruction(operation, kind_of(self.dtype), kind_of(dtype), **given)
        return Program(self.source, dtype, (*self.instructions, made))

    def converted(self, dtype: Dtype) -> Program:
        """The program with a conversion as NumPy's `astype`."""
        return self if dtype == self.dtype else self.adding(CONVERT, dtype)

    def computed(self, ufunc: np.ufunc, number: Any) -> Program | None:
        """The program with `ufunc(elements, number)` of NumPy; None where NumPy refuses that number, or it is no GPU's.

        `ufunc`: add, subtract, multiply or true_divide; integers are not divided, but floats that they become.
        """
        try:
            with np.errstate(all="ignore"):
                result = ufunc(np.ones(1, self.dtype), number).dtype
                constant = np.full(1, number, result)
        except (TypeError, ValueError, OverflowError):
            return None
        if not runs_on(result):
            return None
        return self.converted(result).adding(_OF_UFUNC[ufunc], first=word_of(constant[0], result))

    def rounded(self) -> Program:
        """The program with `numpy.around` to whole numbers."""
        return self.adding(RINT) if kind_of(self.dtype) & 15 > 2 else self


def runs_on(dtype: Dtype) -> bool:
    """Whether programs take elements of this dtype: bools, integers and floats that a GPU has."""
    return fits_gpu(dtype) and (dtype.kind in "biuf" or dtype.name == "bfloat16")


def kind_of(dtype: Dtype) -> int:
    """The number of a dtype in instructions: its kind, and from bit 4 on its bytes."""
    kind = _FLOATS[dtype.name] if dtype.name in _FLOATS else _INTEGERS[dtype.kind]
    return kind | dtype.itemsize << 4


def word_of(number: Any, dtype: Dtype) -> int:
    """A number as kernels hold it: integers as 64 bits with their sign, floats as their bits."""
    if dtype.kind in "biu":
        return int(number) & _MASK
    return int.from_bytes(np.full(1, number, dtype).tobytes(), "little")
