"""Sink of stores that write objects whole: the pieces are put together in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.stores.contract import Store


@dataclass(frozen=True)
class BufferedSink:
    """An object that is written in pieces, kept in memory until it is complete. See `Sink`."""

    store: Store
    key: str
    data: bytearray = field(default_factory=bytearray)
    lock: Lock = field(default_factory=Lock)

    def write(self, data: Any, offset: int) -> None:
        data = memoryview(data)
        with self.lock:  # another thread may write behind this piece meanwhile
            self.data.extend(bytes(max(0, offset + len(data) - len(self.data))))
            self.data[offset : offset + len(data)] = data

    def commit(self) -> None:
        self.store.set(self.key, self.data)

    def commit_if_unchanged(self, version: Any) -> bool:
        """See `CommitsIfUnchanged`: of a store that `WritesIfUnchanged`. A copy is sent: `data` may be cut then."""
        store: Any = self.store
        return not store.write_if_unchanged([self.key], EncodedBatch.of_one(bytes(self.data)), [version])

    def cut(self, nbytes: int) -> None:
        """See `CommitsIfUnchanged`."""
        del self.data[nbytes:]

    def abort(self) -> None:
        self.data.clear()
