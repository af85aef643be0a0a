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
from gpuzarr.read import estimate as stored
from gpuzarr.read.read import Source
from gpuzarr.read.strategy import Options, plan
from gpuzarr.read.transport import choose


@dataclass(frozen=True)
class Explanation:
    """The plan of a read. Bytes are of decoded chunks; `codecs` are in the order in which they decode."""

    device: str
    result_shape: tuple[int, ...]
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
        return (
            f"read {self.result_shape} from {self.chunks} chunks in {self.batches} batches on {self.device}, "
            f"{self.io}\n"
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
    layout = source.layout
    sizes = stored.sizes(source.locator, source.store)
    turned = isinstance(selection, Outer) and any(map(descending, selection.axes))
    planned = plan(layout, ascending(selection), device, options, sizes, contiguous=not turned)
    batches, shares = planned.batches, list(planned.shares.values())
    itemsize = layout.spec.dtype.itemsize
    verdict, why = gpu_decode(layout, shares[0].chain if shares else None)
    return Explanation(
        device=device.name,
        result_shape=selection.shape,
        chunks=sum(len(batch.coords) for batch in batches),
        batches=len(batches),
        prefetch_depth=planned.prefetch_depth,
        decoded_bytes=sum(len(batch.coords) * prod(batch.chunk_shape) * itemsize for batch in batches),
        result_bytes=prod(selection.shape) * itemsize,
        memory_limit=planned.limit,
        planned_bytes=max((planned.held(batch, device) for batch in batches), default=0),
        io=choose(source.store, device, planned, options)[1],
        codecs=planned.codecs(device),
        gpu_decode=verdict,
        because=why,
    )
