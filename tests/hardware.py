"""The devices that tests run on, and what comes from them: the CPU, the emulated GPU, a GPU if there is one."""

import os

import numpy as np
import pytest

from gpuzarr.devices.cost import Costs
from gpuzarr.devices.select import device as device_of
from gpuzarr.devices.select import why_not_cuda


def emulated(seed=0):
    """A GPU emulated on the CPU, whose threads run forward (seed 0), backward (-1), or in an order of the seed."""
    from tests.emulator import Emulated
    from tests.emulator.compiled import compiler

    if not compiler():
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("the emulated GPU needs g++, which is not here")
    return Emulated(seed)


def cuda():
    """The first GPU, on which everything that a GPU can decode is decoded there."""
    if missing := why_not_cuda(0):
        pytest.skip(missing)
    device = device_of("cuda")
    if os.environ.get("GPUZARR_NO_POOL"):  # compute-sanitizer sees the bounds of CUDA's own allocations only
        device.xp.cuda.set_allocator(_allocated(device.xp.cuda))
    device.cost = Costs(where="gpu")  # which would leave to the host what is as small as most tests
    return device


def _allocated(cuda):
    """CUDA's own memory, in whole words: kernels read the 4 bytes around any byte that is theirs."""
    return lambda nbytes: cuda.MemoryPointer(cuda.Memory(-(-nbytes // 4) * 4), 0)


DEVICES = {"cpu": lambda: device_of("cpu"), "emulated": emulated, "cuda": cuda}


def host_array(result):
    """What was read, as a NumPy array."""
    return result.get() if hasattr(result, "get") else np.asarray(result)


def complete(device):
    """Look at what the device has to tell of what was launched."""
    if look := device.checked():
        look()


def on(device, values):
    """Values in the memory of a device."""
    return device.upload(values) if device.gpu else values


def held(device):
    """Bytes that the device thinks are held by reads."""
    return device.held.total
