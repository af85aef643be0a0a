"""Rows of gpu_kernels: streams of blosclz, decoded and encoded by our kernels, a warp each."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs.blosc import Blosc
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.gpu import blosclz
from gpuzarr.gpu.compact import in_slots
from gpuzarr.gpu.tables import addresses

STREAM = 16 << 10  # decoded bytes
MANY = 4096  # streams, if so many are asked for
FEW = 32  # different streams among them
_FRAME = 24  # bytes of a frame of one block before its stream


def plain(seed: int) -> np.ndarray:
    """Upper bytes of numbers that change slowly, with some noise: most of it are repeats of 3 to 30 bytes."""
    rng = np.random.default_rng(seed)
    return (np.cumsum(rng.integers(-40, 41, STREAM)) >> 8).astype(np.uint8)


def streams(clock: Any, nbytes: int) -> dict[str, list[float]]:
    """GB/s of decoded bytes, of each run, for a batch of streams. What was made is compared first."""
    device, count = clock.device, max(1, min(MANY, nbytes // STREAM))
    which, sizes = np.arange(count) % FEW, np.full(count, STREAM)
    data = np.stack([plain(seed) for seed in range(FEW)])
    frames = _frames(data)
    source, target = device.upload(frames.data), device.encoded_batch(sizes)
    stored = frames.starts[which] + _FRAME, frames.sizes[which] - _FRAME
    from_stored = np.uint64(device.address(source)) + stored[0].astype(np.uint64), stored[1]
    decode = partial(_decode, streams=from_stored, target=target)
    decode(device)
    _compare(device, target, data[which])

    slots, where = in_slots(count, STREAM, device)
    encode = partial(blosclz.encode, sources=addresses(target, device), nbytes=sizes, slots=where)
    made = device.download(encode(device)).astype(np.int64)
    again = device.encoded_batch(sizes)
    _decode(device, (where, made), again)
    _compare(device, again, data[which])
    rates = partial(clock.rates, count * STREAM)
    found = {"blosclz": rates(decode), "blosclz, encode": rates(encode)}
    del source, slots
    return found


def _frames(data: np.ndarray) -> EncodedBatch:
    """Each row as c-blosc stores it, in a frame of one stream."""
    rows = EncodedBatch(data.reshape(-1), np.arange(len(data)) * STREAM, np.full(len(data), STREAM))
    made = Blosc("blosclz", 5, 0, STREAM).encode(rows, BytesSpec(STREAM), CPU)
    if not isinstance(made, EncodedBatch) or made.sizes.max() >= STREAM:
        raise RuntimeError("c-blosc does not make the streams smaller")
    return made


def _decode(device: Device, streams: tuple[np.ndarray, np.ndarray], target: EncodedBatch) -> None:
    blosclz.decode(device, *streams, addresses(target, device), target.sizes, np.arange(len(target)))


def _compare(device: Device, target: EncodedBatch, wanted: np.ndarray) -> None:
    if complete := device.checked():
        complete()
    found = device.download(target.data)
    if not all(np.array_equal(found[s : s + STREAM], row) for s, row in zip(target.starts, wanted, strict=True)):
        raise RuntimeError("blosclz does not become what was stored")
