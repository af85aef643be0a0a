"""The binding of nvCOMP's compressors: what the real library answers without a GPU; batches on every device."""

import zlib
from functools import partial
from types import SimpleNamespace

import cramjam
import numcodecs
import numpy as np
import pytest

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu.gdeflate_library import decode_page
from gpuzarr.devices.nvcomp import compress as nvcomp_compress
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.trace import BatchMemory, Trace
from gpuzarr.errors import DeviceError
from gpuzarr.gpu.algorithms import ALGORITHMS
from gpuzarr.gpu.compress import effort
from gpuzarr.write.memory import write_cost
from tests.emulator.compressor import ALIGNMENTS, capacity

FORMATS = ("deflate", "gzip", "gdeflate", "lz4", "snappy", "zstd")


@pytest.fixture(scope="module")
def library():
    try:
        return nvcomp.load()
    except DeviceError as error:
        pytest.skip(str(error))


def scratch(library, form, sizes, effort):
    return nvcomp.scratch_bytes(library, form, sizes, nvcomp.Options(first=effort), 0, nvcomp_compress.DIRECTION)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("effort", [0, 2, 5])
def test_alignments_are_those_of_the_emulator(library, form, effort):
    need = ALGORITHMS[form]
    options = nvcomp.Options(first=effort if form in ("deflate", "gzip", "gdeflate") else 0)
    found = nvcomp.alignments(library, need, options, nvcomp_compress.DIRECTION)
    assert (found.source, found.target, found.scratch) == ALIGNMENTS[need.nvcomp_name]


@pytest.mark.parametrize("form", FORMATS)
def test_room(library, form):
    for nbytes in (1, 100, 65536, 1 << 20, nvcomp_compress.MAX_INPUT_BYTES):
        most = nvcomp_compress.capacity(library, ALGORITHMS[form], nbytes)
        assert nbytes < most <= capacity(ALGORITHMS[form].nvcomp_name, nbytes)
        assert most < 3 * nbytes + 80_000


def test_lz4_takes_no_more_than_we_say(library):
    with pytest.raises(DeviceError, match="status 18"):
        nvcomp_compress.capacity(library, ALGORITHMS["lz4"], nvcomp_compress.MAX_INPUT_BYTES + 1)


@pytest.mark.parametrize("form", ["deflate", "gzip", "lz4"])
def test_scratch_query(library, form):
    sizes = np.array([1 << 20, 1 << 16])
    assert 0 < scratch(library, ALGORITHMS[form], sizes, 0 if form == "lz4" else 1) < 64 << 20


def test_scratch_of_zstd_wants_a_gpu(library):
    try:
        assert scratch(library, ALGORITHMS["zstd"], np.array([1 << 16]), 0) > 0
    except DeviceError as error:
        assert "zstd" in str(error).lower() and "status 1000" in str(error)


@pytest.mark.parametrize("form", FORMATS)
def test_null_arguments_are_refused_and_not_followed(library, form):
    call = nvcomp.function(library, ALGORITHMS[form], "Async", "Compress")
    assert call(None, None, 100, 1, None, 0, None, None, nvcomp.Options(), None, None) == 10  # nvcompErrorInvalidValue


DECODERS = {
    "lz4": lambda s, n: bytes(cramjam.lz4.decompress_block(s, output_len=n)),
    "zstd": lambda s, n: bytes(numcodecs.zstd.decompress(s)),
    "deflate": lambda s, n: zlib.decompress(s, -15),
    "gzip": lambda s, n: zlib.decompress(s, 31),
    "snappy": lambda s, n: bytes(cramjam.snappy.decompress_raw(s)),
    "gdeflate": lambda s, n: page(s, n),
}


def page(stored, nbytes):
    target = np.empty(nbytes, np.uint8)
    decode_page(np.frombuffer(stored, np.uint8), target)
    return target.tobytes()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("free", [1 << 30, 120_000])
def test_a_batch(gpu, form, free, monkeypatch):
    monkeypatch.setattr(type(gpu), "free_bytes", free)  # the second: in parts
    rng = np.random.default_rng(0)
    plain = [rng.integers(0, 9, n, dtype=np.uint8).tobytes() for n in (1, 77, 5000, 5000, 4096, 1, 300)]
    source = gpu.encoded_batch(np.array([len(p) for p in plain]))
    data = np.zeros(len(source.data), np.uint8)
    for start, chunk in zip(source.starts, plain, strict=True):
        data[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
    there, target = gpu.upload(data), gpu.encoded_batch(np.full(7, gpu.compressed_capacity(ALGORITHMS[form], 5000)))
    sources, targets = (gpu.address(a) + s for a, s in ((there, source.starts), (target.data, target.starts)))
    made = gpu.compress(ALGORITHMS[form], sources.astype(np.uint64), source.sizes, targets.astype(np.uint64))
    sizes, out = gpu.download(made).tolist(), gpu.download(target.data)
    assert all(sizes)
    streams = [out[s : s + n].tobytes() for s, n in zip(target.starts, sizes, strict=True)]
    assert [DECODERS[form](s, len(p)) for s, p in zip(streams, plain, strict=True)] == plain


def test_places_and_sizes_are_checked(gpu):
    room = gpu.empty(100_000)
    at = np.array([gpu.address(room)], np.uint64)
    bad = (("zstd", 1, 0, 10), ("deflate", 0, 4, 10), ("lz4", 0, 0, 0), ("lz4", 0, 0, 1 << 25))
    for form, source, target, size in bad:
        with pytest.raises(DeviceError, match="nvCOMP"):
            gpu.compress(ALGORITHMS[form], at + np.uint64(source), np.array([size]), at + np.uint64(1024 + target))


def test_an_empty_batch_is_nothing(gpu):
    none = np.zeros(0, np.uint64)
    assert len(gpu.compress(ALGORITHMS["lz4"], none, none.astype(np.int64), none)) == 0


@pytest.mark.parametrize("name, level, ratio", [("gzip", 6, 17), ("zlib", 6, 33), ("zlib", 1, 9), ("gzip", 9, 18)])
def test_batches_of_a_write_know_what_scratch_is_asked_for(library, name, level, ratio):
    """By the real library: the memory that is planned for a chunk holds its share of a batch's scratch."""
    chunk = 1 << 20
    gpu = SimpleNamespace(
        compressed_capacity=partial(nvcomp_compress.capacity, library),
        compression_scratch=partial(nvcomp_compress.scratch_per_stream, library),
    )
    chain = Chain.build([find("bytes", {}, 3), find(name, {"level": level}, 2)], ChunkSpec((chunk,), np.dtype("u1"), 0))
    cost = write_cost(chain, True, gpu)
    form = ALGORITHMS["deflate" if name == "zlib" else name]
    for count in (1, 64):
        asked = scratch(library, form, np.full(count, chunk), effort(level))
        assert ratio * chunk <= asked / count <= cost.scratch - 2 * gpu.compressed_capacity(form, chunk)


def test_scratch_is_what_the_batch_has_left(gpu, monkeypatch):
    """A batch that wants more goes in parts, which all use the same memory."""
    taken, empty = [], type(gpu).empty
    monkeypatch.setattr(type(gpu), "empty", lambda self, nbytes: (taken.append(nbytes), empty(self, nbytes))[1])
    with gpu.current.use(BatchMemory(Trace(share=1 << 20), gpu.held)):
        source, target = (
            gpu.encoded_batch(np.full(64, 4096)),
            gpu.encoded_batch(np.full(64, gpu.compressed_capacity(ALGORITHMS["lz4"], 4096))),
        )
        source.data.fill(1)
        at, to = (np.uint64(gpu.address(s.data)) + s.starts.astype(np.uint64) for s in (source, target))
        taken.clear()
        made = gpu.download(gpu.compress(ALGORITHMS["lz4"], at, source.sizes, to))
        headroom = gpu.current.headroom
    assert made.all() and sum(taken) < 1 << 20 and headroom > 0
    assert len([nbytes for nbytes in taken if nbytes > nvcomp.GUARD_BYTES]) == 1
