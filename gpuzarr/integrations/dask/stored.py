"""A stored array as the tasks of dask read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.indexing import selection as select
from gpuzarr.integrations.dask.turns import alone, in_turn
from gpuzarr.nodes.array import Array

VARIABLE = "OT"  # kinds of dtypes whose elements have any length


@dataclass(frozen=True, eq=False)
class Stored:
    """An array whose brackets read a block, when it is its turn. An axis may have a list of indices, as in `oindex`.

    In another process its device is the GPU that is the current one there: a worker has its own.
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
        elements, device = select.orthogonal(selection, self.shape), self.array.device
        given = self.array.options.memory_limit
        limit = device.memory_limit if given is None else given

        def read(share: int) -> Any:
            out = None if elements.shape else device.array((), self.dtype)  # an array, where brackets give a scalar
            return self.array.read_elements(elements, None, out, self.array.options.changed(memory_limit=share))

        needs_all = given is not None and self.dtype.kind in VARIABLE  # it may allow for long elements
        return (alone if needs_all else in_turn)(device, "read", limit, read)

    def __reduce__(self) -> tuple[Any, ...]:
        return _stored, parts(self.array)


def parts(array: Array) -> tuple[Any, ...]:
    """What an Array is made of in another process: with the current GPU there instead of one by its number."""
    device: str | Device = "cuda" if array.device.name.startswith("cuda:") else array.device
    return array.store, array.path, array.metadata, device, array.writable, array.options


def _stored(*parts: Any) -> Stored:
    return Stored(Array(*parts))
