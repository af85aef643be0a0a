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


def chunks(clock: Any, nbytes: int) -> dict[str, list[float]]:
    """GB/s of stored bytes, of each run, for a batch of chunks. What was made is decoded by the CPU first."""
    device, count, spec = clock.device, max(1, nbytes // CHUNK), BytesSpec(CHUNK)
    rng = np.random.default_rng(0)
    data = np.tile(np.cumsum(rng.integers(-9, 10, CHUNK // 2)).astype("<i2").view(np.uint8), count)
    batch = EncodedBatch(device.upload(data), np.arange(count) * CHUNK, np.full(count, CHUNK))
    codec = Gdeflate(LEVEL)
    made = measured(codec.encode(batch, spec, device), device)
    stored = EncodedBatch(device.download(made.data), made.starts, made.sizes)
    found = codec.decode(stored, spec, CPU)
    if not all(np.array_equal(found[i], data[i * CHUNK : (i + 1) * CHUNK]) for i in range(count)):
        raise RuntimeError("gdeflate does not become what was stored")
    return {"gdeflate, encode": clock.rates(int(made.sizes.sum()), partial(codec.encode, batch, spec))}
