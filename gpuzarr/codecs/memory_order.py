"""How the elements of a chunk lie in memory before the array codecs of a chain are undone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuzarr.codecs.step import Step
from gpuzarr.codecs.strides import contiguous, reshaped
from gpuzarr.dtypes.element_program import Program


@dataclass(frozen=True)
class MemoryOrder:
    """A chunk before its first `steps` steps are undone: decoded but for byte order, the order of axes, and what codecs
    do with each element by itself.

    `strides`: the distance between neighbours along each axis of the decoded chunk, in elements. `swap`: bytes of the
    units that are in the other byte order, 1 for none. `dtype`: of the elements at this point. `program`: what is done
    with each element, which refuses none; None if nothing is.
    """

    steps: int
    strides: tuple[int, ...]
    swap: int
    dtype: np.dtype
    program: Program | None = None


def memory_order(steps: tuple[Step, ...]) -> MemoryOrder | None:
    """The order of elements before the first bytes->bytes codec; None where an array codec does more to them."""
    last = next(i for i, step in enumerate(steps) if step.codec.kind == "array->bytes")
    made, program = steps[last].memory_order, None
    if made is None:
        return None
    spec, (_, swap) = steps[last].spec, made
    strides: tuple[int, ...] = contiguous(spec.shape)
    for i, step in reversed(tuple(enumerate(steps[:last]))):
        if step.memory_order is not None:
            axes, _ = step.memory_order
            strides = tuple(strides[axes.index(axis)] for axis in range(len(axes)))
        elif step.changes_only_shape:
            if (turned := reshaped(strides, steps[i + 1].spec.shape, step.spec.shape)) is None:
                return None
            strides = turned
        elif step.program is None or step.program.may_refuse or len(step.spec.shape) != len(strides):
            return None
        elif step.program.instructions:
            program = step.program if program is None else program.then(step.program)
    return MemoryOrder(last + 1, strides, swap, spec.dtype, program)
