"""gpuzarr as an implementation for iohub: `open_ome_zarr(path, implementation="gpuzarr")`.

iohub (https://github.com/czbiohub-sf/iohub, 0.3.11) reads and writes OME-Zarr plates and images through implementations
in its entry point group `iohub.zarr_implementations`; the contract is `iohub.core.protocol.ZarrImplementation`. Groups
are opened by zarr-python, as by iohub's implementation for TensorStore, since iohub itself works with them; arrays are
those of this library. iohub is not imported here.
"""

from __future__ import annotations

from gpuzarr.integrations.iohub.config import GpuZarrConfig
from gpuzarr.integrations.iohub.implementation import GpuZarrImplementation

__all__ = ["GpuZarrConfig", "GpuZarrImplementation"]
