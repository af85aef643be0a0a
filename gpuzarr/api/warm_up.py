"""Load what the first read on a GPU would otherwise wait for."""

from __future__ import annotations

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import warm_up_examples
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.gpu import delta, packbits, place

_CHUNKS, _NBYTES = 2, 4096  # of the batch that is decoded


def warmup(device: str | Device = "auto") -> None:
    """Load and compile what the first read would otherwise wait for: kernels, nvCOMP's modules, codec libraries.

    A tiny batch is decoded by each codec that runs on the device. Without this call the first read does the same for
    the codecs that it meets, which takes seconds on a GPU whose kernels were never compiled.

    Parameters
    ----------
    device
        As for `open`.

    Raises
    ------
    DeviceError
        The device does not exist, or a package that it needs is missing.

    Examples
    --------
    >>> gpuzarr.warmup("cpu")
    """
    chosen = device_of(device)
    host = device_of("cpu")
    values = (np.arange(_CHUNKS * _NBYTES) // 16 % 251).astype(np.uint8)
    plain, spec = EncodedBatch(values, np.arange(_CHUNKS) * _NBYTES, np.full(_CHUNKS, _NBYTES)), BytesSpec(_NBYTES)
    with chosen.on():
        for codec in warm_up_examples():
            chunks = codec.encode(plain, spec, host)
            if chosen.gpu:
                chunks = EncodedBatch(chosen.upload(chunks.data), chunks.starts, chunks.sizes, chunks.data)
            codec.decode(chunks, spec, chosen)
            if complete := chosen.checked():
                complete()
        if chosen.gpu:
            for file, name, width in (*place.KERNELS, *delta.KERNELS, *packbits.KERNELS):
                chosen.kernel(file, name, width)
