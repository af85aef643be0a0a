"""What a read would do, in words for people and as a dict for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.indexing.flip import ascending, descending
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read import strategy
from gpuzarr.read.fetch import Source
from gpuzarr.read.strategy import Options, places


@dataclass(frozen=True)
class Explanation:
    """The plan of a read. Bytes are of decoded chunks; `codecs` are in the order in which they decode."""

    device: str
    result_shape: tuple[int, ...]
    work: str  # "chunk by chunk" or "batch by batch"
    chunks: int
    batches: int
    prefetch_depth: int  # that are loaded beside the one that is decoded
    decoded_bytes: int  # of all chunks touched
    result_bytes: int
    memory_limit: int  # bytes beyond the result
    planned_bytes: int  # the most that the batches are expected to hold; more than the limit where one chunk needs it
    io: str  # how bytes come from the store, and why
    codecs: tuple[tuple[str, str], ...]  # name, and "host" or the device's name
    gpu_decode: str  # "yes", "partly" or "no": how much of the chain a GPU decodes
    because: str  # why not all of it; "" where it does

    def asdict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        steps = ", ".join(f"{name} on {where}" for name, where in self.codecs)
        reason = f", because {self.because}" if self.because else ""
        how = self.work if self.work == "chunk by chunk" else f"in {self.batches} batches"
        return (
            f"read {self.result_shape} from {self.chunks} chunks {how} on {self.device}, {self.io}\n"
            f"decode {self.decoded_bytes} bytes for {self.result_bytes} wanted: {steps}\n"
            f"hold at most {self.planned_bytes} bytes beyond the result (limit {self.memory_limit})\n"
            f"GPU decode: {self.gpu_decode}{reason}"
        )


def gpu_decode(layout: Layout, chain: Chain | None = None) -> tuple[str, str]:
    """Whether a GPU decodes the chunks: "yes", "partly" or "no", and why."""
    if not fits_gpu(layout.spec.dtype):
        return "no", f"CuPy has no dtype {layout.spec.dtype}"
    crossing, why = (chain or layout.chain(layout.spec.shape)).host_steps
    return ("yes", "") if why is None else ("partly" if crossing > 1 else "no", why)


def explain(source: Source, selection: Outer | Points, device: Device, options: Options) -> Explanation:
    """What `read` would do. No chunk is read, at most indexes of shards and the sizes of some files."""
    is_flipped = isinstance(selection, Outer) and any(map(descending, selection.axes))
    plan = strategy.choose(source, ascending(selection), not is_flipped, device, options)
    itemsize = source.layout.spec.dtype.itemsize
    verdict, why = gpu_decode(source.layout, plan.chain)
    return Explanation(
        device=device.name,
        result_shape=selection.shape,
        work=plan.kind,
        chunks=plan.chunks,
        batches=plan.count,
        prefetch_depth=plan.prefetch_depth,
        decoded_bytes=plan.decoded_elements * itemsize,
        result_bytes=prod(selection.shape) * itemsize,
        memory_limit=plan.limit,
        planned_bytes=plan.planned_bytes(device),
        io=plan.io,
        codecs=places(plan.chain, device) if plan.chain else (),
        gpu_decode=verdict,
        because=why,
    )
