"""Programs of elements, run by the C library in one pass and without temporary arrays.

The result is, to the bit, that of the codecs' array expressions, which are run where the C library cannot.
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
        """The loop of a program; None if the C library does not run it."""
        library = native.library()
        if program is None or library is None:
            return None
        found = cls(program, library, address(program.words), len(program.words))
        return found if found.at(0, 0, 0) else None

    def at(self, target: int, source: int, count: int) -> bool:
        """Run it on `count` elements at address `source`, to `target`; both may be unaligned.

        False if it refuses an element, for which the codec raises the error, or if the C library does not run it.
        """
        return bool(self.library.gpuzarr_program(self.table, self.length, source, target, count) > 0)

    def of_batch(self, values: np.ndarray) -> np.ndarray | None:
        """Run it on an array, of either byte order and any strides; None where the codec has to do it."""
        source = self.program.source
        if values.dtype != source:
            if values.dtype.newbyteorder("=") != source:
                return None
            values = values.astype(source)
        values = np.ascontiguousarray(values)
        made = np.empty(values.shape, self.program.dtype)
        return made if self.at(address(made), address(values), values.size) else None
