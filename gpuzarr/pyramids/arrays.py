"""Downsample arrays wherever they are: on a GPU, in host memory, in a store."""

from __future__ import annotations

from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.nodes.inputs import cuda_ordinal, on_device
from gpuzarr.pyramids.downsample import downsample


def downsampled(values: Any, factors: Any, method: str, background: Any) -> Any:
    """Downsample values on the device that has them; those of a stored array on the device that it decodes on."""
    device = _device(values)
    with device.on():
        found = on_device(values, device)
        steps = (factors,) * found.ndim if hasattr(factors, "__index__") else factors
        return downsample(found, steps, method, device, background)


def _device(values: Any) -> Device:
    if hasattr(values, "read_elements"):  # a stored array
        return device_of(values.device)
    ordinal = cuda_ordinal(values)
    return device_of("cpu" if ordinal is None else f"cuda:{ordinal}")
