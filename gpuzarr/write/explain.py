"""Explain how a selection would be written: as text for people and as a dict for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.indexing.grid import Part
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.write.strategy import Batch, Target, bundles, groups, places
from gpuzarr.write.strategy import units as units_of
from gpuzarr.write.write import Writing


@dataclass(frozen=True)
class WriteExplanation:
    """The plan of a write, made by `Array.explain_write`. A unit is an object of the store: a chunk, or a shard.

    Attributes
    ----------
    device
        The name of the device.
    value_shape, value_bytes
        The shape of the value after broadcasting, and its bytes in the dtype of the array.
    chunks, gathered_bytes
        The number of chunks that the selection touches, and the bytes of all of them before encoding.
    batches, write_behind_depth
        The number of batches, and how many are copied to the host and stored while one is encoded.
    whole_units, partly_units, locks
        The number of units written without reading anything; of units that are read, changed and written; and of
        the locks held for these, one after another.
    bus_bytes
        The most bytes that come from the GPU to the host; what is compressed is less.
    memory_limit, planned_bytes
        Bytes beyond the value: the limit, and the most that the write is expected to hold. None on a CPU, where
        batches fit its cache.
    codecs
        The name of each codec and where it encodes ("host", or the name of the device), in the order of encoding.
    gpu_encode, because
        How much of the codec chain a GPU encodes, "yes", "partly" or "no"; and why not all of it, or "".

    Examples
    --------
    >>> a = gpuzarr.zeros(8, dtype="uint8", chunks=4, compressors="zstd")
    >>> a.explain_write(slice(2)).asdict()["codecs"]
    (('bytes', 'host'), ('zstd', 'host'))
    """

    device: str
    value_shape: tuple[int, ...]
    value_bytes: int
    chunks: int
    batches: int
    write_behind_depth: int
    gathered_bytes: int
    whole_units: int
    partly_units: int
    locks: int
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
        steps = ", ".join(f"{name} on {where}" for name, where in self.codecs)
        reason = f", because {self.because}" if self.because else ""
        lines = [
            f"write {self.value_shape} to {self.chunks} chunks in {self.batches} batches on {self.device}",
            f"encode {self.gathered_bytes} bytes for {self.value_bytes} given: {steps}",
            f"{self.whole_units} units whole, {self.partly_units} covered in part: read, changed and written, under "
            f"{self.locks} locks",
        ]
        if self.memory_limit is not None:
            lines.append(
                f"over the bus at most {self.bus_bytes} bytes; hold at most {self.planned_bytes} bytes beyond the value"
                f" (limit {self.memory_limit})"
            )
        return "\n".join([*lines, f"GPU encode: {self.gpu_encode}{reason}"])


def gpu_encode(layout: Layout, chain: Chain) -> tuple[str, str]:
    """Whether a GPU encodes the chunks: "yes", "partly" or "no", and why."""
    if not fits_gpu(layout.spec.dtype):
        return "no", f"CuPy has no dtype {layout.spec.dtype}"
    crossing, why = chain.host_steps_to_encode
    return ("yes", "") if why is None else ("partly" if crossing > 1 else "no", why)


def planned(writing: Writing, found: Sequence[Part]) -> tuple[list[Batch], int, int]:
    """The batches, and how many units are covered, and covered in part."""
    covers = [part.covers(writing.layout.axes) for part in found]
    if writing.layout.levels:
        units = list(units_of(found, writing.layout).items())
        is_whole = [writing.covered(coords, some) for coords, some in units]
        whole = [part for (_, some), yes in zip(units, is_whole, strict=True) if yes for part in some]
        partly = [some for (_, some), yes in zip(units, is_whole, strict=True) if not yes]
        changed = [[part for some in group for part in some] for group in groups(partly)]
        counts = sum(is_whole), len(partly)
    else:
        whole = [part for part, yes in zip(found, covers, strict=True) if yes]
        changed = list(bundles(part for part, yes in zip(found, covers, strict=True) if not yes))
        counts = sum(map(len, whole)), sum(len(part) for some in changed for part in some)
    batches = writing.batches([(part, None) for part in whole], True)
    for some in changed:
        for is_covered in (True, False):
            pairs = [(part, None) for part in some if part.covers(writing.layout.axes) == is_covered]
            batches += writing.batches(pairs, is_covered)
    return batches, *counts


def explain_write(
    target: Target, selection: Outer | Points, device: Device, limit: int | None = None
) -> WriteExplanation:
    """What `write` would do. Nothing is read or written."""
    writing = Writing.of(target, None, device, limit)
    layout = writing.layout
    batches, whole, partly = planned(writing, writing.parts(selection))
    chain = layout.chain(batches[0].chunk_shape if batches else layout.spec.shape)
    itemsize, counts = layout.spec.dtype.itemsize, [len(batch.coords) for batch in batches]
    shares = [writing.share(batch.chunk_shape, batch.covered) for batch in batches] if device.gpu else []
    held = [share.held(n) for share, n in zip(shares, counts, strict=False)]
    verdict, why = gpu_encode(layout, chain)
    return WriteExplanation(
        device=device.name,
        value_shape=selection.shape,
        value_bytes=prod(selection.shape) * itemsize,
        chunks=sum(counts),
        batches=len(batches),
        write_behind_depth=writing.write_behind_depth(batches),
        gathered_bytes=sum(n * prod(batch.chunk_shape) * itemsize for n, batch in zip(counts, batches, strict=True)),
        whole_units=whole,
        partly_units=partly,
        locks=partly if target.safe else 0,
        bus_bytes=sum(n * share.cost.sent for share, n in zip(shares, counts, strict=False)),
        memory_limit=writing.limit if device.gpu else None,
        planned_bytes=max(held, default=0) if device.gpu else None,
        codecs=places(chain, device),
        gpu_encode=verdict,
        because=why,
    )
