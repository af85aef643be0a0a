"""What stands between the brackets of `a.oindex`, `a.vindex`, `a.blocks`, and zarr-python's methods for the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import SelectionError
from gpuzarr.indexing import selection as select

ROWS = 64 << 20  # bytes that an iteration holds
Normalize = Callable[[Any], select.Outer | select.Points]


@dataclass(frozen=True)
class Indexer:
    """`a.oindex`, `a.vindex`, `a.blocks`: another meaning for what stands between the brackets."""

    array: Any  # a gpuzarr.Array
    normalize: Normalize

    def __getitem__(self, selection: Any) -> Any:
        fields, rest = select.fields(selection)
        return self.array._get(self.normalize(rest), fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        fields, rest = select.fields(selection)
        self.array._put(self.normalize(rest), value, self.array.options.memory_limit, fields)


def _methods(meaning: Callable[[Any], Normalize]) -> tuple[Any, Any]:
    """What reads and what writes a selection of that meaning. `fields`: of a structured array, a name or several."""

    def get(array: Any, selection: Any = ..., *, out: Any = None, fields: str | list[str] | None = None) -> Any:
        return array._get(meaning(array)(selection), _names(fields), out)

    def set(array: Any, selection: Any, value: Any, *, fields: str | list[str] | None = None) -> None:
        array._put(meaning(array)(selection), value, array.options.memory_limit, _names(fields))

    return get, set


def _names(fields: str | list[str] | None) -> str | tuple[str, ...] | None:
    return fields if fields is None or isinstance(fields, str) else tuple(fields)


def rows(array: Any) -> Iterator[Any]:
    """What `array[0]`, `array[1]` and so on are; as many are read at once as lie in a row of chunks (shards)."""
    chunk = array.layout.outer.spec.shape[0] if array.metadata.regular else 1
    row = prod(array.shape[1:]) * array.dtype.itemsize
    together = max(1, min(chunk, ROWS // max(row, 1)))
    for start in range(0, len(array), together):
        yield from array[start : min(start + together, len(array))]


def known(fields: str | tuple[str, ...], dtype: np.dtype[Any]) -> Any:
    """What NumPy takes for these fields. SelectionError for one that the dtype has not."""
    names = dtype.names or ()
    if unknown := [f for f in ([fields] if isinstance(fields, str) else fields) if f not in names]:
        raise SelectionError(f"no field {unknown[0]!r} in dtype {dtype}")
    return fields if isinstance(fields, str) else list(fields)


def with_fields(fields: str | tuple[str, ...], old: np.ndarray, value: Any) -> np.ndarray:
    """Old elements, of which some fields are new."""
    new = np.atleast_1d(old)
    new[known(fields, old.dtype)] = value
    return new.reshape(old.shape)


BASIC = _methods(lambda array: lambda selection: select.basic(selection, array.shape))
ORTHOGONAL = _methods(lambda array: array.oindex.normalize)
POINTS = _methods(lambda array: array.vindex.normalize)
BLOCKS = _methods(lambda array: array.blocks.normalize)
