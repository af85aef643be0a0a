"""The binding of nvCOMP: what the real library answers without a GPU; batches on every device that has kernels."""

import ctypes
import zlib

import numpy as np
import pytest
from numcodecs import zstd

from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import CodecError, DeviceError
from gpuzarr.gpu.algorithms import ALGORITHMS
from gpuzarr.gpu.fallback import decode_scratch
from tests.hardware import complete

FORMATS = sorted(ALGORITHMS)


@pytest.fixture(scope="module")
def library():
    try:
        return nvcomp.load()
    except DeviceError as error:
        pytest.skip(str(error))


def test_struct_sizes():
    sizes = [ctypes.sizeof(s) for s in (nvcomp.Options, nvcomp.Alignments, nvcomp.Properties)]
    assert sizes == [64, 24, 8]


@pytest.mark.parametrize("form", FORMATS)
def test_alignments_are_those_that_the_code_relies_on(library, form):
    need = {"deflate": (4, 1, 1), "gdeflate": (4, 1, 1), "zstd": (1, 1, 8)}.get(form, (1, 1, 1))
    found = nvcomp.alignments(library, ALGORITHMS[form], nvcomp.options())
    assert (found.source, found.target, found.scratch) == need


@pytest.mark.parametrize("form", FORMATS)
def test_scratch_query(library, form):
    scratch = nvcomp.scratch_bytes(library, ALGORITHMS[form], np.array([1 << 20, 1 << 16]), nvcomp.options(), 0)
    assert (scratch > 3 * (1 << 20)) if form == "zstd" else scratch < 1 << 20


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("nbytes", [1, 4096, 65536, 100_000, 1 << 20, 1 << 24])
def test_batches_of_a_read_know_what_scratch_is_asked_for(library, form, nbytes):
    for count in (1, 64, 4096):
        asked = nvcomp.scratch_bytes(library, ALGORITHMS[form], np.full(count, nbytes), nvcomp.options(), 0)
        planned = count * decode_scratch(ALGORITHMS[form], nbytes)
        assert asked <= planned


@pytest.mark.parametrize("form", FORMATS)
def test_null_arguments_are_refused_and_not_followed(library, form):
    call = nvcomp.function(library, ALGORITHMS[form], "Async")
    assert call(None, None, None, None, 1, None, 0, None, nvcomp.options(), None, None) == 10  # nvcompErrorInvalidValue


def test_another_version_is_refused(monkeypatch):
    class Old:
        def nvcompGetProperties(self, answer):
            answer._obj.version = 5100
            return 0

    monkeypatch.setattr(nvcomp, "_open", Old)
    nvcomp.load.cache_clear()
    with pytest.raises(DeviceError, match=r"nvCOMP 6\.0 is needed, found version number 5100: pip install"):
        nvcomp.load()
    nvcomp.load.cache_clear()


def batch(gpu, streams, nbytes, spoil=()):
    """Decode streams of one algorithm; what was decoded."""
    source = gpu.encoded_batch(np.array([len(s) for s in streams], np.int64))
    data = np.zeros(len(source.data), np.uint8)
    for start, stream in zip(source.starts, streams, strict=True):
        data[start : start + len(stream)] = np.frombuffer(stream, np.uint8)
    for i in spoil:
        data[source.starts[i] + source.sizes[i] // 2 :][:8] ^= 0x5A
    there, target = gpu.upload(data), gpu.encoded_batch(np.full(len(streams), nbytes, np.int64))
    base, end = gpu.address(there), gpu.address(target.data)
    sources, targets = (base + source.starts).astype(np.uint64), (end + target.starts).astype(np.uint64)
    return sources, source.sizes, targets, target.sizes, target, there


@pytest.fixture
def zstd_streams():
    rng = np.random.default_rng(0)
    chunks = [rng.integers(0, 9, 5000, dtype=np.uint8).tobytes() for _ in range(9)]
    return chunks, [zstd.compress(c, 3) for c in chunks]


@pytest.mark.parametrize("free", [1 << 30, 120_000])
def test_a_batch(gpu, zstd_streams, monkeypatch, free):
    monkeypatch.setattr(type(gpu), "free_bytes", free)  # the second: in parts
    chunks, streams = zstd_streams
    *columns, target, _kept = batch(gpu, streams, 5000)
    gpu.decompress(ALGORITHMS["zstd"], *columns, np.arange(9))
    complete(gpu)
    out = gpu.download(target.data)
    assert [out[s : s + 5000].tobytes() for s in target.starts] == chunks


@pytest.mark.damaging
@pytest.mark.parametrize("free", [1 << 30, 120_000])
def test_the_first_bad_stream_names_its_chunk(gpu, zstd_streams, monkeypatch, free):
    monkeypatch.setattr(type(gpu), "free_bytes", free)
    *columns, _target, _kept = batch(gpu, zstd_streams[1], 5000)
    columns[3] = columns[3] + np.where(np.isin(np.arange(9), [5, 7]), 1, 0)  # a size that is not met
    gpu.decompress(ALGORITHMS["zstd"], *columns, np.arange(9) * 10)
    with pytest.raises(CodecError, match="nvCOMP zstd") as caught:
        complete(gpu)
    assert caught.value.index == 50
    complete(gpu)  # it was told once


def scratch_of(sizes):
    """About what nvCOMP asks for zstd."""
    return 3 * int(sizes.sum())


def test_a_batch_is_divided_only_where_memory_ends():
    """Parts run one after another, and each takes as long as its longest stream."""
    sizes = np.full(1024, 1 << 20)
    parts, nbytes = nvcomp.divided(scratch_of, sizes, lambda: 8 << 30)
    assert parts == [(slice(0, 1024), 3 << 30)] and nbytes == 3 << 30
    parts, nbytes = nvcomp.divided(scratch_of, sizes, lambda: (3 << 30) - 1)
    assert parts == [(slice(0, 512), 3 << 29), (slice(512, 1024), 3 << 29)] and nbytes == 3 << 29
    parts, nbytes = nvcomp.divided(scratch_of, sizes[:3], lambda: 0)
    assert [part for part, _ in parts] == [slice(0, 1), slice(1, 2), slice(2, 3)] and nbytes == 3 << 20


def test_the_limit_is_asked_for_only_where_scratch_is_needed():
    """CUDA's answer takes longer than a launch."""
    parts = [nvcomp.divided(lambda sizes: 0, np.ones(count, int), pytest.fail) for count in (0, 5)]
    assert parts == [([], 0), ([(slice(0, 5), 0)], 0)]


def test_a_half_that_needs_as_much_is_no_help():
    assert nvcomp.divided(lambda sizes: 1000, np.ones(8, int), lambda: 10) == ([(slice(0, 8), 1000)], 1000)


def test_an_empty_batch_is_nothing(gpu):
    none = np.zeros(0, np.uint64)
    gpu.decompress(ALGORITHMS["lz4"], none, none, none, none, none)
    complete(gpu)


def test_deflate_wants_aligned_streams(gpu):
    stream = zlib.compress(b"abc")
    *columns, _target, _kept = batch(gpu, [stream], 3)
    columns[0] = columns[0] + np.uint64(2)
    with pytest.raises(DeviceError, match="multiples of 4"):
        gpu.decompress(ALGORITHMS["deflate"], *columns, np.zeros(1, np.int64))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "cuda:-1"])
def test_unknown_names_of_devices(name):
    with pytest.raises(DeviceError, match="no device"):
        device_of(name)


def test_names_of_devices():
    assert device_of("cpu") is device_of("cpu") and device_of("cpu").name == "cpu"
    assert device_of("auto").name in ("cpu", "cuda:0")
    assert device_of(device_of("cpu")) is device_of("cpu")
