"""The part of a store below a path, as a store of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import ReadOnlyError
from gpuzarr.stores import contract, handles
from gpuzarr.stores.contract import Objects, Sink, Store
from gpuzarr.stores.guards import Guard, guard
from gpuzarr.stores.keys import check, check_prefix, joined, listed_keys
from gpuzarr.stores.versions import refresh


@dataclass(frozen=True)
class PartStore:
    """What lies below a path of a store that has no parts of its own kind. Messages name the whole keys and the store.

    Of the additions to `Store` it has those that make reads and refusals right; the others only make it faster.
    """

    store: Store
    path: str
    read_only: bool = False

    close, __enter__, __exit__, with_read_only = handles.close, handles.enter, handles.leave, handles.with_read_only

    def __repr__(self) -> str:
        return f"PartStore({self.store!r}, {self.path!r})"

    def _below(self, prefix: str) -> str:
        check_prefix(self, prefix)
        return joined(self.path, prefix)

    def _keys(self, keys: Sequence[str]) -> list[str]:
        check(self, keys)
        return [f"{self.path}/{key}" for key in keys]

    @property
    def has_cheap_lengths(self) -> bool:
        return self.store.has_cheap_lengths

    @property
    def concurrency(self) -> int:
        """See `Waits`."""
        return contract.concurrency(self.store)

    @property
    def guard(self) -> Guard:
        return guard(self.store)

    def refresh(self) -> None:
        """See `Remembers`."""
        refresh(self.store)

    def get(self, key: str) -> bytes | None:
        return self.store.get(*self._keys([key]))

    def open(self, keys: Sequence[str], threads: int = 1) -> Objects:
        return self.store.open(self._keys(keys), threads)

    def why_not_to_device(self) -> str | None:
        return self.store.why_not_to_device()

    def why_read_only(self, keys: Sequence[str]) -> str | None:
        if self.read_only:
            return "it was given with read_only=True"
        return contract.why_read_only(self.store, self._keys(keys))

    def _changed(self, keys: Sequence[str]) -> list[str]:
        """Keys of objects that are to be changed. ReadOnlyError, naming one, if this part is only read."""
        if self.read_only:
            raise ReadOnlyError(f"cannot write {next(iter(keys), '')!r} of {self!r}: {self.why_read_only(keys)}")
        return self._keys(keys)

    def why_no_key(self, key: str) -> str | None:
        return contract.why_no_key(self.store, f"{self.path}/{key}")

    def names(self, prefix: str) -> list[str]:
        return self.store.names(self._below(prefix))

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = len(self.path) + 1
        return ((key[start:], size) for key, size in self.store.objects(self._below(prefix)))

    def keys(self, prefix: str) -> Iterator[str]:
        start = len(self.path) + 1
        return (key[start:] for key in listed_keys(self.store, self._below(prefix)))

    def set(self, key: str, data: Any) -> None:
        self.store.set(self._changed([key])[0], data)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        self.store.write(self._changed(keys), encoded)

    def write_if_unchanged(self, keys: Sequence[str], encoded: EncodedBatch, versions: Sequence[Any]) -> Sequence[int]:
        """See `WritesIfUnchanged`; called where the guard is "versions"."""
        store: Any = self.store
        failed: Sequence[int] = store.write_if_unchanged(self._changed(keys), encoded, versions)
        return failed

    def create(self, key: str) -> Sink:
        return self.store.create(self._changed([key])[0])

    def delete(self, keys: Sequence[str]) -> None:
        self.store.delete(self._changed(keys))

    def delete_prefix(self, prefix: str) -> None:
        self._changed([prefix] if prefix else [])
        self.store.delete_prefix(self._below(prefix))

    def locked(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        return self.store.locked(self._keys(keys))
