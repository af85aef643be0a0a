"""Explain how a selection would be written: as text for people and as a dict for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any, NamedTuple, cast

from gpuzarr.devices.contract import Device
from gpuzarr.indexing.counts import sample, touched
from gpuzarr.indexing.flip import ascending
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read.explain import on_gpu, phrases
from gpuzarr.write import strategy
from gpuzarr.write.plan import Plan
from gpuzarr.write.strategy import places
from gpuzarr.write.target import Target
from gpuzarr.write.unguarded import GUARDED, protection


@dataclass(frozen=True, repr=False)
class WriteExplanation:
    """The plan of a write, made by `Array.explain_write`. An object of the store is a chunk, or a shard.

    Attributes
    ----------
    device
        The name of the device.
    value_shape, value_bytes
        The shape of the value after broadcasting, and its bytes in the dtype of the array.
    work
        "chunk by chunk", "batch by batch", or both (chunks covered in part are read and changed in batches).
    chunks, gathered_bytes
        The number of chunks that the selection touches, and the bytes of all of them before encoding.
    batches, write_behind_depth
        The number of batches, and how many are copied to the host and stored while one is encoded. Where
        there are very many chunks the number of batches is an estimate.
    whole_objects, partial_objects, locks
        The number of objects written without reading anything; of objects that are read, changed and written; and of
        the locks held for these, one after another.
    guard
        What keeps the changes of others to these objects from being lost: "processes" (the locks hold between
        processes), "versions" (an object is written only if it is still what was read, else once more: a conditional
        put), "alone" (the locks hold between threads, and no other process has the objects), "threads" (the same, and
        others may have them: only one process may write), or "none" (`config={"safe": False}`).
    bus_bytes
        The most bytes that come from the GPU to the host; what is compressed is less.
    memory_limit, planned_bytes
        Bytes beyond the value: the limit, and the most that the write is expected to hold. None on a CPU, where
        batches fit its cache.
    codecs
        The name of each codec and where it encodes ("cpu", or the name of the device), in the order of encoding.
    gpu_encode, because
        How much of the codec chain a GPU encodes, "yes", "partly" or "no"; and why not all of it, or "".

    Examples
    --------
    >>> a = gpuzarr.zeros(8, dtype="uint8", chunks=4, compressors="zstd")
    >>> a.explain_write(slice(2)).asdict()["codecs"]
    (('bytes', 'cpu'), ('zstd', 'cpu'))
    """

    device: str
    value_shape: tuple[int, ...]
    value_bytes: int
    work: str
    chunks: int
    batches: int
    write_behind_depth: int
    gathered_bytes: int
    whole_objects: int
    partial_objects: int
    locks: int
    guard: str
    bus_bytes: int
    memory_limit: int | None
    planned_bytes: int | None
    codecs: tuple[tuple[str, str], ...]
    gpu_encode: str
    because: str

    def asdict(self) -> dict[str, Any]:
        """The attributes by their names."""
        return asdict(self)

    def __str__(self) -> str:
        steps, how, reason = phrases(self)
        lines = [
            f"write {self.value_shape} to {self.chunks} chunks {how} on {self.device}",
            f"encode {self.gathered_bytes} bytes for {self.value_bytes} given: {steps}",
            f"{self.whole_objects} objects whole, {self.partial_objects} covered in part: read, changed and written, "
            f"{GUARDED[self.guard].format(self.locks)}",
        ]
        if self.memory_limit is not None:
            lines.append(
                f"over the bus at most {self.bus_bytes} bytes; hold at most {self.planned_bytes} bytes beyond the value"
                f" (limit {self.memory_limit})"
            )
        return "\n".join([*lines, f"GPU encode: {self.gpu_encode}{reason}"])

    __repr__ = __str__


def explain_write(
    target: Target, selection: Outer | Points, device: Device, limit: int | None = None
) -> WriteExplanation:
    """Explain the plan that `write` would follow. Nothing is read or written."""
    layout, whole = target.layout, ascending(selection)
    part = sample(whole, layout.axes, target.together)
    plan = strategy.plan(target, whole if part is None else part, device, limit)
    size = _sizes(plan) if part is None else _sizes_of_all(plan, target, cast(Outer, whole))
    itemsize = layout.spec.dtype.itemsize
    planned = [(len(batch), batch.budget) for batch in plan.batches if batch.budget]
    verdict, why = on_gpu(target.layout, plan.chain.host_steps_to_encode)
    return WriteExplanation(
        device=device.name,
        value_shape=selection.shape,
        value_bytes=prod(selection.shape) * itemsize,
        work=plan.kind,
        chunks=size.chunks,
        batches=size.batches,
        write_behind_depth=plan.write_behind_depth,
        gathered_bytes=size.elements * itemsize,
        whole_objects=size.whole,
        partial_objects=size.partial,
        locks=size.partial if target.safe else 0,
        guard=protection(target),
        bus_bytes=size.chunks * sum(chunks * budget.cost.sent for chunks, budget in planned) // max(plan.chunks, 1),
        memory_limit=plan.limit if device.gpu else None,
        planned_bytes=max((budget.held(chunks) for chunks, budget in planned), default=0) if device.gpu else None,
        codecs=places(plan.chain, device),
        gpu_encode=verdict,
        because=why,
    )


class _Sizes(NamedTuple):
    """The numbers of chunks, of their elements, of batches, and of objects that are covered whole and in part."""

    chunks: int
    elements: int
    batches: int
    whole: int
    partial: int


def _sizes(plan: Plan) -> _Sizes:
    return _Sizes(plan.chunks, plan.gathered_elements, plan.count, plan.whole_objects, plan.partial_objects)


def _sizes_of_all(plan: Plan, target: Target, selection: Outer) -> _Sizes:
    """The sizes of a selection of which the plan is a sample."""
    chunks, objects = (
        touched(selection, target.layout.axes),
        touched(selection, strategy.planned_axes(target.layout.outer, target)),
    )
    batches = -(-plan.count * chunks.chunks // plan.chunks)
    return _Sizes(chunks.chunks, chunks.elements, batches, objects.covered, objects.chunks - objects.covered)
