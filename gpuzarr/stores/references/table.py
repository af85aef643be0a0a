"""References of a document as a table of parts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np

from gpuzarr.errors import ChangedError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.parts import INLINE, Places
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.references.document import Columns, inline_bytes


class ReferenceTable:
    """References of a document. See `Table`.

    Parameters
    ----------
    columns, holders
        The references, and where what their `urls` name is.
    name
        Names the table in messages.
    source
        A function and its arguments, which make the table anew from a pickle; None: it is pickled whole.
    version
        That of the only holder, where the references were made of what it has.
    """

    def __init__(
        self,
        columns: Columns,
        holders: Sequence[tuple[Store, str]],
        name: str,
        source: tuple[Any, ...] | None = None,
        version: Any = None,
    ) -> None:
        self._columns, self._holders, self._name, self._source = columns, holders, name, source
        self._versions = {} if version is None else {0: version}
        self._is_outdated = False

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> tuple[Any, ...]:
        if self._source is not None:
            return self._source
        return ReferenceTable, (self._columns, self._holders, self._name)

    def holders(self) -> Sequence[tuple[Store, str]]:
        return self._holders

    def forget(self) -> None:
        """Another file has taken the place of the one that the references were made of."""
        self._is_outdated = bool(self._versions)

    @cached_property
    def knows_sizes(self) -> bool:
        columns = self._columns
        return not (columns.sizes[columns.holders >= 0] < 0).any()

    def places(self, keys: Sequence[str]) -> Places:
        columns = self._columns
        if self._is_outdated:
            raise ChangedError(f"{self._name} is another file than the one that was opened: open it again")
        rows = np.fromiter(map(columns.rows.get, keys, repeat(-1)), np.int64, len(keys))
        if not len(columns.rows):
            return Places(*nowhere(len(keys)))
        holders = np.where(rows < 0, MISSING, columns.holders[rows])
        inline = {
            i: inline_bytes(columns.inline[row], keys[i])
            for i, row in ((int(i), int(rows[i])) for i in np.flatnonzero(holders == INLINE))
        }
        return Places(holders, columns.offsets[rows], columns.sizes[rows], inline, versions=self._versions)

    def names(self, prefix: str) -> list[str]:
        return sorted(children(self._keys, prefix))

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        columns = self._columns
        for key in self._keys[slice(*below(self._keys, prefix))]:
            row = columns.rows[key]
            is_inline = columns.holders[row] == INLINE
            yield key, len(inline_bytes(columns.inline[row], key)) if is_inline else int(columns.sizes[row])

    @cached_property
    def _keys(self) -> list[str]:
        return sorted(self._columns.rows)


def nowhere(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Holders, offsets and sizes of n objects that are not there."""
    return np.full(n, MISSING, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)


def below(keys: Sequence[str], prefix: str) -> tuple[int, int]:
    """The range of the keys below a prefix, among sorted ones."""
    if not prefix:
        return 0, len(keys)
    return bisect_left(keys, f"{prefix}/"), bisect_left(keys, f"{prefix}0")  # "0" comes right behind "/"


def children(keys: Sequence[str], prefix: str) -> set[str]:
    """The names directly below a prefix, among sorted keys: those of a folder in one step, whatever it has."""
    at, end = below(keys, prefix)
    skip, found = len(prefix) + 1 if prefix else 0, set()
    while at < end:
        name, slash, _ = keys[at][skip:].partition("/")
        found.add(name)
        at = bisect_left(keys, f"{keys[at][:skip]}{name}0", at, end) if slash else at + 1
    return found - {"", ".", ".."}
