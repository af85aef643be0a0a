"""Lazy values of a variable: indexing reads what is asked for by one call, and decodes it on the device."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from xarray.backends.common import BackendArray
from xarray.core import indexing

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing import selection as select
from gpuzarr.integrations.dask.stored import parts_elsewhere, read_in_turn
from gpuzarr.integrations.xarray.steps import Step, cast_for, dtype_after
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.parts import parts


def on(array: Array, device: Device) -> Array:
    """The same array on a device."""
    return array if array.device is device else Array(*parts(array, device=device))


@dataclass(frozen=True, eq=False)
class StoredValues(BackendArray):
    """The values of an array, behind `steps` that decode them. `seen` is the dtype that xarray is told.

    The array is not called `array`: by that name xarray looks for what lazy values are made of. `waits`: reads
    wait for their turn, as blocks of `gpuzarr.to_dask` do, because dask reads many at once.
    """

    stored: Array
    steps: tuple[Step, ...] = ()
    seen: np.dtype | None = None
    waits: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def dtype(self) -> np.dtype:
        return dtype_after(self.seen or self.stored.dtype, self.steps)

    @property
    def device(self) -> Device:
        """Where values are."""
        return self.stored.device

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return self._read(_MEANINGS[type(key)](key.tuple, self.shape))

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> Any:
        """Read on a thread, for `Dataset.load_async`."""
        return await asyncio.to_thread(self.__getitem__, key)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.steps, self.seen, self.waits, *parts_elsewhere(self.stored))

    def on(self, device: Device) -> StoredValues:
        """These values on a device."""
        return self if self.device is device else replace(self, stored=on(self.stored, device))

    def waiting(self) -> StoredValues:
        """These values, as dask reads them."""
        return replace(self, waits=True)

    def behind(self, steps: tuple[Step, ...]) -> StoredValues:
        """These values, decoded by `steps`."""
        return replace(self, steps=steps)

    @cached_property
    def _cast(self) -> Cast | None:
        return cast_for(self.stored.dtype, self.steps)

    def _read(self, elements: Any) -> Any:
        array, cast = self.stored, self._cast
        values = read_in_turn(array, elements, cast=cast) if self.waits else array.read_elements(elements, cast=cast)
        if cast is not None:
            return values
        if self.steps and not self.device.gpu:
            values = np.asarray(values)  # of a single element, too
        for step in self.steps:
            values = step(values)
        if self.dtype.kind == "T" and isinstance(values, str):  # an element of an array of strings
            return np.asarray(values, dtype=self.dtype)
        return values


def _unpickled(steps: tuple[Step, ...], seen: np.dtype | None, waits: bool, *parts: Any) -> StoredValues:
    return StoredValues(Array(*parts), steps, seen, waits)


_MEANINGS = {
    indexing.BasicIndexer: select.basic,
    indexing.OuterIndexer: select.orthogonal,
    indexing.VectorizedIndexer: select.pointwise,
}
