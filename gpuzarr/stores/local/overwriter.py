"""Objects of a folder that are replaced without a look at the old ones, as if under their locks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.interrupts import within
from gpuzarr.stores.local import locks, new_files
from gpuzarr.stores.local import partial_files as files

if TYPE_CHECKING:
    from gpuzarr.stores.local.store import LocalStore


class Overwriter:
    """Overwrites objects of a LocalStore in one write, on any thread. See `Overwrites`.

    A lock is a file, which takes as long as a small object: it is only looked for. And the folders of an object are
    looked at before the first one in them: no link may lead there.
    """

    __slots__ = ("_folders", "_store")

    def __init__(self, store: LocalStore) -> None:
        self._store, self._folders = store, set[str]()

    def __call__(self, key: str, data: Any) -> None:
        store = self._store
        path = self._path(key)
        if new_files.write_one(path, data, store.fsync, looks_for_locks=True):
            return
        with store.writing(key):
            alone = files.put(files.PartialFile(path), data, self._is_alone)
        if not alone:
            within(store.locked([key]), lambda _: store.set(key, data))

    def many(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        """The same for many objects: key i gets chunk i."""
        paths, fsync = list(map(self._path, keys)), self._store.fsync
        new_files.write(paths, encoded, lambda i: self(keys[i], encoded.on_host(i)), fsync, looks_for_locks=True)

    def delete(self, keys: Sequence[str]) -> None:
        """The same for objects that are deleted."""
        store, paths = self._store, list(map(self._path, keys))
        store.delete(keys)
        for key, path in zip(keys, paths, strict=True):
            if os.path.lexists(locks.lock_of(path)) or os.path.lexists(path):
                within(store.locked([key]), partial(self._delete, key))

    def _delete(self, key: str, _: object) -> None:
        self._store.delete([key])

    def _path(self, key: str) -> str:
        folder, _, name = key.rpartition("/")
        if folder not in self._folders or not name.strip(".") or "\0" in name:
            with self._store.writing(key):
                path = self._store.own(key)
            self._folders.add(folder)
            return path
        return f"{self._store.folder}/{key}"

    def _is_alone(self, file: files.PartialFile) -> bool:
        """Put a file in its place. False if a holder of its lock, who knows only the old one, may replace it.

        Who takes the lock after we have looked finds the new file. Who had it before, and has freed it, has replaced
        our file by now, if at all.
        """
        file.commit(self._store.fsync, stays_open=True)
        return not os.path.lexists(locks.lock_of(file.path)) and file.is_in_place()
