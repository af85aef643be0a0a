"""Decode chunks of HDF5's bitshuffle on the GPU: all blocks of a batch by one nvCOMP call, then one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.formats import hdf5_bitshuffle as chunk_format
from gpuzarr.gpu.algorithms import LZ4, ZSTD
from gpuzarr.gpu.fallback import decode_on_host, decode_scratch, faster_on_host, targets, with_host
from gpuzarr.gpu.frames import zstd_frames
from gpuzarr.gpu.shuffle import Blocks, bitunshuffle
from gpuzarr.gpu.tables import addresses, copy

MAX_ELEMENT_BYTES = 256  # of kernels/bitshuffle.cu
_ALGORITHMS = {"lz4": LZ4, "zstd": ZSTD}

# launch(codec, blocks, on_gpu, chunks, into, device): decode the chunks that the mask `on_gpu` has to their places in
# `into`.
Launch = Callable[[Any, chunk_format.Blocks, np.ndarray, EncodedBatch, EncodedBatch, Device], None]


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
    return decode_blocks(codec, algorithm(codec.cname), _launch, chunks, spec, device, into)


def decode_blocks(
    codec: Any,
    inner: Algorithm | None,
    launch: Launch,
    chunks: EncodedBatch,
    spec: BytesSpec,
    device: Device,
    into: EncodedBatch | None,
) -> EncodedBatch:
    """Decode chunks in blocks. `codec.blocks` finds the blocks, and `launch` decodes them, compressed by `inner`."""
    nbytes = spec.nbytes or 0
    into = targets(chunks, nbytes, device, into)
    if not len(chunks):
        return into
    chunks = with_host(chunks, device)
    blocks = codec.blocks(chunks, nbytes)
    on_gpu = blocks.good & (nbytes > 0)
    if inner is ZSTD and chunks.host is not None:
        bad = ~zstd_frames(chunks.host, blocks.source, blocks.size, blocks.nbytes)
        on_gpu[blocks.chunk[bad]] = False
    if inner is not None and len(blocks.chunk):
        some = np.flatnonzero(on_gpu)
        each = np.full(len(some), nbytes)
        largest = np.full(len(some), int(blocks.nbytes.max()))
        on_gpu[some[faster_on_host(inner, each, largest, each, 1.0, device)]] = False
    launch(codec, blocks, on_gpu, chunks, into, device)
    decode_on_host(codec, chunks, np.flatnonzero(~on_gpu), spec, device, into)
    return into


def _launch(
    codec: Any,
    blocks: chunk_format.Blocks,
    on_gpu: np.ndarray,
    chunks: EncodedBatch,
    into: EncodedBatch,
    device: Device,
) -> None:
    some, base = np.flatnonzero(on_gpu[blocks.chunk]), np.uint64(device.address(chunks.data))
    chunk, size, nbytes = blocks.chunk[some], blocks.size[some], blocks.nbytes[some]
    offset, source = blocks.target[some].astype(np.uint64), base + blocks.source[some].astype(np.uint64)
    ends, inner, stage = addresses(into, device), algorithm(codec.cname), None
    if inner is not None and len(some):
        stage = device.encoded_batch(np.where(on_gpu, into.sizes, 0))
        staged = addresses(stage, device)[chunk] + offset
        device.decompress(inner, source, size, staged, nbytes, chunk)
        source = staged
    count = len(some)
    widths, own = np.full(count, codec.elementsize), np.zeros(count, bool)
    bitunshuffle(device, Blocks(ends[chunk] + offset, nbytes, widths, np.arange(count), own, source))
    which = np.flatnonzero(on_gpu)
    rest = into.sizes[which] % (8 * codec.elementsize)
    if rest.any():
        behind = ends[which] + (into.sizes[which] - rest).astype(np.uint64)
        copy(device, base + blocks.rest[which].astype(np.uint64), behind, rest)
