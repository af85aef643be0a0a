"""What would make reads of an array faster, by how it is stored and what limited the reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from gpuzarr.nodes.array import Array
from gpuzarr.read.explain import Explanation
from gpuzarr.tools.bench_report import Timing

SMALL_CHUNK_BYTES = 64 << 10  # decoded: below, what is done for each chunk counts more than its bytes
SMALL_OBJECT_BYTES = 256 << 10  # stored: below, opening a file or asking a server counts more than its bytes
MANY_OBJECTS = 1000
LITTLE_SAVED = 1.1  # decoded by stored bytes
MUCH_WASTED = 2.0  # decoded bytes by those that are wanted

LIMITS = {
    "storage": "reading bytes from the store is what limits it: a faster disk or network, or more compression, helps",
    "copy": "copying to the GPU is what limits it: codecs that the GPU decodes make the copies smaller",
    "decode": "decoding is what limits it: faster codecs, such as zstd with a low level or lz4, or none, help",
    "place": "copying decoded chunks to their places is what limits it: chunks longer along the last axis help",
}


def advice(array: Array, plan: Explanation, read: dict[str, Any], timings: Sequence[Timing]) -> Iterator[str]:
    """Sentences. `read`: what `last_read.asdict()` says of a read by the plan."""
    if read["limited_by"] in LIMITS:
        yield LIMITS[read["limited_by"]]
    yield from _of_chunks(array, plan)
    yield from _of_codecs(plan, read)
    first = timings[0].seconds
    for other in timings[1:]:
        if first and other.seconds and other.seconds * 1.1 < first:
            yield f"{other.name} is {first / other.seconds:.1f} times as fast here as {timings[0].name}"


def _of_chunks(array: Array, plan: Explanation) -> Iterator[str]:
    size = prod(array.layout.first_chunk_shape) * array.dtype.itemsize
    if size < min(SMALL_CHUNK_BYTES, array.nbytes):
        yield f"chunks of {size:,} bytes are small: what is done for each costs more than its bytes; take 1 MiB or more"
    if plan.decoded_bytes > MUCH_WASTED * max(plan.result_bytes, 1):
        times = plan.decoded_bytes / max(plan.result_bytes, 1)
        yield f"{times:.1f} times as much is decoded as is wanted: the selection cuts through chunks {array.chunks}"


def _of_codecs(plan: Explanation, read: dict[str, Any]) -> Iterator[str]:
    chunks, stored = plan.chunks, read["stored_bytes"]
    if read["requests"] and read["requests"] > MANY_OBJECTS and stored / read["requests"] < SMALL_OBJECT_BYTES:
        yield f"{read['requests']:,} requests of {stored // read['requests']:,} bytes each are many: shards join chunks"
    if stored and chunks and plan.decoded_bytes < LITTLE_SAVED * stored and read["codecs"]:
        saved = max(1 - stored / plan.decoded_bytes, 0)
        names = [name for name, _ in read["codecs"] if name not in ("bytes", "sharding_indexed")]
        if names:
            yield f"{', '.join(names)} saves {saved:.0%} of the bytes: without compression reads only copy"
    if plan.gpu_decode != "yes":
        yield f"a GPU decodes these chunks: {plan.gpu_decode}, because {plan.because}"
    for reason, count in read["host_reasons"].items():
        yield f"the CPU decoded {count:,} of {read['chunks']:,} chunks for the GPU: {reason}"
