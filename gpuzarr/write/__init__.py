"""The write path: a selection becomes a plan, whose groups of objects are gathered, encoded and stored.

selection -> strategy -> groups -> lock, keep what must stay -> Chunks | Batches -> gather -> encode -> destination

An object of the store is a chunk, or a shard. Objects that the selection covers (up to the end of the array) are
written without a look at what was there, and take their place as if under their locks. Those that it covers in part are
read, changed and written, under their locks; of a shard only what must change is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import ChangedError
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.interrupts import ensured, within
from gpuzarr.stores.overwriting import overwriter
from gpuzarr.stores.tries import tries
from gpuzarr.write import strategy
from gpuzarr.write.assignment import Assignment
from gpuzarr.write.batches import Batches
from gpuzarr.write.before import Before, may_fetch
from gpuzarr.write.chunks import Chunks
from gpuzarr.write.destinations import ChunkObjects, Destination, ShardObjects
from gpuzarr.write.open_shards import OpenShards, ShardsByCoords
from gpuzarr.write.plan import Group
from gpuzarr.write.puts import IfUnchanged, Over, Plain, Puts
from gpuzarr.write.shards import abort, keep, new_shards
from gpuzarr.write.strategy import places
from gpuzarr.write.target import Target
from gpuzarr.write.thresholds import MAX_FETCHED_BYTES
from gpuzarr.write.unguarded import protection, warn_once

Change = Callable[[Assignment, Group], Sequence[str]]


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
    trace.waiting = plan.waiting
    if device.gpu:
        trace.limit, trace.overlap = plan.limit, Overlap(min(plan.write_behind_depth, 1))
    trace.guard = protection(target)
    trace.count(whole=plan.whole_objects, partial=plan.partial_objects, locks=plan.locks)
    assignment = Assignment(target, value, device, trace, Before(target, trace))
    if open_shards is not None:
        open_shards.make_way(plan)
    for group in plan.groups:
        if open_shards is not None and group.coverage == "open":
            open_shards.fill(assignment, group, partial(_fill_shards, assignment, group))
        elif group.coverage == "partial":
            change = _change_chunks if group.shards is None else _change_shards
            keys = group.keys(target.layout)
            within(target.locked(keys), partial(_change, change, assignment, group, keys))
        elif group.shards is None:
            _run(assignment, group, ChunkObjects(target, _puts_over(target), trace))
        else:
            _write_shards(assignment, group)


def _write_shards(assignment: Assignment, group: Group) -> None:
    shards = new_shards(assignment.target, group, assignment.trace)
    ensured(lambda: _fill_shards(assignment, group, shards), lambda: abort(shards.values()))


def _change(change: Change, assignment: Assignment, group: Group, keys: Sequence[str], _: object) -> None:
    """Change objects at these keys, under their locks, until nobody has replaced one since it was read."""
    target = assignment.target
    warn_once(target, keys[0])
    for _ in tries(lambda: f"{keys[0]!r} of {target.store!r}"):
        before = Before(target, assignment.trace)
        try:
            refused = change(replace(assignment, before=before), group)
        except ChangedError:
            if not before.notes_versions:
                raise
            refused = group.keys(target.layout)
        if not refused:
            return
        assignment.trace.count(conflicts=len(refused))
        group = group.only(set(refused), target.layout)


def _change_chunks(assignment: Assignment, group: Group) -> Sequence[str]:
    """Change chunks that are objects of their own. Returns the keys of those that were refused."""
    target, before = assignment.target, assignment.before
    chain = target.layout.chain(group.runs[0].parts[0].chunk_shape)
    if may_fetch(target.store, len(group) * (chain.spec.nbytes or MAX_FETCHED_BYTES)):
        before.fetch(group.keys(target.layout), MAX_FETCHED_BYTES)
    if not before.notes_versions:
        _run(assignment, group, ChunkObjects(target, Plain(target.store), assignment.trace))
        return ()
    puts = IfUnchanged(target.store, before)
    _run(assignment, group, ChunkObjects(target, puts, assignment.trace))
    return puts.refused


def _change_shards(assignment: Assignment, group: Group) -> Sequence[str]:
    """Change shards. Returns the keys of those that were refused."""
    shards = new_shards(assignment.target, group, assignment.trace)

    def work() -> None:
        keep(list(shards.values()), assignment.before)
        _fill_shards(assignment, group, shards)

    ensured(work, lambda: abort(shards.values()))
    return [shard.key for shard in shards.values() if shard.is_refused]


def _fill_shards(assignment: Assignment, group: Group, shards: ShardsByCoords) -> None:
    _run(assignment, group, ShardObjects(assignment.target, shards))


def _puts_over(target: Target) -> Puts:
    return Over(overwriter(target.store)) if target.safe else Plain(target.store)


def _run(assignment: Assignment, group: Group, destination: Destination) -> None:
    for run in group.runs:
        if run.batches is None:
            Chunks(assignment, run.parts, destination).run()
        else:
            Batches(assignment, run.batches, destination).run()
