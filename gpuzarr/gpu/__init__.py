"""The GPU side of codecs: parse frames on the host, build tables of addresses, launch kernels and nvCOMP.

One file for each operation, as in kernels/. Nothing here waits for the device: errors that only the device detects are
registered by `device.check`. Chunks whose headers are damaged or unusual are decoded by the codec on the host
(`fallback.py`); so both devices give the same values and the same errors.

Each module is loaded when it is first used as an attribute of this package (PEP 562): a program that reads on a CPU
loads none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuzarr.gpu import (
        algorithms,
        append,
        blocks,
        blocks_encode,
        blosc,
        blosc_encode,
        blosc_streams,
        blosclz,
        cast,
        checksums,
        compress,
        containers,
        delta,
        empty,
        fallback,
        frames,
        gdeflate,
        hdf5_bitshuffle,
        lz4h5,
        nvcomp_streams,
        packbits,
        place,
        planes,
        programs,
        shuffle,
        tables,
    )

__all__ = [
    "algorithms",
    "append",
    "blocks",
    "blocks_encode",
    "blosc",
    "blosc_encode",
    "blosc_streams",
    "blosclz",
    "cast",
    "checksums",
    "compress",
    "containers",
    "delta",
    "empty",
    "fallback",
    "frames",
    "gdeflate",
    "hdf5_bitshuffle",
    "lz4h5",
    "nvcomp_streams",
    "packbits",
    "place",
    "planes",
    "programs",
    "shuffle",
    "tables",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gpuzarr.gpu' has no attribute {name!r}")
    return import_module(f"gpuzarr.gpu.{name}")
