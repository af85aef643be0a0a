"""Variables whose lazy values become dask arrays with blocks of the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from xarray.core import indexing
from xarray.core.variable import Variable

from gpuzarr.integrations.xarray.lazy import StoredValues


class LazyVariable(Variable):
    """A variable of values of a device, read when they are needed.

    xarray tells dask that lazy values are NumPy arrays, and copies each block to the host. Here they stay where they
    are. Whatever is computed from a LazyVariable is an ordinary Variable.
    """

    __slots__ = ()

    def chunk(self, chunks: Any = {}, *args: Any, **kwargs: Any) -> Any:  # noqa: B006 (as xarray has it)
        """Make a dask array of the values, as `xarray.Variable.chunk` does."""
        lazy = self._data
        values = _stored(lazy)
        if values is None:
            return super().chunk(chunks, *args, **kwargs)
        given = dict(kwargs.pop("from_array_kwargs", None) or {})
        given.setdefault("meta", values.device.array((0,) * self.ndim, self.dtype))
        given.setdefault("asarray", False)
        plain = Variable(self.dims, Blocks(lazy), self._attrs, self._encoding, fastpath=True)
        return plain.chunk(chunks, *args, **kwargs, from_array_kwargs=given)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Lazy values as dask takes them: a tuple of slices between brackets reads a block."""

    lazy: Any

    @property
    def shape(self) -> tuple[int, ...]:
        found: tuple[int, ...] = self.lazy.shape
        return found

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        found: np.dtype[Any] = self.lazy.dtype
        return found

    def __getitem__(self, key: Any) -> Any:
        indexer = indexing.OuterIndexer(indexing.expanded_indexer(key, self.ndim))
        return indexing.apply_indexer(self.lazy, indexer).get_duck_array()


def _stored(lazy: Any) -> StoredValues | None:
    """The stored values below layers of lazy indexing and caching; None if there are none, as in arrays in memory."""
    while isinstance(lazy, indexing.ExplicitlyIndexed) and not isinstance(lazy, StoredValues):
        lazy = getattr(lazy, "array", None)
    return lazy if isinstance(lazy, StoredValues) else None
