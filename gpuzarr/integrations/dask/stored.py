"""A stored array as the tasks of dask read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing import selection as select
from gpuzarr.integrations.dask.turns import alone, in_turn
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.parts import parts

VARIABLE_LENGTH = "OT"  # kinds of dtypes whose elements have any length


@dataclass(frozen=True, eq=False)
class Stored:
    """An array whose indexing reads a block when it is its turn. An axis may have a list of indices, as in `oindex`.

    In another process its device is the current GPU there: each worker has its own.
    """

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    def __getitem__(self, selection: Any) -> Any:
        elements = select.orthogonal(selection, self.shape)
        out = None if elements.shape else self.array.device.array((), self.dtype)  # where indexing would give a scalar
        return read_in_turn(self.array, elements, out)

    def __reduce__(self) -> tuple[Any, ...]:
        return _stored, parts_elsewhere(self.array)


def read_in_turn(array: Array, elements: Any, out: Any = None, cast: Cast | None = None) -> Any:
    """Read elements when it is their turn, with a share of the memory limit."""
    device, given = array.device, array.options.memory_limit
    limit = device.memory_limit if given is None else given

    def read(share: int) -> Any:
        return array.read_elements(elements, None, out, array.options.changed(memory_limit=share), cast=cast)

    needs_all = given is not None and array.dtype.kind in VARIABLE_LENGTH  # it may allow for long elements
    return (alone if needs_all else in_turn)(device, "read", limit, read)


def parts_elsewhere(array: Array) -> tuple[Any, ...]:
    """The arguments of `Array` in another process: the device is the current GPU there, not the one of this number."""
    return parts(array, device="cuda" if array.device.name.startswith("cuda:") else array.device)


def _stored(*parts: Any) -> Stored:
    return Stored(Array(*parts))
