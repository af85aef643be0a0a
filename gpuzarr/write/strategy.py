"""Plan how a selection is written: which objects it covers whole, which in part, and which kind of work writes them.

The plan depends on the layout, the selection, the kind of device and the memory limit alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import prod

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.indexing.counts import check_plannable, check_writable
from gpuzarr.indexing.grid import Part, distinct, parts
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.metadata import Axis, RectilinearAxis, RegularAxis
from gpuzarr.stores.contract import concurrency
from gpuzarr.write.batch_plan import BatchPlanner
from gpuzarr.write.plan import Coverage, Group, Plan, Run, Shards
from gpuzarr.write.target import Target
from gpuzarr.write.thresholds import (
    MAX_LOCKED_CHUNKS,
    MAX_LOCKED_SHARDS,
    MAX_OPEN_SHARDS,
    MAX_WAITING_BYTES,
    MIN_LONE_CHUNK_BYTES,
)


def plan(
    target: Target, selection: Outer | Points, device: Device, limit: int | None = None, keeps_open: bool = False
) -> Plan:
    """Plan the write of a selection with ascending ranges. `keeps_open`: whether shards may stay open after it.

    NoMemoryError where the plan itself is too large.
    """
    layout = target.layout
    if limit is None:
        limit = device.write_limit if device.gpu else device.memory_limit
    together = target.together
    check_plannable(selection, layout.axes, together)
    check_writable(selection, layout.axes)
    found = list(parts(selection, layout.axes, together))
    in_flight = concurrency(target.store)
    planner = Planner(layout, planned_axes(layout, target), device, BatchPlanner(layout, device, limit, in_flight))
    groups = planner.shards(found, keeps_open) if layout.levels else planner.chunks(found)
    return Plan(target, device, limit, tuple(groups))


@dataclass(frozen=True)
class Planner:
    """Plans the groups of a write. `axes`: those of the array, up to the end of what must stay as it is."""

    layout: Layout
    axes: tuple[Axis, ...]
    device: Device
    batches: BatchPlanner

    def chunks(self, found: Sequence[Part]) -> Iterator[Group]:
        """Groups of chunks that are objects of their own."""
        is_covered = [part.covers(self.axes) for part in found]
        covered = [part for part, yes in zip(found, is_covered, strict=True) if yes]
        if covered:
            yield Group("whole", (self._run(covered, True),))
        rest = (part for part, yes in zip(found, is_covered, strict=True) if not yes)
        for some in bundles(rest, max(MAX_LOCKED_CHUNKS, self.batches.in_flight)):
            yield Group("partial", (self._run(some, False),))

    def shards(self, found: Sequence[Part], keeps_open: bool) -> Iterator[Group]:
        """Groups of shards. Chunks that are covered whole and others are runs of their own.

        A writer fills a shard also where it leaves out what lies beyond the end of the array.
        """
        shards = parts_by_shard(found, self.layout)
        whole = {at: some for at, some in shards.items() if self._is_whole(at, some)}
        opened: dict[tuple[int, ...], list[Part]] = {}
        if keeps_open:
            rest = {at: some for at, some in shards.items() if at not in whole}
            opened = {at: some for at, some in rest.items() if all(part.covers(self.layout.axes) for part in some)}
            opened = opened if len(opened) <= MAX_OPEN_SHARDS else {}
        coverages: tuple[tuple[Coverage, Shards], ...] = (("whole", whole), ("open", opened))
        for coverage, group in coverages:
            if group:
                yield Group(coverage, self._runs(group), group)
        rest = {at: some for at, some in shards.items() if at not in whole and at not in opened}
        items = iter(rest.items())
        while group := dict(islice(items, self._shards_together())):
            yield Group("partial", self._runs(group), group)

    def _shards_together(self) -> int:
        """Shards covered in part that are changed together: as many as are on their way at once, within limits."""
        layout = self.layout
        nbytes = prod(layout.per_object) * prod(layout.first_chunk_shape) * max(layout.spec.dtype.itemsize, 1)
        return max(MAX_LOCKED_SHARDS, min(self.batches.in_flight, MAX_WAITING_BYTES // max(nbytes, 1)))

    def _runs(self, group: Shards) -> tuple[Run, ...]:
        inner = [part for some in group.values() for part in some]
        sides = [(yes, [part for part in inner if part.covers(self.axes) == yes]) for yes in (True, False)]
        return tuple(self._run(some, yes) for yes, some in sides if some)

    def _run(self, some: Sequence[Part], is_covered: bool) -> Run:
        lone = is_covered and not self.device.gpu and self._are_large(some)
        return Run(tuple(some), None if lone else self.batches.plan(some, is_covered))

    def _are_large(self, some: Sequence[Part]) -> bool:
        """Whether all chunks are worth being written one by one."""
        chains = map(self.layout.chain, {part.chunk_shape for part in some})
        return all((chain.spec.nbytes or 0) >= MIN_LONE_CHUNK_BYTES for chain in chains)

    def _is_whole(self, coords: tuple[int, ...], some: Sequence[Part]) -> bool:
        """Whether all is covered that a shard has up to the ends of the axes."""
        within = chunks_within(self.axes, self.layout.per_object, coords)
        return sum(map(len, some)) == within and all(part.covers(self.axes) for part in some)


def chunks_within(axes: Sequence[Axis], per_object: Sequence[int], coords: Sequence[int]) -> int:
    """Inner chunks that a shard has up to the ends of the axes."""
    return prod(min(n, axis.count - i * n) for axis, n, i in zip(axes, per_object, coords, strict=True))


def planned_axes(layout: Layout, target: Target) -> tuple[Axis, ...]:
    """The axes of a layout of the target, up to the end of what must stay as it is where it is not written."""
    return filled(layout) if target.keeps_beyond else layout.axes


def filled(layout: Layout) -> tuple[Axis, ...]:
    """The axes of a layout, up to the ends of its last objects."""
    counts = layout.per_object or (1,) * len(layout.axes)
    return tuple(
        replace(axis, length=axis.edges[-1])
        if isinstance(axis, RectilinearAxis)
        else RegularAxis(-(-axis.length // (axis.size * n)) * axis.size * n, axis.size)
        for axis, n in zip(layout.axes, counts, strict=True)
    )


def parts_by_shard(found: Iterable[Part], layout: Layout) -> dict[tuple[int, ...], list[Part]]:
    """The parts of each shard."""
    made: dict[tuple[int, ...], list[Part]] = {}
    per_object = np.asarray(layout.per_object, np.int64)
    for part in found:
        shards, which = distinct(part.coords // per_object, layout.grid(0))
        for i, shard in enumerate(shards.tolist()):
            made.setdefault(tuple(shard), []).extend([part] if len(shards) == 1 else part.present(which == i))
    return made


def bundles(found: Iterable[Part], most: int) -> Iterator[list[Part]]:
    """Parts with at most `most` chunks together."""
    bundle: list[Part] = []
    for part in found:
        for piece in part.split(most):
            if bundle and sum(map(len, bundle)) + len(piece) > most:
                yield bundle
                bundle = []
            bundle.append(piece)
    if bundle:
        yield bundle


def places(chain: Chain, device: Device) -> tuple[tuple[str, str], ...]:
    """Each codec's name and where it encodes, in that order."""
    return tuple((name, device.name if device.gpu and on_gpu else "cpu") for name, on_gpu in chain.where_encoded())
