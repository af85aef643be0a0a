"""devices/cuda.py on a stub of CuPy over the emulator's arrays. It runs without a GPU; a real one has the last word."""

import pickle
import sys
import threading
import weakref
from types import ModuleType, SimpleNamespace

import numcodecs
import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, EncodedBatch, measured
from gpuzarr.codecs import find
from gpuzarr.devices import select as choose
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cuda import device as module
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.trace import BatchMemory, Trace
from gpuzarr.errors import CodecError, DeviceError
from tests.conftest import complete
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


class Module:
    """Loads a "cubin" that is the name of a file, and finds the emulator's kernels in it."""

    def load(self, cubin):
        self.file = cubin.decode()

    def get_function(self, name):
        from tests.emulator.compiled import Kernel

        return Kernel(self.file, name, 0)


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
    monkeypatch.setattr(module, "cubin", lambda file, arch: file.encode())
    monkeypatch.setattr(nvcomp, "load", Library)
    monkeypatch.setattr(module.Cuda, "address", lambda self, data: data.ctypes.data)
    device = module.Cuda(0)
    device.stream = xp.stream
    device.cost = Costs(where="gpu")
    return device


def test_a_batch_and_its_errors(stub):
    plain = [np.random.default_rng(i).integers(0, 5, 4000).astype("<f4") for i in range(4)]
    chunks = [np.frombuffer(bytes(numcodecs.Blosc("zstd").encode(p)), np.uint8) for p in plain]
    starts = np.arange(4) * 20000
    host = np.zeros(80000, np.uint8)
    for start, chunk in zip(starts, chunks, strict=True):
        host[start : start + len(chunk)] = chunk
    encoded = EncodedBatch(stub.upload(host), starts, np.array([len(c) for c in chunks]), host)
    codec = find("blosc", {}, 2)
    for _ in range(2):
        out = codec.decode(encoded, BytesSpec(16000), stub)
        complete(stub)
    for i in range(4):
        assert stub.download(out[i]).tobytes() == plain[i].tobytes()
    assert "caller's 1" in stub.stream.waited  # the second batch waits for the first

    bad = stub.upload(np.full(1, 2, np.int32))
    stub.check(bad, np.array([5, 6, 7]), "it is bad")
    with pytest.raises(CodecError, match="it is bad") as caught:
        complete(stub)
    assert caught.value.index == 7

    def fail(batch):
        stub.check(bad, np.arange(3), "of a batch that failed otherwise")
        raise KeyError

    with pytest.raises(KeyError):
        stub.run(lambda batch: batch, fail, [1])
    complete(stub)


def test_encoding(stub):
    plain = np.random.default_rng(0).integers(0, 5, (4, 1000)).astype("<f4")
    chunks = EncodedBatch(stub.upload(plain.reshape(-1).view(np.uint8)), np.arange(4) * 4000, np.full(4, 4000))
    for codec in (numcodecs.Zstd(), numcodecs.Zlib(), numcodecs.Blosc("lz4", shuffle=2)):
        ours = find(codec.codec_id, {"cname": "lz4"} if codec.codec_id == "blosc" else {}, 2)
        made = measured(ours.encode(chunks, BytesSpec(4000), stub), stub)
        data = stub.download(made.data)
        streams = [data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)]
        assert [bytes(codec.decode(stream)) for stream in streams] == [p.tobytes() for p in plain]
    assert len(stub.stream.waited) == 2  # each batch waits for the one before


def test_a_gpu_that_stopped(stub, monkeypatch):
    def fail(event):
        raise FailedError("an illegal memory access was encountered")

    monkeypatch.setattr(Event, "synchronize", fail)
    with pytest.raises(DeviceError, match="cuda:0 stopped"):
        stub.download(stub.empty(4))


@pytest.mark.parametrize("kind", [FailedError, LaunchError])
def test_a_gpu_that_stopped_between_waves(stub, kind):
    """What a batch has damaged may be noticed by any call of a later one."""

    def launch(batch):
        if batch == 2:
            raise kind("an illegal memory access was encountered")

    with pytest.raises(DeviceError, match="cuda:0 stopped"):
        stub.run(lambda batch: batch, launch, [1, 2, 3])


def test_what_a_graph_cannot_hold_is_refused_and_leaves_no_trace(stub):
    """An event of a captured stream would be waited for by every batch that follows."""
    stub.stream.capturing = True
    for use in (lambda: stub.run(lambda batch: batch, lambda batch: None, [1]), lambda: stub.upload(np.zeros(3))):
        with pytest.raises(DeviceError, match="captured into a CUDA graph"):
            use()
    stub.stream.capturing = False
    assert stub.stream.recorded == 0 and stub._launch_lock._last is None
    stub.run(lambda batch: batch, lambda batch: None, [1])


def test_an_array_of_another_gpu(stub, monkeypatch):
    monkeypatch.undo()
    array = SimpleNamespace(data=SimpleNamespace(ptr=4096, device_id=0))
    assert module.Cuda.address(stub, array) == 4096
    array.data.device_id = 1
    with pytest.raises(DeviceError, match="an array of cuda:1 cannot be used by cuda:0"):
        module.Cuda.address(stub, array)


def test_memory_of_the_copies_goes_back(stub):
    stub.release()
    assert stub.xp.freed == []
    stub._copying.synchronize()
    stub.release()
    assert stub.xp.freed == ["copying"]


def test_memory_that_is_asked_for_again_has_round_sizes(stub):
    """Batches differ a little; CuPy's pool would keep a block for each of them."""
    sizes = set()
    for nbytes in range(3_000_000, 3_100_000, 10_000):
        sizes.add(nvcomp._rounded_up(nbytes, 1 << 30))
        assert nbytes <= nvcomp._rounded_up(nbytes, nbytes + 5) <= nbytes + 5
    assert len(sizes) <= 2 and nvcomp._rounded_up(5000, 0) == 5000


def test_run_and_pickle(stub, monkeypatch):
    done = []
    stub.run(lambda batch: -batch, done.append, [1, 2, 3])
    assert done == [-1, -2, -3] and stub.threads == 1 and stub.gpu and repr(stub) == "Cuda(0)"
    for asked in (choose, module):
        monkeypatch.setattr(asked, "why_not_cuda", lambda ordinal: None)
    module.cuda.cache_clear()
    again = pickle.loads(pickle.dumps(stub))
    assert isinstance(again, module.Cuda) and again is choose.device("cuda") and again is choose.device("auto")
    module.cuda.cache_clear()


def test_what_is_missing_is_said():
    if (missing := choose.why_not_cuda(0)) is None:
        pytest.skip("a GPU is here")
    with pytest.raises(DeviceError) as caught:
        choose.device("cuda")
    assert missing in str(caught.value)


def test_what_is_fetched_does_not_fill_a_pool_that_lets_nothing_go(stub, monkeypatch):
    """CuPy's pool of pinned memory uses it again for the same size only."""
    sizes = []
    monkeypatch.setattr(
        stub.xp.cuda, "alloc_pinned_memory", lambda nbytes: (sizes.append(nbytes), bytearray(nbytes))[1]
    )
    for nbytes in (0, 1, 100, 4000, 5_000_000, 5_000_001):
        found = stub.download(stub.empty(nbytes))
        assert found.shape == (nbytes,)
    assert set(sizes) == {4096}
    with stub.current.use(BatchMemory(Trace(), stub.held, stub._pins.give)):
        for nbytes in (5_000_000, 5_000_001):
            assert len(stub.download(stub.empty(nbytes))) == nbytes
            stub.completed()
        assert stub._pins.kept_bytes < 6_000_000 and set(sizes) == {4096}  # the second used the memory of the first
