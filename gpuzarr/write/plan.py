"""The plan of a write: groups of objects, and runs of chunks in them. `write` follows it, `explain_write` prints it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.indexing.grid import Part, coords_of
from gpuzarr.indexing.layout import Layout
from gpuzarr.stores.contract import concurrency
from gpuzarr.write.batch_plan import Batch
from gpuzarr.write.target import Target
from gpuzarr.write.thresholds import MAX_WAITING_BYTES

Coverage = Literal["whole", "partial", "open"]
Shards = Mapping[tuple[int, ...], Sequence[Part]]  # coordinates of each shard, and the parts of the selection there


@dataclass(frozen=True)
class Run:
    """Chunks that the selection covers whole, all of them; or in part: then the old ones are read first.

    `batches` is None where they are written chunk by chunk.
    """

    parts: tuple[Part, ...]
    batches: tuple[Batch, ...] | None

    @property
    def kind(self) -> str:
        return "chunk by chunk" if self.batches is None else "batch by batch"

    def only(self, keys: Collection[str], layout: Layout) -> Run:
        """The run of the chunks in the objects that have these keys."""
        batches = None
        if self.batches is not None:
            narrow = [replace(batch, parts=_only(batch.parts, keys, layout)) for batch in self.batches]
            batches = tuple(batch for batch in narrow if batch.parts)
        return Run(_only(self.parts, keys, layout), batches)

    def __len__(self) -> int:
        return sum(map(len, self.parts))


def _only(parts: Sequence[Part], keys: Collection[str], layout: Layout) -> tuple[Part, ...]:
    """What these parts have of the chunks in the objects that have these keys."""
    found: list[Part] = []
    for part in parts:
        objects = part.coords // np.asarray(layout.per_object, np.int64) if layout.levels else part.coords
        chosen = np.array([key in keys for key in layout.keys(objects)], bool)
        found += [part] if chosen.all() else part.present(chosen)
    return tuple(found)


@dataclass(frozen=True)
class Group:
    """Objects that are written together. `shards` is None where each chunk is an object.

    `coverage`: objects covered whole are written without a look at what was there. Those covered in part are locked,
    and what must stay is read. "open" are shards covered in part that a writer fills region by region.
    """

    coverage: Coverage
    runs: tuple[Run, ...]
    shards: Shards | None = None

    def __len__(self) -> int:
        """Objects."""
        return sum(map(len, self.runs)) if self.shards is None else len(self.shards)

    def only(self, keys: Collection[str], layout: Layout) -> Group:
        """The group of those of its objects that have these keys."""
        runs = [run.only(keys, layout) for run in self.runs]
        shards = None
        if self.shards is not None:
            shards = {at: some for at, some in self.shards.items() if layout.keys(np.array([at], np.int64))[0] in keys}
        return replace(self, runs=tuple(run for run in runs if run.parts), shards=shards)

    def keys(self, layout: Layout) -> list[str]:
        """The keys of its objects."""
        if self.shards is None:
            return layout.keys(coords_of(tuple(part for run in self.runs for part in run.parts)))
        return layout.keys(np.array(list(self.shards), np.int64).reshape(len(self.shards), -1))


@dataclass(frozen=True)
class Plan:
    """The groups of a write, one after another. `limit`: bytes beyond the value, of a GPU."""

    target: Target
    device: Device
    limit: int
    groups: tuple[Group, ...]

    @property
    def runs(self) -> Iterator[Run]:
        return (run for group in self.groups for run in group.runs)

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        return tuple(batch for run in self.runs for batch in run.batches or ())

    @property
    def kind(self) -> str:
        """The kind of work, or both kinds."""
        return " and ".join(dict.fromkeys(run.kind for run in self.runs)) or "batch by batch"

    @property
    def chunks(self) -> int:
        return sum(map(len, self.runs))

    @property
    def count(self) -> int:
        """Batches; chunk by chunk, each is one chunk."""
        return sum(len(run) if run.batches is None else len(run.batches) for run in self.runs)

    @property
    def gathered_elements(self) -> int:
        return sum(len(part) * prod(part.chunk_shape) for run in self.runs for part in run.parts)

    @property
    def whole_objects(self) -> int:
        return sum(len(group) for group in self.groups if group.coverage == "whole")

    @property
    def partial_objects(self) -> int:
        return sum(len(group) for group in self.groups if group.coverage != "whole")

    @property
    def locks(self) -> int:
        """Locks that are held, one after another. Open shards are locked when they are closed."""
        locked = sum(len(group) for group in self.groups if group.coverage == "partial")
        return locked if self.target.safe else 0

    @property
    def write_behind_depth(self) -> int:
        """How many batches are stored while others are gathered and encoded.

        On a CPU it is one: a thread more than cores, for threads that store wait for the system.
        """
        if not self.device.gpu:
            return 1
        return min((batch.budget.write_behind_depth for batch in self.batches if batch.budget), default=0)

    @property
    def waiting(self) -> int:
        """How many more threads of a CPU pay, as they wait for the store; what they hold is limited.

        A thread waits with a chunk, a batch, of which the store writes all chunks at once, or a shard.
        """
        if self.device.gpu or (in_flight := concurrency(self.target.store)) < 2:
            return 0
        layout, most = self.target.layout, 0
        for run in self.runs:
            chunk = prod(run.parts[0].chunk_shape) * max(layout.spec.dtype.itemsize, 1)
            together = 1 if run.batches is None else len(run.batches[0])
            objects = -(-together // prod(layout.per_object)) if layout.levels else together
            held = chunk * (max(together, prod(layout.per_object)) if layout.levels else together)
            most = max(most, min(-(-in_flight // objects), MAX_WAITING_BYTES // max(held, 1)))
        return max(0, most - self.device.threads - self.write_behind_depth)

    @property
    def chain(self) -> Chain:
        """The codecs of the first chunks."""
        layout = self.target.layout
        return layout.chain(next((run.parts[0].chunk_shape for run in self.runs), layout.first_chunk_shape))
