"""Explain how a selection would be read: as text for people and as a dict for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any, cast

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.indexing.counts import sample, touched
from gpuzarr.indexing.flip import ascending, descending, with_ranges
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read import strategy
from gpuzarr.read.requests import OneSelection
from gpuzarr.read.source import Source
from gpuzarr.read.strategy import Options, places


@dataclass(frozen=True, repr=False)
class Explanation:
    """The plan of a read, made by `Array.explain`.

    Attributes
    ----------
    device
        The name of the device.
    result_shape, result_bytes
        The shape of the result, and its bytes.
    work
        "chunk by chunk" or "batch by batch".
    chunks, decoded_bytes
        The number of chunks that the selection touches, and the bytes of all of them, decoded.
    batches, prefetch_depth
        The number of batches, and how many are loaded while one is decoded. Where there are very
        many chunks the number of batches is an estimate.
    memory_limit, planned_bytes
        Bytes beyond the result: the limit, and the most that the read is expected to hold. (A chunk that needs more
        than the limit is read alone.)
    io
        How bytes come from the store, and why.
    codecs
        The name of each codec and where it decodes ("cpu", or the name of the device), in the order of decoding.
    gpu_decode, because
        How much of the codec chain a GPU decodes, "yes", "partly" or "no"; and why not all of it, or "".

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(8, dtype="uint8"), chunks=4, compressors="zstd")
    >>> a.explain(slice(2)).asdict()["codecs"]
    (('zstd', 'cpu'), ('bytes', 'cpu'))
    """

    device: str
    result_shape: tuple[int, ...]
    work: str
    chunks: int
    batches: int
    prefetch_depth: int
    decoded_bytes: int
    result_bytes: int
    memory_limit: int
    planned_bytes: int
    io: str
    codecs: tuple[tuple[str, str], ...]
    gpu_decode: str
    because: str

    def asdict(self) -> dict[str, Any]:
        """The attributes by their names."""
        return asdict(self)

    def __str__(self) -> str:
        steps, how, reason = phrases(self)
        return (
            f"read {self.result_shape} from {self.chunks} chunks {how} on {self.device}, {self.io}\n"
            f"decode {self.decoded_bytes} bytes for {self.result_bytes} wanted: {steps}\n"
            f"hold at most {self.planned_bytes} bytes beyond the result (limit {self.memory_limit})\n"
            f"GPU decode: {self.gpu_decode}{reason}"
        )

    __repr__ = __str__


def phrases(plan: Any) -> tuple[str, str, str]:
    """The words that an explanation of a read or a write has for its codecs, its kind of work, and `because`."""
    steps = ", ".join(f"{name} on {where}" for name, where in plan.codecs)
    how = f"in {plan.batches} batches" if plan.work == "batch by batch" else plan.work
    return steps, how, f", because {plan.because}" if plan.because else ""


def gpu_decode(layout: Layout, chain: Chain | None = None) -> tuple[str, str]:
    """Whether a GPU decodes the chunks: "yes", "partly" or "no", and why."""
    return on_gpu(layout, (chain or layout.chain(layout.first_chunk_shape)).host_steps)


def on_gpu(layout: Layout, host_steps: tuple[int, str | None]) -> tuple[str, str]:
    """Whether a GPU does what a chain does: "yes", "partly" or "no", and why. `host_steps`: as a chain says."""
    if not fits_gpu(layout.spec.dtype):
        return "no", f"CuPy has no dtype {layout.spec.dtype}"
    crossing, why = host_steps
    return ("yes", "") if why is None else ("partly" if crossing > 1 else "no", why)


def explain(source: Source, selection: Outer | Points, device: Device, options: Options) -> Explanation:
    """What `read` would do. No chunk is read, at most indexes of shards and the sizes of some files."""
    selection = with_ranges(selection)
    is_flipped = isinstance(selection, Outer) and any(map(descending, selection.axes))
    layout, whole = source.layout, ascending(selection)
    part = sample(whole, layout.axes, layout.shard_chunks(device))
    share = OneSelection(source, whole if part is None else part, is_contiguous=not is_flipped)
    plan = strategy.choose([share], device, options)[0]
    chunks, batches, elements = plan.chunks, plan.count, plan.decoded_elements
    if part is not None:
        found = touched(cast(Outer, whole), layout.axes)
        chunks, elements, batches = found.chunks, found.elements, -(-batches * found.chunks // chunks)
    itemsize = layout.spec.dtype.itemsize
    verdict, why = gpu_decode(source.layout, plan.chain)
    return Explanation(
        device=device.name,
        result_shape=selection.shape,
        work=plan.kind,
        chunks=chunks,
        batches=batches,
        prefetch_depth=plan.overlap.prefetch_depth,
        decoded_bytes=elements * itemsize,
        result_bytes=prod(selection.shape) * itemsize,
        memory_limit=plan.limit,
        planned_bytes=plan.planned_bytes(device),
        io=plan.io,
        codecs=places(plan.chain, device) if plan.chain else (),
        gpu_decode=verdict,
        because=why,
    )
