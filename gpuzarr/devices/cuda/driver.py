"""What the NVIDIA driver and the GPU are, for reports. Asking the driver needs no CuPy, and makes no context."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KERNEL_MODULE = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Driver:
    """`cuda`: the newest version of CUDA that the driver runs, (13, 0); None if there is no driver library.
    `module`: the version of the kernel module, such as "580.65.06"; None if it is not loaded."""

    cuda: tuple[int, int] | None
    module: str | None


@dataclass(frozen=True)
class Gpu:
    """A GPU, as CUDA tells it: bytes of memory, free and in all; `runtime`: the version of CUDA that CuPy uses."""

    name: str
    compute_capability: str
    free_bytes: int
    total_bytes: int
    runtime: tuple[int, int]


def driver() -> Driver:
    """Ask the driver."""
    return Driver(_cuda_version(), _module_version())


def _cuda_version() -> tuple[int, int] | None:
    version = ctypes.c_int()
    with suppress(OSError, AttributeError):
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version)) == 0:
            return _pair(version.value)
    return None


def _module_version() -> str | None:
    with suppress(OSError):
        found = re.search(r"Kernel Module(?: for \S+)?\s+(\d[\d.]*)", KERNEL_MODULE.read_text())
        return found[1] if found else "unknown"
    return None


def gpus() -> list[Gpu]:
    """All GPUs. It imports CuPy, and makes a CUDA context on each."""
    import cupy

    runtime = cupy.cuda.runtime
    found = []
    for ordinal in range(runtime.getDeviceCount()):
        with cupy.cuda.Device(ordinal) as gpu:
            free, total = runtime.memGetInfo()
            name = runtime.getDeviceProperties(ordinal)["name"].decode()
            capability = f"{gpu.compute_capability[:-1]}.{gpu.compute_capability[-1]}"
            found.append(Gpu(name, capability, free, total, _pair(runtime.runtimeGetVersion())))
    return found


def _pair(version: int) -> tuple[int, int]:
    """13020 is (13, 2)."""
    return version // 1000, version % 1000 // 10
