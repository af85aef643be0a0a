"""Store in a place where each request takes long: an object store, a web server, whatever a `Client` reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.checks import MAX_DOCUMENT_BYTES
from gpuzarr.errors import ChangedError, ReadOnlyError
from gpuzarr.stores import handles
from gpuzarr.stores.documents import too_large
from gpuzarr.stores.guards import Guard
from gpuzarr.stores.hidden import hidden, is_hidden
from gpuzarr.stores.identity import reached
from gpuzarr.stores.key_locks import LOCKS, Locked
from gpuzarr.stores.keys import check, check_prefix, is_key, joined, only_keys, start_of
from gpuzarr.stores.remote.client import Answer, Asked, Client
from gpuzarr.stores.remote.objects import RemoteObjects
from gpuzarr.stores.sink import BufferedSink
from gpuzarr.stores.spread import each


@dataclass(frozen=True)
class RemoteStore:
    """A place that is reached by requests, as a store.

    Many requests are in flight at once. Ranges of one object that are near to each other are joined. Objects are
    replaced in one step, as object stores do it.

    Parameters
    ----------
    client
        What makes the requests: see `gpuzarr/stores/remote/client.py`.
    read_only
        True: nothing is written to it.
    coalesce_gap, coalesce_size
        Bytes: ranges of one object with a gap of at most `coalesce_gap` between them are read as one, as long as they
        begin within `coalesce_size`.
    """

    client: Client
    read_only: bool = False
    coalesce_gap: int = 4 << 10
    coalesce_size: int = 8 << 20
    has_cheap_lengths: bool = field(default=False, init=False, repr=False)

    close, __enter__, __exit__, with_read_only = handles.close, handles.enter, handles.leave, handles.with_read_only

    def __repr__(self) -> str:
        return f"RemoteStore({self.client!r})"

    def get(self, key: str) -> bytes | None:
        check(self, [key])
        found: list[Answer | None] = []
        self.client.fetch([Asked(key, most=MAX_DOCUMENT_BYTES)], lambda _, answer: found.append(answer))
        if found[0] is None:
            return None
        if found[0].data is None:
            raise too_large(self, key, found[0].length)
        return bytes(found[0].data)

    @property
    def concurrency(self) -> int:
        """See `Waits`."""
        return self.client.concurrency

    @property
    def guard(self) -> Guard:
        """See `HasGuard`."""
        if self.client.has_conditional_put:
            return "versions"
        return "alone" if getattr(self.client, "is_of_this_process", False) else "threads"

    def open(self, keys: Sequence[str], threads: int = 1) -> RemoteObjects:
        return RemoteObjects(self, keys)

    def why_not_to_device(self) -> str:
        return f"{self!r} is not a folder of files"

    def why_read_only(self, keys: Sequence[str]) -> str | None:
        return "it was given with read_only=True" if self.read_only else self.client.why_read_only()

    def names(self, prefix: str) -> list[str]:
        check_prefix(self, prefix)
        return sorted({name for name in only_keys(self.client.names(prefix)) if not hidden(name)})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        check_prefix(self, prefix)
        start = len(start_of(prefix))
        for key, size in self.client.objects(prefix):
            if is_key(key) and not is_hidden(key[start:]):
                yield key, size

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ListsKeys`, of stores and of clients."""
        below, start = self._keys(prefix), len(start_of(prefix))
        return (key for key in below if is_key(key) and not is_hidden(key[start:]))

    def _keys(self, prefix: str) -> Iterable[str]:
        """Also those that are hidden, or are no keys, such as those of folders that browsers of buckets make."""
        check_prefix(self, prefix)
        if (listed := getattr(self.client, "keys", None)) is not None:
            found: Iterable[str] = listed(prefix)
            return found
        return (key for key, _ in self.client.objects(prefix))

    def set(self, key: str, data: Any) -> None:
        self._check_writable(key)
        self.client.put(key, data)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        if keys and (put_all := getattr(self.client, "put_all", None)) is not None:
            check(self, keys)
            self._check_writable(keys[0])
            put_all(keys, encoded.on_host)
            return
        each(lambda i: self.set(keys[i], encoded.on_host(i)), range(len(keys)), min(len(keys), self.concurrency))

    def write_if_unchanged(self, keys: Sequence[str], encoded: EncodedBatch, versions: Sequence[Any]) -> list[int]:
        """See `WritesIfUnchanged`."""
        refused: list[int] = []

        def put(i: int) -> None:
            self._check_writable(keys[i])
            try:
                self.client.put(keys[i], encoded.on_host(i), versions[i])
            except ChangedError:
                refused.append(i)

        each(put, range(len(keys)), min(len(keys), self.concurrency))
        return refused

    def create(self, key: str) -> BufferedSink:
        self._check_writable(key)
        return BufferedSink(self, key)

    def delete(self, keys: Sequence[str]) -> None:
        check(self, keys)
        if keys:
            self._check_writable(keys[0])
            self.client.delete(keys)

    def delete_prefix(self, prefix: str) -> None:
        check_prefix(self, prefix)
        self._check_writable(prefix or "zarr.json")
        self.client.delete([*([prefix] if prefix else []), *self._keys(prefix)])

    def locked(self, keys: Sequence[str]) -> Locked:
        """Locks between the threads of this process."""
        check(self, keys)
        where, root = reached(self.client)
        return Locked(LOCKS.value.of((where, joined(root, key)) for key in sorted(set(keys))))

    def below(self, path: str) -> RemoteStore:
        """The part of this store below a path."""
        return replace(self, client=self.client.below(path)) if path else self

    def _check_writable(self, key: str) -> None:
        """ReadOnlyError, naming the key, if nothing can be written; StoreError if it is no key."""
        check(self, [key])
        if (reason := self.why_read_only([key])) is not None:
            raise ReadOnlyError(f"cannot write {key!r} of {self!r}: {reason}")
