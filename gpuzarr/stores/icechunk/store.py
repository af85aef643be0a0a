"""A session of Icechunk as a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gpuzarr.batch import EncodedBatch
from gpuzarr.stores import handles, moving
from gpuzarr.stores.contract import Objects, Sink, Store
from gpuzarr.stores.contract import concurrency as concurrency_of
from gpuzarr.stores.guards import Guard
from gpuzarr.stores.hidden import is_hidden, rebased
from gpuzarr.stores.icechunk.table import SnapshotTable
from gpuzarr.stores.icechunk.virtual import are_near
from gpuzarr.stores.key_locks import Locked
from gpuzarr.stores.keys import start_of
from gpuzarr.stores.parts import PartObjects
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.spread import each

DOCUMENT = "zarr.json"


@dataclass(frozen=True, eq=False)
class _Kept:
    """The table of the snapshot that was read last. It is not pickled."""

    tables: list[SnapshotTable] = field(default_factory=list)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Kept, ()


@dataclass(frozen=True)
class SessionStore:
    """A session of an Icechunk repository, as a store.

    Chunks that are committed are read where the manifests say that they lie. The session is asked for documents, and
    for everything while it has changes that are not committed; it makes all changes. Whoever has the session commits.

    Parameters
    ----------
    through
        The session itself as a store, by its coroutines.
    chunks
        Where native chunks lie, by their ids; None where the session is to be asked for them.
    """

    through: RemoteStore
    chunks: Store | None = None
    kept: _Kept = field(default_factory=_Kept, repr=False, compare=False)

    is_transaction = True
    guard: ClassVar[Guard] = "alone"  # other processes have sessions of their own; Icechunk finds conflicts in commits
    close, __enter__, __exit__ = handles.close, handles.enter, handles.leave

    def __repr__(self) -> str:
        return f"SessionStore({self.through.client!r})"

    @property
    def read_only(self) -> bool:
        return self.why_read_only([]) is not None

    def with_read_only(self, read_only: bool = False) -> SessionStore:
        """The same store, to which nothing is written if `read_only` is True."""
        return SessionStore(self.through.with_read_only(read_only), self.chunks, self.kept)

    @property
    def has_cheap_lengths(self) -> bool:
        return self._table() is not None

    @property
    def concurrency(self) -> int:
        """See `Waits`."""
        client: Any = self.through.client
        is_near = self.chunks is not None and are_near(client.store.session.config.virtual_chunk_containers or ())
        return concurrency_of(self.chunks) if is_near and self.chunks is not None else self.through.concurrency

    def get(self, key: str) -> bytes | None:
        return self.through.get(key)

    def open(self, keys: Sequence[str], threads: int = 1) -> Objects:
        table = self._table()
        return self.through.open(keys, threads) if table is None else PartObjects(self, table, keys, threads)

    def _table(self) -> SnapshotTable | None:
        """The table of the session's snapshot; None where that is not all there is to see."""
        client: Any = self.through.client
        session = client.store.session
        if session.has_uncommitted_changes or not hasattr(client.store, "array_chunk_iterator"):
            return None
        tables, snapshot = self.kept.tables, session.snapshot_id
        if not tables or (found := tables[-1]).snapshot != snapshot or found.is_forgotten:
            found = SnapshotTable(self.through, self.chunks, snapshot)
            tables[:] = [found]
        return found

    def why_not_to_device(self) -> str:
        return f"chunks of {self!r} may lie in its manifests"

    def why_read_only(self, keys: Sequence[str]) -> str | None:
        return self.through.why_read_only(keys)

    def names(self, prefix: str) -> list[str]:
        return self.through.names(prefix)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        if (table := self._table()) is None:
            return self.through.objects(prefix)
        start = len(start_of(prefix))
        return ((key, size) for key, size in table.objects(prefix) if not is_hidden(key[start:]))

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ListsKeys`."""
        client: Any = self.through.client
        start = len(start_of(prefix))
        return (key for key in client.keys(prefix) if not is_hidden(key[start:]))

    def refresh(self) -> None:
        """See `Remembers`: look again at files in which virtual chunks lie."""
        self.kept.tables.clear()

    def set(self, key: str, data: Any) -> None:
        self.through.set(key, data)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        self.through.write(keys, encoded)

    def create(self, key: str) -> Sink:
        return self.through.create(key)

    def delete(self, keys: Sequence[str]) -> None:
        self.through.delete(keys)

    def delete_prefix(self, prefix: str) -> None:
        """Delete nodes, with whatever is in them; or chunks, where the prefix is one of chunks."""
        client: Any = self.through.client
        keys = client.keys(prefix)
        self.through.delete([key for key in keys if key.endswith(DOCUMENT)] or [*keys, *([prefix] if prefix else [])])

    def move(self, source: str, target: str, order: object) -> None:
        """See `Moves`. A session takes chunks of arrays only, and where a node goes all that is below it goes."""
        keys = list(moving.keys(self, source))
        documents = sorted((key for key in keys if key.endswith(DOCUMENT)), key=lambda key: key.count("/"))
        chunks = set(keys).difference(documents)

        def copy(key: str) -> None:
            moving.copy(self, key, self, rebased(key, source, target))

        for key in documents:
            copy(key)
        each(copy, chunks, self.through.concurrency)
        self.delete_prefix(source)

    def holds(self, prefix: str) -> bool:
        return next(moving.keys(self, prefix), None) is not None

    def locked(self, keys: Sequence[str]) -> Locked:
        return self.through.locked(keys)
