"""Casts as programs, which kernels/place_cast.cu runs on elements. `dtypes.cast.Cast` says what is done."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.dtypes.element_program import REPLACE, Instruction, Program, kind_of, word_of

FILE = "place_cast.cu"
WIDTHS = (1, 2, 4, 8)  # bytes of an element of the chunks, for each of which the kernel is compiled by itself


@lru_cache(64)
def program_of(cast: Cast) -> Program:
    """What a cast does, whose dtypes are such as a GPU holds, and whose numbers are scalars."""
    made = Program.of(cast.source)
    if cast.work is not None:
        made = made.converted(cast.work)
        for ufunc, number in ((np.multiply, cast.scale), (np.add, cast.offset)):
            if number is not None:
                computed = made.computed(ufunc, number)
                assert computed is not None
                made = computed
    made = made.converted(cast.dtype)
    if cast.nan_of is None:
        return made
    words = word_of(cast.nan_of, cast.source), word_of(np.nan, cast.dtype)
    kinds = kind_of(cast.source), kind_of(cast.dtype)
    replace = Instruction(REPLACE, *kinds, *words, skip=len(made.instructions))
    return Program(cast.source, cast.dtype, (replace, *made.instructions))


def table(device: Device, program: Program, chunk: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """The instructions as the kernel takes them, at least one, and the flags that they set, which are to be held.

    `chunk`: the number of the chunk of each box, for errors.
    """
    words, flags = np.zeros((max(1, len(program.instructions)), 4), np.uint64), []
    words[: len(program.instructions)] = program.words
    for row, each in enumerate(program.instructions):
        if each.problem is not None:
            flags.append(device.check(chunk, each.problem))
            words[row, 3] = device.address(flags[-1])
    return words, flags
