"""Decode and encode streams of blosclz, the format of Blosc's own codec, by kernels of ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.gpu.algorithms import BLOSCLZ
from gpuzarr.gpu.tables import table

_WARP, _WARPS = 32, 2  # threads of a stream; streams of a block of threads


def decode(
    device: Device, sources: np.ndarray, sizes: np.ndarray, places: np.ndarray, nbytes: np.ndarray, chunk: np.ndarray
) -> None:
    """Decode streams, and register an error for those that c-blosc refuses. Arguments: see `Device.decompress`."""
    if not (count := len(sizes)):
        return
    device.current.count_streams(BLOSCLZ, count)
    flag = device.check(chunk, "blosclz: the stream is damaged, or does not decode to its expected size")
    streams = table(device, sources, sizes, places, nbytes)
    launch = device.kernel("blosclz.cu", "blosclz_decode")
    launch((-(-count // _WARPS),), (_WARP * _WARPS,), (streams, flag, np.uint32(count)))


def encode(device: Device, sources: np.ndarray, nbytes: np.ndarray, slots: np.ndarray) -> Any:
    """Encode streams to slots of as many bytes. Returns a device array, uint64: the bytes of each, 0 where they would
    not be fewer. Addresses are uint64, of the device."""
    count = len(nbytes)
    made = device.empty(8 * count).view(np.uint64)
    if count:
        device.current.count_streams(BLOSCLZ, count)
        streams = table(device, sources, nbytes, slots)
        launch = device.kernel("blosclz_write.cu", "blosclz_encode")
        launch((-(-count // _WARPS),), (_WARP * _WARPS,), (streams, made, np.uint32(count)))
    return made
