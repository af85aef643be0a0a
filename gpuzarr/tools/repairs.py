"""Repair what `check` has found, as far as that is safe; what loses data is done only where it was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gpuzarr.errors import ChunkError, GpuZarrError, ReadOnlyError
from gpuzarr.metadata import files, summaries
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.opener import Opener
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local import leftovers
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.tools.check_chunks import damaged
from gpuzarr.tools.check_indexes import Objs, inner_chunks
from gpuzarr.tools.check_report import Finding, Repair
from gpuzarr.write.target import Writable

Extent = Literal["safe", "delete-damaged"]
SAFE = ("remove-partial", "consolidate")


@dataclass(frozen=True)
class Repairing:
    """Repairs findings of a store. `limit`: bytes that it may hold."""

    opener: Opener
    extent: Extent
    dry_run: bool
    limit: int

    def __call__(self, finding: Finding) -> Repair | None:
        """Repair a finding; None if it is not to be repaired, or if there is nothing to repair any more."""
        if finding.repair is None or (finding.repair not in SAFE and self.extent == "safe"):
            return None
        ways = {
            "remove-partial": self._remove_partial,
            "consolidate": self._consolidate,
            "delete-chunk": self._delete_chunk,
            "fill-chunk": self._fill_chunk,
            "delete-shard": self._delete_shard,
        }
        return ways[finding.repair](finding)

    @property
    def _store(self) -> Store:
        return self.opener.store

    def _done(self, finding: Finding, action: str, work: Callable[[], object]) -> Repair:
        key = finding.key or ""
        if self.dry_run:
            return Repair(finding.path, key, action, False)
        try:
            work()
        except (GpuZarrError, OSError) as error:
            return Repair(finding.path, key, action, False, str(error))
        return Repair(finding.path, key, action, True)

    def _remove_partial(self, finding: Finding) -> Repair:
        key, store = str(finding.key), self._store
        assert isinstance(store, LocalStore)
        folder, _, name = key.rpartition("/")
        what = "deleted, or put back where nothing took its place," if leftovers.will_be_put_back(name) else "deleted"

        def clean() -> None:
            if (why := store.why_read_only([key])) is not None:
                raise ReadOnlyError(f"{key!r} of {store!r} cannot be deleted: {why}")
            leftovers.clean(store.path(folder))
            if os.path.lexists(store.path(key)):
                raise ReadOnlyError(f"{key!r} of {store!r} cannot be deleted")

        return self._done(finding, f"{what} {key!r}, which a process that has ended had not completed", clean)

    def _consolidate(self, finding: Finding) -> Repair:
        zarr_format = 2 if str(finding.key).endswith(".zmetadata") else 3
        action = f"rebuilt the consolidated metadata of {'/' + finding.path!r} in {finding.key!r}"

        def rebuild() -> None:
            files.check_writable(self._store, finding.path, [str(finding.key).rpartition("/")[2]])
            summaries.make(self._store, finding.path, zarr_format)

        return self._done(finding, action, rebuild)

    def _array(self, path: str, writable: bool = False) -> Array:
        opener = self.opener if not writable else Opener(self._store, self.opener.device, writable=Writable.of(None))
        found = opener(path)
        assert isinstance(found, Array)
        return found

    def _is_damaged(self, array: Array, chunk: tuple[int, ...]) -> bool:
        """Whether a chunk is damaged still: somebody may have written it meanwhile."""
        faults = damaged(array, np.array([chunk], np.int64).reshape(1, len(chunk)), self.limit)
        return any(isinstance(fault.error, ChunkError) for fault in faults)

    def _delete_chunk(self, finding: Finding) -> Repair | None:
        array, chunk = self._array(finding.path), finding.chunk or ()
        if not self._is_damaged(array, chunk):
            return None
        action = f"deleted the damaged chunk {chunk}, {_named(finding)}: it reads as the fill value"
        return self._done(finding, action, lambda: self._store.delete([str(finding.key)]))

    def _fill_chunk(self, finding: Finding) -> Repair | None:
        array, chunk = self._array(finding.path), finding.chunk or ()
        if not self._is_damaged(array, chunk):
            return None
        action = f"took the damaged chunk {chunk} out of its shard {_named(finding)}: it reads as the fill value"

        def fill() -> None:
            made, axes = self._array(finding.path, writable=True), array.layout.axes
            sizes = [axis.sizes for axis in axes]  # shards are regular, and so are the chunks in them
            spans = [
                slice(i * int(n), min((i + 1) * int(n), axis.length))  # type: ignore[arg-type]
                for i, n, axis in zip(chunk, sizes, axes, strict=True)
            ]
            made[tuple(spans)] = made.fill_value

        return self._done(finding, action, fill)

    def _delete_shard(self, finding: Finding) -> Repair | None:
        array, key = self._array(finding.path), str(finding.key)
        coords = array.metadata.chunk_keys.decode(key, array.path) or ()
        still: list[Finding] = []
        length = _length(array.store, key)
        shard = Objs([key], np.array([coords], np.int64).reshape(1, len(coords)), np.array([length], np.int64))
        list(inner_chunks(array, shard, still.append))
        if not any(one.repair == "delete-shard" for one in still):
            return None
        action = f"deleted the shard {_named(finding)}, whose index is damaged: its chunks read as the fill value"
        return self._done(finding, action, lambda: self._store.delete([key]))


def _length(store: Store, key: str) -> int:
    with store.open([key]) as objects:
        return int(objects.lengths()[0])


def _named(finding: Finding) -> str:
    return f"{finding.key!r} of {'/' + finding.path!r}"
