"""Load what the first read on a GPU would otherwise wait for."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.gpu.place import KERNELS

_CODECS: tuple[
    tuple[str, dict[str, Any]], ...
] = (  # v2 ids: between them every algorithm of nvCOMP and every kernel of ours that decodes
    ("zstd", {}),
    ("lz4", {}),
    ("zlib", {}),
    ("gzip", {}),
    ("blosc", {"cname": "lz4", "shuffle": 1, "typesize": 4}),
    ("blosc", {"cname": "zstd", "shuffle": 2, "typesize": 4}),
    ("shuffle", {"elementsize": 4}),
    ("crc32c", {}),
)
_SHAPE = (2, 4096)  # chunks and bytes


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
    values = (np.arange(prod(_SHAPE)) // 16 % 251).astype(np.uint8)
    plain = EncodedBatch(values, np.arange(_SHAPE[0]) * _SHAPE[1], np.full(_SHAPE[0], _SHAPE[1]))
    with chosen.on():
        for name, configuration in _CODECS:
            codec = find(name, configuration, 2)
            chunks = codec.encode(plain, BytesSpec(_SHAPE[1]), host)
            if chosen.gpu:
                chunks = EncodedBatch(chosen.upload(chunks.data), chunks.starts, chunks.sizes, chunks.data)
            codec.decode(chunks, BytesSpec(_SHAPE[1]), chosen)
            if complete := chosen.checked():
                complete()
        if chosen.gpu:
            for file, name in KERNELS:
                chosen.kernel(file, name)
