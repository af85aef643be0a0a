"""Rows of gpu_kernels: chunks of gdeflate, put together from pages that nvCOMP compressed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch, measured
from gpuzarr.codecs.gdeflate import Gdeflate
from gpuzarr.devices.cpu import CPU

CHUNK = 1 << 20  # decoded bytes
LEVEL = 1
FEW = 8  # chunks that are decoded by the CPU; all are alike


def chunks(clock: Any, nbytes: int) -> dict[str, list[float]]:
    """GB/s of stored bytes, of each run, for a batch of chunks. Some of what was made is decoded by the CPU first."""
    device, count, spec = clock.device, max(1, nbytes // CHUNK), BytesSpec(CHUNK)
    rng = np.random.default_rng(0)
    data = np.tile(np.cumsum(rng.integers(-9, 10, CHUNK // 2)).astype("<i2").view(np.uint8), count)
    batch = EncodedBatch(device.upload(data), np.arange(count) * CHUNK, np.full(count, CHUNK))
    codec = Gdeflate(LEVEL)
    made = measured(codec.encode(batch, spec, device), device)
    starts, sizes = made.starts[:FEW], made.sizes[:FEW]
    stored = EncodedBatch(device.download(made.data[: int((starts + sizes).max())]), starts, sizes)
    found = codec.decode(stored, spec, CPU)
    alike = all(np.array_equal(found[i], data[:CHUNK]) for i in range(len(stored)))
    if not alike or (made.sizes != sizes[0]).any():
        raise RuntimeError("gdeflate does not become what was stored")
    return {"gdeflate, encode": clock.rates(int(made.sizes.sum()), partial(codec.encode, batch, spec))}
