"""Other meanings of what stands between brackets: `a.oindex`, `a.vindex`, `a.blocks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import SelectionError, ValueKindError
from gpuzarr.indexing import selection as select
from gpuzarr.nodes.inputs import as_value

Selection = select.Outer | select.Points
Fields = str | tuple[str, ...] | None
Names = str | Sequence[str] | None


@dataclass(frozen=True, repr=False)
class Indexer:
    """Reads and writes an array with one meaning of selections: `indexer[...]`, `indexer[...] = value`.

    `normalize` gives the elements that a selection means; `read(elements, fields, out)` and
    `write(elements, fields, value)` are those of the array.
    """

    normalize: Callable[[Any], Selection]
    read: Callable[[Selection, Fields, Any], Any]
    write: Callable[[Selection, Fields, Any], None]

    def __getitem__(self, selection: Any) -> Any:
        fields, rest = select.fields(selection)
        return self.read(self.normalize(rest), fields, None)

    def __setitem__(self, selection: Any, value: Any) -> None:
        fields, rest = select.fields(selection)
        self.write(self.normalize(rest), fields, value)

    def get(self, selection: Any = ..., *, out: Any = None, fields: Names = None) -> Any:
        """Read a selection; `fields` are of a structured array, `out` is an array to be filled and returned."""
        return self.read(self.normalize(selection), _hashable(fields), out)

    def set(self, selection: Any, value: Any, *, fields: Names = None) -> None:
        """Write a selection; `fields` are of a structured array."""
        self.write(self.normalize(selection), _hashable(fields), value)


def _hashable(fields: Names) -> Fields:
    if fields is None or isinstance(fields, str):
        return fields
    if not isinstance(fields, list | tuple) or not fields or not all(isinstance(name, str) for name in fields):
        raise SelectionError(f"fields are a name or a list of names, not {shown(fields)}")
    return tuple(fields)


def rows(read: Callable[[slice], Any], length: int, rows_per_read: int) -> Iterator[Any]:
    """The elements along the first axis one after another, of which so many are read at once."""
    for start in range(0, length, rows_per_read):
        yield from read(slice(start, min(start + rows_per_read, length)))


def checked_fields(fields: str | tuple[str, ...], dtype: np.dtype[Any]) -> Any:
    """Field names in the form that NumPy takes. SelectionError for one that the dtype does not have."""
    names = dtype.names or ()
    if unknown := [f for f in ([fields] if isinstance(fields, str) else fields) if f not in names]:
        why = "" if names else "; an array has no members, as groups have: a[...] are its values"
        raise SelectionError(f"no field {unknown[0]!r} in dtype {dtype}{why}")
    if not isinstance(fields, str) and len(set(fields)) < len(fields):
        raise SelectionError(f"a field is named twice: {list(fields)}")
    return fields if isinstance(fields, str) else list(fields)


def with_fields(fields: str | tuple[str, ...], old: np.ndarray, value: Any) -> np.ndarray:
    """A copy of structured elements in which some fields have new values."""
    new = np.atleast_1d(old)
    names = checked_fields(fields, old.dtype)
    try:
        if isinstance(names, str) and old.dtype[names].subdtype is None:
            value = as_value(value, old.dtype[names], old.shape, CPU)
        new[names] = value
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueKindError(f"cannot write a {type(value).__name__} to the fields {fields!r}: {error}") from error
    return new.reshape(old.shape)
