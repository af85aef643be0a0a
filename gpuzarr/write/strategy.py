"""Plan how a selection is written: which objects it covers whole, which in part, and which kind of work writes them.

The plan depends on the layout, the selection, the kind of device and the memory limit alone. `write` follows it, and
`explain_write` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import prod
from typing import Literal

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.indexing.grid import Part, coords_of, distinct, parts
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.write.batch_plan import Batch, BatchPlanner
from gpuzarr.write.target import Target
from gpuzarr.write.thresholds import MAX_LOCKED_CHUNKS, MAX_LOCKED_SHARDS, MAX_OPEN_SHARDS, MIN_LONE_CHUNK_BYTES

Coverage = Literal["whole", "partial", "open"]
Shards = Mapping[tuple[int, ...], Sequence[Part]]  # coordinates of each shard, and the parts of the selection there


@dataclass(frozen=True)
class Run:
    """Chunks that the selection covers whole, all of them; or in part: then the old ones are read first.

    `batches` is None where they are written chunk by chunk.
    """

    parts: tuple[Part, ...]
    is_covered: bool
    batches: tuple[Batch, ...] | None

    def __len__(self) -> int:
        return sum(map(len, self.parts))


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
    kind: Literal["chunk by chunk", "batch by batch"]
    groups: tuple[Group, ...]

    @property
    def runs(self) -> Iterator[Run]:
        return (run for group in self.groups for run in group.runs)

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        return tuple(batch for run in self.runs for batch in run.batches or ())

    @property
    def chunks(self) -> int:
        return sum(map(len, self.runs))

    @property
    def count(self) -> int:
        """Batches; chunk by chunk, each is one chunk."""
        return self.chunks if self.kind == "chunk by chunk" else len(self.batches)

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
    def chain(self) -> Chain:
        """The codecs of the first chunks."""
        layout = self.target.layout
        return layout.chain(next((run.parts[0].chunk_shape for run in self.runs), layout.spec.shape))


def plan(
    target: Target, selection: Outer | Points, device: Device, limit: int | None = None, keeps_open: bool = False
) -> Plan:
    """Plan the write of a selection with ascending ranges. `keeps_open`: whether shards may stay open after it."""
    layout = target.layout
    if limit is None:
        limit = device.write_limit if device.gpu else device.memory_limit
    together = layout.per_object if layout.levels else (0,) * len(layout.axes)
    found = list(parts(selection, layout.axes, together))
    planner = Planner(layout, None if _are_large(found, layout, device) else BatchPlanner(layout, device, limit))
    groups = tuple(planner.shards(found, keeps_open) if layout.levels else planner.chunks(found))
    return Plan(target, device, limit, "batch by batch" if planner.batches else "chunk by chunk", groups)


def _are_large(found: Sequence[Part], layout: Layout, device: Device) -> bool:
    """Tell if all chunks are worth to be written one by one."""
    if device.gpu:
        return False
    shapes = {part.chunk_shape for part in found}
    return all((layout.chain(shape).spec.nbytes or 0) >= MIN_LONE_CHUNK_BYTES for shape in shapes)


@dataclass(frozen=True)
class Planner:
    """Plans the groups of a write. `batches` is None where it goes chunk by chunk."""

    layout: Layout
    batches: BatchPlanner | None

    def chunks(self, found: Sequence[Part]) -> Iterator[Group]:
        """Groups of chunks that are objects of their own."""
        is_covered = [part.covers(self.layout.axes) for part in found]
        covered = [part for part, yes in zip(found, is_covered, strict=True) if yes]
        if covered:
            yield Group("whole", (self._run(covered, True),))
        for some in bundles(part for part, yes in zip(found, is_covered, strict=True) if not yes):
            yield Group("partial", (self._run(some, False),))

    def shards(self, found: Sequence[Part], keeps_open: bool) -> Iterator[Group]:
        """Groups of shards. Of shards covered in part, chunks that are covered whole and others are runs of their
        own."""
        axes, shards = self.layout.axes, shards_of(found, self.layout)
        whole = {at: some for at, some in shards.items() if self._is_whole(at, some)}
        opened: dict[tuple[int, ...], list[Part]] = {}
        if keeps_open:
            rest = {at: some for at, some in shards.items() if at not in whole}
            opened = {at: some for at, some in rest.items() if all(part.covers(axes) for part in some)}
            opened = opened if len(opened) <= MAX_OPEN_SHARDS else {}
        coverages: tuple[tuple[Coverage, Shards], ...] = (("whole", whole), ("open", opened))
        for coverage, group in coverages:
            if group:
                yield Group(coverage, (self._run([part for some in group.values() for part in some], True),), group)
        rest = {at: some for at, some in shards.items() if at not in whole and at not in opened}
        items = iter(rest.items())
        while group := dict(islice(items, MAX_LOCKED_SHARDS)):
            inner = [part for some in group.values() for part in some]
            sides = [(yes, [part for part in inner if part.covers(axes) == yes]) for yes in (True, False)]
            yield Group("partial", tuple(self._run(some, yes) for yes, some in sides if some), group)

    def _run(self, some: Sequence[Part], is_covered: bool) -> Run:
        return Run(tuple(some), is_covered, self.batches.plan(some, is_covered) if self.batches else None)

    def _is_whole(self, coords: tuple[int, ...], some: Sequence[Part]) -> bool:
        """Whether all that a shard has within the array is covered."""
        axes = self.layout.axes
        return sum(map(len, some)) == chunks_within(self.layout, coords) and all(part.covers(axes) for part in some)


def chunks_within(layout: Layout, coords: tuple[int, ...]) -> int:
    """Inner chunks that a shard has within the array."""
    sides = zip(layout.axes, layout.per_object, coords, strict=True)
    return prod(min(n, axis.count - i * n) for axis, n, i in sides)


def shards_of(found: Iterable[Part], layout: Layout) -> dict[tuple[int, ...], list[Part]]:
    """The parts of each shard."""
    made: dict[tuple[int, ...], list[Part]] = {}
    per_object = np.asarray(layout.per_object, np.int64)
    for part in found:
        shards, which = distinct(part.coords // per_object, layout.grid(0))
        for i, shard in enumerate(shards.tolist()):
            made.setdefault(tuple(shard), []).extend([part] if len(shards) == 1 else part.present(which == i))
    return made


def bundles(found: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts with at most MAX_LOCKED_CHUNKS chunks together."""
    bundle: list[Part] = []
    for part in found:
        for piece in part.split(MAX_LOCKED_CHUNKS):
            if bundle and sum(map(len, bundle)) + len(piece) > MAX_LOCKED_CHUNKS:
                yield bundle
                bundle = []
            bundle.append(piece)
    if bundle:
        yield bundle


def places(chain: Chain, device: Device) -> tuple[tuple[str, str], ...]:
    """Each codec's name and where it encodes, in that order."""
    return tuple((name, device.name if device.gpu and on_gpu else "cpu") for name, on_gpu in chain.where_encoded())
