"""PartsStore: a read-only store of objects that are parts of other objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from gpuzarr.errors import ReadOnlyError
from gpuzarr.interrupts import within
from gpuzarr.stores import contract, handles
from gpuzarr.stores.contract import Store
from gpuzarr.stores.documents import unchanged_document
from gpuzarr.stores.hidden import hidden, is_hidden
from gpuzarr.stores.keys import check, check_prefix, is_key, only_keys
from gpuzarr.stores.parts.objects import PartObjects
from gpuzarr.stores.parts.table import Table

MAX_ASKED = 4096  # objects, whose lengths are asked for together


@dataclass(frozen=True)
class PartsStore:
    """Objects whose places a table knows. It is as fast as the stores that hold them, and is never written.

    Parameters
    ----------
    table
        A `Table`.
    """

    table: Table

    read_only = True
    close, __enter__, __exit__ = handles.close, handles.enter, handles.leave

    def __repr__(self) -> str:
        return f"PartsStore({self.table!r})"

    def with_read_only(self, read_only: bool = False) -> PartsStore:
        """Return the store. ReadOnlyError where it is to be written."""
        return self if read_only else self._refuse("")

    @property
    def has_cheap_lengths(self) -> bool:
        return knows_lengths(self.table)

    @property
    def concurrency(self) -> int:
        """See `Waits`."""
        return concurrency(self.table)

    def get(self, key: str) -> bytes | None:
        check(self, [key])
        return unchanged_document(self, key)

    def refresh(self) -> None:
        """See `Remembers`."""
        if (forget := getattr(self.table, "forget", None)) is not None:
            forget()

    def open(self, keys: Sequence[str], threads: int = 1) -> PartObjects:
        return PartObjects(self, self.table, keys, threads)

    def why_not_to_device(self) -> str | None:
        return why_not_to_device(self.table)

    def why_read_only(self, keys: Sequence[str]) -> str:
        return "its objects are parts of others"

    def names(self, prefix: str) -> list[str]:
        check_prefix(self, prefix)
        return sorted(name for name in only_keys(self.table.names(prefix)) if not hidden(name))

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        check_prefix(self, prefix)
        return with_lengths(self, (each for each in self.table.objects(prefix) if is_key(each[0])))

    def keys(self, prefix: str) -> Iterator[str]:
        check_prefix(self, prefix)
        return (key for key in only_keys(key for key, _ in self.table.objects(prefix)) if not is_hidden(key))

    def set(self, key: str, data: Any) -> None:
        self._refuse(key)

    def write(self, keys: Sequence[str], encoded: Any) -> None:
        self._refuse(*keys[:1])

    def create(self, key: str) -> NoReturn:
        self._refuse(key)

    def delete(self, keys: Sequence[str]) -> None:
        self._refuse(*keys[:1])

    def delete_prefix(self, prefix: str) -> None:
        self._refuse(prefix)

    def locked(self, keys: Sequence[str]) -> NoReturn:
        self._refuse(*keys[:1])

    def _refuse(self, key: str = "") -> NoReturn:
        raise ReadOnlyError(f"cannot write {key!r} of {self!r}: {self.why_read_only([key])}")


def with_lengths(store: Store, objects: Iterator[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Keys and bytes of objects; where these are -1, the holders tell them, and those that are missing are left out."""
    unknown: list[str] = []
    for key, length in objects:
        if hidden(key.rpartition("/")[2]):
            continue
        if length >= 0:
            yield key, length
            continue
        unknown.append(key)
        if len(unknown) == MAX_ASKED:
            yield from _asked(store, unknown)
            unknown = []
    yield from _asked(store, unknown)


def _asked(store: Store, keys: Sequence[str]) -> list[tuple[str, int]]:
    if not keys:
        return []
    lengths = within(store.open(keys), lambda objects: objects.lengths())
    return [(key, length) for key, length in zip(keys, lengths, strict=True) if length >= 0]


def knows_lengths(table: Table) -> bool:
    """Whether the lengths of all objects are known, or their holders' stores can tell them, without a request."""
    return getattr(table, "knows_sizes", False) or all(store.has_cheap_lengths for store in _stores(table))


def concurrency(table: Table) -> int:
    """Requests to the holders' stores that pay to be in flight at once."""
    return max([1, *map(contract.concurrency, _stores(table))])


def why_not_to_device(table: Table) -> str | None:
    """Say why not all objects can be read straight into the memory of a GPU; None if they can."""
    if (why := getattr(table, "why_not_to_device", None)) is not None and (reason := why()) is not None:
        return str(reason)
    reasons = [reason for store in _stores(table) if (reason := store.why_not_to_device())]
    return reasons[0] if reasons else None


def _stores(table: Table) -> list[Store]:
    """The stores that hold objects, each once."""
    if (known := getattr(table, "stores", None)) is not None:
        return known()
    return list({id(store): store for store, _ in table.holders()}.values())
