"""Decode chunks of HDF5's bitshuffle on the GPU: all blocks of a batch by one nvCOMP call, then one kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.formats.blocks import Blocks
from gpuzarr.gpu import blocks, shuffle
from gpuzarr.gpu.algorithms import LZ4, ZSTD
from gpuzarr.gpu.fallback import decode_scratch
from gpuzarr.gpu.tables import addresses, copy

MAX_ELEMENT_BYTES = 256  # of kernels/bitshuffle.cu
_ALGORITHMS = {"lz4": LZ4, "zstd": ZSTD}


def algorithm(cname: str) -> Algorithm | None:
    return _ALGORITHMS.get(cname)


def decode_scratch_bytes(cname: str, nbytes: int) -> int:
    """See `codecs.contract.KnowsDecodeScratch`: a chunk, a stage that blocks are unshuffled from, and tables."""
    inner = algorithm(cname)
    return 2 * nbytes + nbytes // 32 + (0 if inner is None else decode_scratch(inner, nbytes))


def decode(
    codec: Any, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None
) -> EncodedBatch:
    """Decode a batch whose decoded size `spec.nbytes` is known. Unsound chunks are left to `codec` on the host."""
    return blocks.decode(codec, algorithm(codec.cname), _launch, 1.0, chunks, spec, device, into)


def _launch(
    codec: Any,
    found: Blocks,
    on_gpu: np.ndarray,
    chunks: EncodedBatch,
    into: EncodedBatch,
    device: Device,
) -> None:
    some, base = np.flatnonzero(on_gpu[found.chunk]), np.uint64(device.address(chunks.data))
    chunk, size, nbytes = found.chunk[some], found.size[some], found.nbytes[some]
    offset, source = found.target[some].astype(np.uint64), base + found.source[some].astype(np.uint64)
    ends, inner, stage = addresses(into, device), algorithm(codec.cname), None
    if inner is not None and len(some):
        stage = device.encoded_batch(np.where(on_gpu, into.sizes, 0))
        staged = addresses(stage, device)[chunk] + offset
        device.decompress(inner, source, size, staged, nbytes, chunk)
        source = staged
    count = len(some)
    widths, own = np.full(count, codec.elementsize), np.zeros(count, bool)
    shuffle.bitunshuffle(device, shuffle.Blocks(ends[chunk] + offset, nbytes, widths, np.arange(count), own, source))
    which = np.flatnonzero(on_gpu)
    rest = into.sizes[which] % (8 * codec.elementsize)
    if rest.any():
        behind = ends[which] + (into.sizes[which] - rest).astype(np.uint64)
        copy(device, base + found.rest[which].astype(np.uint64), behind, rest)
