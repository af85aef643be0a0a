"""A stub of CuPy over the emulator's arrays, and devices/cuda on it: its order of streams and events, without a GPU."""

import ctypes
import sys
import threading
import weakref
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from gpuzarr.devices import select
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cuda import device as module
from gpuzarr.devices.nvcomp import decompress as nvcomp
from tests.emulator.arrays import DeviceArray, Xp
from tests.emulator.library import Library


class FailedError(RuntimeError):
    """Stands for cupy.cuda.runtime.CUDARuntimeError."""


class LaunchError(RuntimeError):
    """Stands for cupy.cuda.driver.CUDADriverError."""


class Device:
    compute_capability = "90"

    def __init__(self, ordinal):
        self.id = ordinal

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        return False


class Event:
    name = ""

    def __init__(self, block=False):
        self.block = block

    def synchronize(self):
        """What is done is done."""


class Stream:
    ptr, capturing = 0, False

    def is_capturing(self):
        return self.capturing

    def __init__(self, xp, name="caller's"):
        self.waited, self.recorded, self.xp, self.name = [], 0, xp, name

    def __enter__(self):
        self.before, self.xp.stream = self.xp.stream, self
        return self

    def __exit__(self, *problem):
        self.xp.stream = self.before

    def wait_event(self, event):
        self.waited.append(event.name)

    def record(self, event=None):
        self.recorded += 1
        event = event or Event()
        event.name = f"{self.name} {self.recorded}"
        return event

    def synchronize(self):
        """What is done is done."""


class Runtime:
    """`current`: the GPU that is the current one."""

    CUDARuntimeError = FailedError
    current = 0

    def getDeviceCount(self):
        return 2

    def getDevice(self):
        return self.current

    def setDevice(self, ordinal):
        self.current = ordinal

    def memGetInfo(self):
        return 1 << 20, 1 << 22

    def memsetAsync(self, address, byte, nbytes, stream):
        ctypes.memset(address, byte, nbytes)


class Module:
    """Loads a "cubin" that is the name of a file with its width, and finds the emulator's kernels in it."""

    def load(self, cubin):
        self.file, width = cubin.decode().split(":")
        self.width = int(width) if width else None

    def get_function(self, name):
        from tests.emulator.compiled import Kernel

        return Kernel(self.file, name, 0, self.width)


class StubXp(Xp):
    __name__ = "cupy"

    def __init__(self):
        super().__init__()
        self._mine = threading.local()
        self.made, self.live, self.most, self.pinned, self.lock = [], 0, 0, 0, threading.Lock()
        self._callers = self.stream = Stream(self)
        self.cuda = SimpleNamespace(
            Device=Device,
            Event=Event,
            Stream=lambda non_blocking: Stream(self, "copying"),
            get_current_stream=lambda: self.stream,
            get_elapsed_time=lambda begin, end: 2.0,
            alloc_pinned_memory=bytearray,
            PinnedMemory=self.locked,
            PinnedMemoryPointer=lambda memory, offset: memory,
            function=SimpleNamespace(Module=Module),
            runtime=Runtime(),
            driver=SimpleNamespace(CUDADriverError=LaunchError),
        )
        self.freed = []
        pool = SimpleNamespace(free_all_blocks=lambda stream: self.freed.append(stream.name))
        pool.free_bytes = lambda: 1 << 10
        self.get_default_memory_pool = lambda: pool

    @property
    def stream(self):
        """The calling thread's current one."""
        return getattr(self._mine, "stream", None) or self._callers

    @stream.setter
    def stream(self, stream):
        self._mine.stream = stream

    def empty(self, shape, dtype):
        """Knows the stream whose memory it is, and the GPU; counts what lives, in CuPy's units of 512 bytes."""
        self.made.append((self.stream.name, self.cuda.runtime.current))
        memory = np.empty(shape, dtype)
        self._live(nbytes := -(-memory.nbytes // 512) * 512)
        weakref.finalize(memory, self._live, -nbytes).atexit = False
        return memory.view(DeviceArray)

    def _live(self, nbytes):
        with self.lock:
            self.live += nbytes
            self.most = max(self.most, self.live)

    def locked(self, nbytes):
        """Pinned memory, which lives as long as the process here."""
        self.pinned += nbytes
        return bytearray(nbytes)


@pytest.fixture
def stub(monkeypatch, gpu):
    """Cuda(0) on the stub."""
    if gpu.name != "emulated":
        pytest.skip("a real GPU is tested by the others")
    xp = StubXp()
    cupy = ModuleType("cupy")
    cupy.__getattr__ = lambda name: getattr(xp, name)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(module, "cubin", lambda file, arch, width: f"{file}:{width or ''}".encode())
    monkeypatch.setattr(nvcomp, "load", Library)
    monkeypatch.setattr(module.Cuda, "address", lambda self, data: data.ctypes.data)
    device = module.Cuda(0)
    device.stream = xp.stream
    device.cost = Costs(where="gpu")
    return device


@pytest.fixture
def cuda(stub, monkeypatch):
    """The stub as the GPUs that names mean."""
    made = {0: stub}
    monkeypatch.setattr(select, "why_not_cuda", lambda ordinal: None)
    monkeypatch.setattr(module, "cuda", lambda ordinal: made.setdefault(ordinal, None) or _made(made, ordinal))
    monkeypatch.setattr(select, "opened", [stub])
    return stub


def _made(made, ordinal):
    made[ordinal] = module.Cuda(ordinal)
    return made[ordinal]
