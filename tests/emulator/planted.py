"""Faults that the sanitizer must find, each in a process of its own: prints "NAME: status, what was said".

python -m tests.emulator.planted FOLDER   (in a process that has the sanitizer)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.emulator import Emulated, compiled

TEXT = """
#include "common.cuh"
extern "C" __global__ void right_(const u8* in, u32 n, u32* out) { if (threadIdx.x < n) out[0] = load4(in + n - 4); }
extern "C" __global__ void read_(const u8* in, u32 n, u32* out) { out[0] = in[n + 3]; }
extern "C" __global__ void write_(const u8* in, u32 n, u32* out) { out[1] = in[0]; }
extern "C" __global__ void shared_(const u8* in, u32 n, u32* out) {
    __shared__ u32 s[8];
    s[threadIdx.x + n - 9] = in[0];
    __syncthreads();
    out[0] = s[0];
}
extern "C" __global__ void local_(const u8* in, u32 n, u32* out) {
    volatile u32 s[8];
    s[n - 9 + threadIdx.x] = in[0];
    out[0] = s[0];
}
extern "C" __global__ void shift_(const u8* in, u32 n, u32* out) { out[0] = 1u << (n + 19 + in[0]); }
extern "C" __global__ void freed_(const u8* in, u32 n, u32* out) { out[0] = in[0]; }
"""
FAULTS = ("read", "write", "shared", "local", "shift", "freed")


def launch(name: str) -> None:
    """Run a kernel with 13 bytes, which are 16 for it, to read, and 4 to write."""
    device = Emulated()
    read, write = device.upload(np.zeros(13, np.uint8)), device.empty(4).view(np.uint32)
    arguments: tuple[Any, ...] = (read, np.uint32(13), write)
    if name == "freed":
        there = read.ctypes.data
        del read, arguments
        stale = np.ctypeslib.as_array((np.ctypeslib.as_ctypes_type(np.uint8) * 13).from_address(there))
        arguments = (stale.view(type(write)), np.uint32(13), write)
    device.kernel("planted.cu", f"{name}_")((1,), (5,), arguments)


def told(name: str, folder: Path) -> str:
    """What a process that runs the kernel ends with, and says."""
    said = folder / f"{name}.txt"
    if not (child := os.fork()):
        os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY), 2)
        launch(name)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    lines = said.read_text(errors="replace").splitlines()
    error = next((line for line in lines if "ERROR: AddressSanitizer" in line or "runtime error" in line), "nothing")
    where = next((line for line in lines if "planted.cu:" in line), "")
    return f"{name}: {os.waitstatus_to_exitcode(status)}, {error} {where}"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for file in compiled.KERNELS.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "planted.cu").write_text(TEXT)
    compiled.KERNELS = folder
    Emulated().kernel("planted.cu", "right_")  # compiled once for all
    for name in ("right", *FAULTS):
        print(told(name, folder))
