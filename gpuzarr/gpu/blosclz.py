"""Decode streams of blosclz, the format of Blosc's own codec, by a kernel of ours (kernels/blosclz.cu)."""

from __future__ import annotations

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.gpu.algorithms import BLOSCLZ
from gpuzarr.gpu.tables import table

_WARP, _WARPS = 32, 2  # threads that decode a stream; streams of a block of threads


def decode(
    device: Device, sources: np.ndarray, sizes: np.ndarray, places: np.ndarray, nbytes: np.ndarray, chunk: np.ndarray
) -> None:
    """Decode streams, and register an error for those that c-blosc refuses. Arguments: see `Device.decompress`."""
    if not (count := len(sizes)):
        return
    device.current.count_streams(BLOSCLZ, count)
    flag = device.check(chunk, "blosclz: the stream is damaged, or does not decode to its expected size")
    launch = device.kernel("blosclz.cu", "blosclz_decode")
    streams = table(device, sources, sizes, places, nbytes)
    launch((-(-count // _WARPS),), (_WARP * _WARPS,), (streams, flag, np.uint32(count)))
