"""zarr-python with `enable_gpu()`: what it reads and writes stays on the GPU, also where its own pipeline cannot.

The arrays are those of CuPy, or of its stand-in, which refuses what CuPy refuses (`tests/cupy_stand_in`).
"""

from dataclasses import replace

import numpy as np
import pytest

import gpuzarr
from tests.cupy_stand_in.border import Border, inside
from tests.hardware import host_array

zarr = pytest.importorskip("zarr", minversion="3.1")
from numcodecs import Blosc  # noqa: E402 (without zarr-python there is nothing to test)
from zarr.core.buffer import gpu  # noqa: E402
from zarr.storage import LocalStore, MemoryStore, WrapperStore  # noqa: E402

from gpuzarr.integrations.zarr_python import arrays, calls  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error::gpuzarr.errors.DefaultPipelineWarning"),
]
NUMBERS = np.arange(20 * 21, dtype="f4").reshape(20, 21) // 3
LAYOUTS = {
    "v2 blosc": {"zarr_format": 2, "compressors": Blosc("lz4")},
    "v3 zstd": {},
    "v3 gzip": {"compressors": zarr.codecs.GzipCodec(level=1)},
    "v3 raw": {"compressors": None},
    "v3 shards": {"shards": (12, 14)},
    "v3 transposed": {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
}
SELECTIONS = {
    "all": lambda a: a[...],
    "ranges": lambda a: a[3:17, 2:20:3],
    "a row": lambda a: a[5],
    "lists": lambda a: a.oindex[[9, 1, 1], :],
    "lists beside an int": lambda a: a.oindex[[9, 1], 4],
}
EXPECTED = SELECTIONS | {
    "lists": lambda numbers: numbers[[9, 1, 1], :],
    "lists beside an int": lambda numbers: numbers[[9, 1], 4],
}


@pytest.fixture
def on_gpu(cupy_device, cp, monkeypatch):
    """zarr-python uses a GPU, and our pipeline."""
    monkeypatch.setattr(gpu, "cp", cp)
    if isinstance(cupy_device, Border):
        read, found = calls.read_requests, arrays.device_of_array
        monkeypatch.setattr(
            arrays, "device_of_array", lambda some: found(some) if isinstance(some, np.ndarray) else cupy_device
        )
        monkeypatch.setattr(
            calls, "read_requests", lambda some, *rest: read([replace(one, out=inside(one.out)) for one in some], *rest)
        )
    with zarr.config.enable_gpu(), gpuzarr.zarr.enable():
        yield cp


@pytest.fixture(params=["memory", "local", "wrapped"])
def store(request, tmp_path):
    if request.param == "local":
        return LocalStore(tmp_path)
    return MemoryStore() if request.param == "memory" else WrapperStore(MemoryStore())


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_values_come_and_go_without_a_copy_on_the_host(layout, store, on_gpu, host_copies):
    a = zarr.create_array(store, shape=NUMBERS.shape, chunks=(6, 7), dtype="f4", **LAYOUTS[layout])
    values = on_gpu.asarray(NUMBERS)
    host_copies.clear()  # zarr-python makes its documents in the memory of the GPU
    a[...] = values
    found = {name: select(a) for name, select in SELECTIONS.items()}
    assert host_copies == []
    for name in SELECTIONS:
        assert isinstance(found[name], on_gpu.ndarray), name
        assert (host_array(found[name]) == EXPECTED[name](NUMBERS)).all(), name


def test_points_are_written(store, on_gpu):
    """zarr-python itself makes NumPy arrays of points that are read, behind any pipeline."""
    a = zarr.create_array(store, shape=NUMBERS.shape, chunks=(6, 7), dtype="f4")
    a[...] = on_gpu.asarray(NUMBERS)
    rows, columns, expected = [19, 0, 7], [3, 20, 3], NUMBERS.copy()
    a.vindex[rows, columns] = on_gpu.asarray(np.array([1, 2, 3], "f4"))
    expected[rows, columns] = [1, 2, 3]
    assert (host_array(a[...]) == expected).all()


def test_parts_of_chunks_and_single_elements(store, on_gpu):
    a = zarr.create_array(store, shape=NUMBERS.shape, chunks=(6, 7), dtype="f4", shards=(12, 14))
    a[...] = on_gpu.asarray(NUMBERS)
    a[3:9, 5] = 7
    a.oindex[[0, 19], 1:4] = on_gpu.asarray(NUMBERS[:2, :3] + 100)
    expected = NUMBERS.copy()
    expected[3:9, 5] = 7
    expected[[0, 19], 1:4] = NUMBERS[:2, :3] + 100
    assert (host_array(a[...]) == expected).all()
    assert float(a[3, 5]) == 7


def test_what_a_gpu_has_written_a_cpu_reads(tmp_path, on_gpu):
    a = zarr.create_array(LocalStore(tmp_path), shape=NUMBERS.shape, chunks=(6, 7), dtype="f4")
    a[...] = on_gpu.asarray(NUMBERS)
    with zarr.config.set({"buffer": "zarr.buffer.cpu.Buffer", "ndbuffer": "zarr.buffer.cpu.NDBuffer"}):
        assert (zarr.open_array(tmp_path)[...] == NUMBERS).all()
        assert (np.asarray(gpuzarr.open(tmp_path, device="cpu")) == NUMBERS).all()
