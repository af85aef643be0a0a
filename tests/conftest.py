"""The devices that tests run on: the CPU, a GPU if there is one, and one emulated by g++ and CPU codecs."""

import os

import numpy as np
import pytest

from gpuzarr.devices.cost import Costs
from gpuzarr.devices.select import device as device_of
from gpuzarr.devices.select import why_not_cuda
from tests.isolation import (  # noqa: F401 (hooks of pytest)
    pytest_configure,
    pytest_pyfunc_call,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
)


def _emulated(seed=0):
    from tests.emulator import Emulated
    from tests.emulator.compiled import compiler

    if not compiler():
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("the emulated GPU needs g++, which is not here")
    return Emulated(seed)


def _cuda():
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


def host_array(result):
    """What was read, as a NumPy array."""
    return result.get() if hasattr(result, "get") else np.asarray(result)


def examples(number):
    """How many a property is tried on: `number`, or fewer where a tool makes each of them slow."""
    return min(number, int(os.environ.get("GPUZARR_EXAMPLES", number)))


def complete(device):
    """Look at what the device has to tell of what was launched."""
    if look := device.checked():
        look()


@pytest.fixture(params=["cpu", "emulated", "cuda"])
def device(request):
    return {"cpu": lambda: device_of("cpu"), "emulated": _emulated, "cuda": _cuda}[request.param]()


@pytest.fixture(params=["emulated", "cuda"])
def gpu(request):
    """A device that runs kernels and nvCOMP."""
    return {"emulated": _emulated, "cuda": _cuda}[request.param]()


@pytest.fixture(params=["forward", "backward", "shuffled", "cuda"])
def threads(request):
    """A device that runs kernels, with its threads in three orders."""
    seeds = {"forward": 0, "backward": -1, "shuffled": 7}
    return _emulated(seeds[request.param]) if request.param in seeds else _cuda()
