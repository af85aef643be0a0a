"""Programs of elements, run by the C library in one pass and without temporary arrays.

What it makes is what the array expressions of the codecs make, to the bit: these stand beside, and do what it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address
from gpuzarr.dtypes.element_program import Program


@dataclass(frozen=True)
class Loop:
    """A program that the C library runs, with at least one instruction."""

    program: Program
    library: Any
    table: int  # address of the program's words
    length: int

    @classmethod
    def of(cls, program: Program | None) -> Loop | None:
        """The loop of a program; None where the C library does not run it."""
        library = native.library()
        if program is None or library is None:
            return None
        found = cls(program, library, address(program.words), len(program.words))
        return found if found.at(0, 0, 0) else None

    def at(self, target: int, source: int, count: int) -> bool:
        """Run it on `count` elements at address `source`, of any alignment.

        False where it refuses an element, which is then for the codec to say, or where it is not run here.
        """
        return bool(self.library.gpuzarr_program(self.table, self.length, source, target, count) > 0)

    def of_batch(self, values: np.ndarray) -> np.ndarray | None:
        """What becomes of an array, of either byte order and any strides; None where that is for the codec."""
        source = self.program.source
        if values.dtype != source:
            if values.dtype.newbyteorder("=") != source:
                return None
            values = values.astype(source)
        values = np.ascontiguousarray(values)
        made = np.empty(values.shape, self.program.dtype)
        return made if self.at(address(made), address(values), values.size) else None
