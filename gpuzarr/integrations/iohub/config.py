"""How iohub is to use this library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from gpuzarr.devices.contract import Device


def _blosc() -> dict[str, Any]:
    return {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 2, "blocksize": 0}


@dataclass(frozen=True)
class GpuZarrConfig:
    """Options for `open_ome_zarr(..., implementation="gpuzarr", implementation_config=GpuZarrConfig(...))`.

    Parameters
    ----------
    device, memory_limit, validate, io, cache, config
        As for `gpuzarr.open`. All arrays opened with one configuration share one cache.
    compressor
        The compressor of new arrays of OME-Zarr 0.4: a dict, or an object of `gpuzarr.codecs` or numcodecs. Default:
        that of iohub's other implementations, Blosc with bitshuffle and zstd at level 1. (For 0.5, iohub itself chooses
        the codecs.)

    Examples
    --------
    >>> from gpuzarr.integrations.iohub import GpuZarrConfig
    >>> GpuZarrConfig(device="cpu", memory_limit="512MiB").memory_limit
    '512MiB'
    """

    device: str | Device = "auto"
    memory_limit: int | str | None = None
    validate: Literal["auto", "host"] = "auto"
    io: Literal["auto", "gds", "posix"] = "auto"
    cache: Any = None
    config: dict[str, Any] | None = None
    compressor: Any = field(default_factory=_blosc)
