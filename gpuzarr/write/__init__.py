"""The write path: a selection becomes a plan, whose groups of objects are gathered, encoded and stored.

selection -> strategy -> groups -> lock, keep what must stay -> Chunks | Batches -> gather -> encode -> destination

An object of the store is a chunk, or a shard. Objects that the selection covers (up to the end of the array) are
written without a look at what was there. Those that it covers in part are read, changed and written, under their locks;
of a shard only what must change is decoded.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.write import strategy
from gpuzarr.write.batches import Batches
from gpuzarr.write.chunks import Chunks
from gpuzarr.write.destinations import ChunkObjects, Destination, ShardObjects
from gpuzarr.write.open_shards import OpenShards
from gpuzarr.write.plan import Group
from gpuzarr.write.shards import new_shards
from gpuzarr.write.strategy import places
from gpuzarr.write.target import Assignment, Target


def write(
    target: Target,
    selection: Outer | Points,
    value: Any,
    device: Device,
    limit: int | None = None,
    trace: Trace | None = None,
    open_shards: OpenShards | None = None,
) -> None:
    """Write `value`, an array of the device that broadcasts to `selection.shape`, to the elements selected.

    `limit`: bytes that a GPU may hold beyond the value; None: as many as the device thinks right. `open_shards`:
    shards that are filled by several writes. ChunkError for an old chunk that is damaged, or a new one that cannot be
    encoded; StoreError where the store cannot be written.
    """
    trace, value = trace or Trace(), flipped(selection, device.xp.broadcast_to(value, selection.shape))
    plan = strategy.plan(target, ascending(selection), device, limit, keeps_open=open_shards is not None)
    trace.codecs, trace.write_behind_depth = partial(places, plan.chain, device), plan.write_behind_depth
    if device.gpu:
        trace.limit, trace.overlap = plan.limit, Overlap(min(plan.write_behind_depth, 1))
    trace.count(whole=plan.whole_objects, partial=plan.partial_objects, locks=plan.locks)
    assignment = Assignment(target, value, device, trace)
    if open_shards is not None:
        open_shards.make_way(plan)
    for group in plan.groups:
        if open_shards is not None and group.coverage == "open":
            with open_shards.filling(target, group) as shards:
                _run(assignment, group, ShardObjects(target, shards))
        elif group.shards is not None:
            _write_shards(assignment, group)
        else:
            with _locks(target, group):
                _run(assignment, group, ChunkObjects(target))


def _write_shards(assignment: Assignment, group: Group) -> None:
    shards = new_shards(assignment.target, group)
    with _locks(assignment.target, group):
        try:
            if group.coverage == "partial":
                CPU.each(lambda shard: shard.keep(assignment.source), shards.values())
            _run(assignment, group, ShardObjects(assignment.target, shards))
        finally:
            for shard in shards.values():
                shard.abort()  # does nothing where it is closed


def _run(assignment: Assignment, group: Group, destination: Destination) -> None:
    for run in group.runs:
        if run.batches is None:
            Chunks(assignment, run.parts, destination).run()
        else:
            Batches(assignment, run.batches, destination).run()


def _locks(target: Target, group: Group) -> Any:
    """Hold the locks of objects that are covered in part."""
    return target.locked(group.keys(target.layout)) if group.coverage == "partial" else nullcontext()
