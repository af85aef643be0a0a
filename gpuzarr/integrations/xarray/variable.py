"""Variables whose lazy values become dask arrays with blocks of the device."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from xarray.core import dtypes, indexing
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
        return self._plain(Blocks(_waiting(lazy))).chunk(chunks, *args, **kwargs, from_array_kwargs=given)

    def set_dims(self, dim: Any, shape: Any = None) -> Any:
        """Add dimensions, as `xarray.Variable.set_dims` does, which reads the values if there are new ones."""
        is_same = set([dim] if isinstance(dim, str) else dim) == set(self.dims)
        return super().set_dims(dim, shape) if is_same else self._plain(self.data).set_dims(dim, shape)

    def _getitem_with_mask(self, key: Any, fill_value: Any = dtypes.NA) -> Any:
        """Select for `reindex`, in which -1 stands for a missing value: xarray computes with what it selects."""
        lazy = self._data
        data = Selected(lazy) if isinstance(lazy, indexing.ExplicitlyIndexed) else lazy
        return self._plain(data)._getitem_with_mask(key, fill_value)

    def _plain(self, data: Any) -> Variable:
        return Variable(self.dims, data, self._attrs, self._encoding, fastpath=True)


class Selected(indexing.ExplicitlyIndexedNDArrayMixin):
    """Lazy values that are read as soon as they are indexed."""

    def __init__(self, array: indexing.ExplicitlyIndexed) -> None:
        self.array = array

    def get_duck_array(self) -> Any:
        """All values."""
        return self.array.get_duck_array()

    def __getitem__(self, indexer: indexing.ExplicitIndexer) -> Any:
        return indexing.apply_indexer(self.array, indexer).get_duck_array()

    _oindex_get = _vindex_get = __getitem__


@dataclass(frozen=True, eq=False)
class Blocks:
    """Lazy values as dask takes them: indexing by a tuple of slices reads a block."""

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


def _waiting(lazy: Any) -> Any:
    """The same lazy values, of which reads take turns."""
    if isinstance(lazy, StoredValues):
        return lazy.waiting()
    made = copy(lazy)
    made.array = _waiting(lazy.array)
    return made


def _stored(lazy: Any) -> StoredValues | None:
    """The stored values below layers of lazy indexing and caching; None if there are none, as in arrays in memory."""
    while isinstance(lazy, indexing.ExplicitlyIndexed) and not isinstance(lazy, StoredValues):
        lazy = getattr(lazy, "array", None)
    return lazy if isinstance(lazy, StoredValues) else None
