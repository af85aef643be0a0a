"""Whether chunks come from files to a GPU by GPUDirect Storage (GDS) or by POSIX reads, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.errors import DeviceError
from gpuzarr.stores.contract import Store

if TYPE_CHECKING:
    from gpuzarr.read.strategy import Options


def choose(store: Store, device: Device, chains: Sequence[Chain], options: Options) -> tuple[bool, str]:
    """Whether by GDS, and that in words. DeviceError where it was asked for and cannot be."""
    if not device.gpu or options.io == "posix":
        return _posix("posix was asked for" if device.gpu else "into host memory", options, device)
    for chain in chains:
        crossing, why = chain.host_steps
        if crossing < len(chain.steps):
            return _posix(f"the host decodes some of it ({why})", options, device)
        if options.io == "auto" and (headers := [s.name for s in chain.steps if s.reads_headers]):
            return _posix(f"the host looks at the frames of {headers[-1]}", options, device)
    if why_not_gds := store.why_not_to_device():
        return _posix(why_not_gds, options, device)
    return True, "GDS"


def _posix(why: str, options: Options, device: Device) -> tuple[bool, str]:
    if options.io == "gds":
        raise DeviceError(f"no GDS on {device.name}: {why}")
    return False, f"POSIX: {why}"
