"""Decode chunks in blocks on the GPU, of formats that compress each block by itself: all of a batch in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.formats.blocks import Blocks
from gpuzarr.gpu.algorithms import ZSTD
from gpuzarr.gpu.fallback import decode_on_host, faster_on_host, targets, with_host
from gpuzarr.gpu.frames import zstd_frames

# launch(codec, blocks, on_gpu, chunks, into, device): decode the chunks that the mask `on_gpu` has to their places in
# `into`.
Launch = Callable[[Any, Blocks, np.ndarray, EncodedBatch, EncodedBatch, Device], None]


def decode(
    codec: Any,
    inner: Algorithm | None,
    launch: Launch,
    copied: float,
    chunks: EncodedBatch,
    spec: BytesSpec,
    device: Device,
    into: EncodedBatch | None,
) -> EncodedBatch:
    """Decode chunks in blocks. `codec.blocks` finds the blocks, and `launch` decodes them, compressed by `inner`.

    `copied`: bytes that the GPU needs for each decoded byte besides nvCOMP's scratch.
    """
    nbytes = spec.nbytes or 0
    into = targets(chunks, nbytes, device, into)
    if not len(chunks):
        return into
    chunks = with_host(chunks, device)
    found = codec.blocks(chunks, nbytes)
    on_gpu = found.good & (nbytes > 0)
    if inner is ZSTD and chunks.host is not None:
        bad = ~zstd_frames(chunks.host, found.source, found.size, found.nbytes)
        on_gpu[found.chunk[bad]] = False
    if inner is not None and len(found.chunk):
        some = np.flatnonzero(on_gpu)
        each = np.full(len(some), nbytes)
        largest = np.full(len(some), int(found.nbytes.max()))
        on_gpu[some[faster_on_host(inner, each, largest, each, copied, device)]] = False
    launch(codec, found, on_gpu, chunks, into, device)
    decode_on_host(codec, chunks, np.flatnonzero(~on_gpu), spec, device, into)
    return into
