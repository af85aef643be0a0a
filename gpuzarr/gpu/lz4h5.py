"""Decode chunks of HDF5's lz4 on the GPU: all compressed blocks of a batch in one nvCOMP call; copy the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.formats.blocks import Blocks
from gpuzarr.gpu import blocks
from gpuzarr.gpu.algorithms import LZ4
from gpuzarr.gpu.fallback import decode_scratch
from gpuzarr.gpu.tables import addresses, copy


def decode_scratch_bytes(nbytes: int) -> int:
    """See `codecs.contract.KnowsDecodeScratch`: a chunk, and tables."""
    return nbytes + nbytes // 32 + decode_scratch(LZ4, nbytes)


def decode(
    codec: Any, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None
) -> EncodedBatch:
    """Decode a batch whose decoded size `spec.nbytes` is known. Unsound chunks are left to `codec` on the host."""
    return blocks.decode(codec, LZ4, _launch, 0.0, chunks, spec, device, into)


def _launch(
    codec: Any, found: Blocks, on_gpu: np.ndarray, chunks: EncodedBatch, into: EncodedBatch, device: Device
) -> None:
    sources = np.uint64(device.address(chunks.data)) + found.source.astype(np.uint64)
    places = addresses(into, device)[found.chunk] + found.target.astype(np.uint64)
    here, is_raw = on_gpu[found.chunk], found.size == found.nbytes
    packed, raw = np.flatnonzero(here & ~is_raw), np.flatnonzero(here & is_raw)
    if len(packed):
        chunk, size, nbytes = found.chunk[packed], found.size[packed], found.nbytes[packed]
        device.decompress(LZ4, sources[packed], size, places[packed], nbytes, chunk)
    copy(device, sources[raw], places[raw], found.nbytes[raw])
