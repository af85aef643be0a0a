"""devices/cuda.py on a stub of CuPy over the emulator's arrays. It runs without a GPU; a real one has the last word."""

import pickle
from types import SimpleNamespace

import numcodecs
import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, EncodedBatch, measured
from gpuzarr.codecs import find
from gpuzarr.devices import select as choose
from gpuzarr.devices.cuda import device as module
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.trace import BatchMemory, Trace
from gpuzarr.errors import CodecError, DeviceError
from tests.hardware import complete
from tests.stub_cuda import Event, FailedError, LaunchError


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

    stub.check(np.array([5, 6, 7]), "it is bad").set(np.full(1, 2, np.uint32))
    with pytest.raises(CodecError, match="it is bad") as caught:
        complete(stub)
    assert caught.value.index == 7

    def fail(batch):
        stub.check(np.arange(3), "of a batch that failed otherwise").set(np.full(1, 2, np.uint32))
        raise KeyError

    with pytest.raises(KeyError):
        stub.run(lambda batch: batch, fail, [1])
    complete(stub)


def test_flags_of_many_checks(gpu):
    """They lie side by side; one copy brings all of them to the host, or a few where there are hundreds."""
    flags = [gpu.check(np.arange(3) + 10 * i, f"check {i}") for i in range(300)]
    assert gpu.address(flags[1]) == gpu.address(flags[0]) + 4
    flags[290].set(np.full(1, 1, np.uint32))
    flags[200].set(np.full(1, 2, np.uint32))
    with pytest.raises(CodecError, match="check 200") as caught:
        complete(gpu)
    assert caught.value.index == 2002
    complete(gpu)  # it was told once


def test_flags_are_scratch_of_the_batch(gpu):
    before = gpu.held.total
    with gpu.current.use(memory := BatchMemory(Trace(), gpu.held)):
        gpu.check(np.arange(3), "it is bad")
        assert gpu.held.total == before + 512
        complete(gpu)
    memory.close()
    assert gpu.held.total == before


def test_memory_that_is_free(stub):
    """The GPU's, and what CuPy's pool keeps."""
    assert stub.free_bytes == (1 << 20) + (1 << 10)


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
def test_a_gpu_that_stopped_between_batches(stub, kind):
    """What a batch has damaged may be noticed by any call of a later one."""

    def launch(batch):
        if batch == 2:
            raise kind("an illegal memory access was encountered")

    with pytest.raises(DeviceError, match="cuda:0 stopped"):
        stub.run(lambda batch: batch, launch, [1, 2, 3])


def test_a_capture_by_another_thread_is_named(stub):
    """CUDA then refuses calls of all threads; the GPU has not stopped."""

    def launch(batch):
        error = FailedError("cudaErrorStreamCaptureImplicit: operation would make the legacy stream depend on it")
        error.status = 906
        raise error

    with pytest.raises(DeviceError, match=r"cuda:0 refused a call .*Implicit.* before or after that"):
        stub.run(lambda batch: batch, launch, [1])


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
