"""The emulated GPU notices what a real one would not forgive."""

import ctypes

import numpy as np
import pytest

from tests.emulator import compiled
from tests.emulator.arrays import DeviceArray
from tests.hardware import complete

TEXT = """
#include "common.cuh"
extern "C" __global__ void crossed(u32* out) {
    __shared__ u32 s[64];
    u32 t = threadIdx.x;
    s[t] = t;
    __syncthreads();
    out[t] = s[63 - t];
}
extern "C" __global__ void racing(u32* out) {
    __shared__ u32 s[64];
    u32 t = threadIdx.x;
    s[t] = t;
    out[t] = s[63 - t];
}
extern "C" __global__ void parted(u32* out) {
    if (threadIdx.x < 32) __syncthreads();
    else
        __syncthreads();
}
extern "C" __global__ void waiting(u32* out) { if (threadIdx.x) __syncwarp(); else __syncthreads(); }
extern "C" __global__ void voting(u32* out) {
    u32 t = threadIdx.x;
    out[t] = __shfl_xor_sync(~0u, t, 1) + 1000 * __popc(__ballot_sync(~0u, t & 1));
}
extern "C" __global__ void counting(u32* out, u32 n) { out[threadIdx.x] = n; }
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """Small kernels, right and wrong, compiled as ours are."""
    if not compiled.compiler():
        pytest.skip("the emulated GPU needs g++, which is not here")
    folder = tmp_path_factory.mktemp("kernels")
    for file in compiled.KERNELS.iterdir():
        (folder / file.name).write_text(file.read_text())
    (folder / "test.cu").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "KERNELS", folder)
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield lambda name, seed=0: compiled.Kernel("test.cu", name, seed)


@pytest.fixture
def emulated(gpu):
    if gpu.name != "emulated":
        pytest.skip("of the emulated GPU only")
    return gpu


def run(kernel, *arguments):
    out = np.zeros(64, np.uint32).view(DeviceArray)
    kernel((1,), (64,), (out, *arguments))
    return out.view(np.ndarray)


@pytest.mark.parametrize("seed", [0, -1, 7])
def test_barriers_work(kernels, seed):
    assert (run(kernels("crossed", seed)) == np.arange(64)[::-1]).all()


def test_a_missing_barrier_shows(kernels):
    assert any((run(kernels("racing", seed)) != np.arange(64)[::-1]).any() for seed in (0, -1))


def test_two_barriers_for_one_block_are_told(kernels):
    with pytest.raises(RuntimeError, match="parted: threads wait at two __syncthreads"):
        run(kernels("parted"))
    assert run(kernels("crossed"))[0] == 63  # and the next launch begins afresh


def test_lanes_that_never_come_are_told(kernels):
    with pytest.raises(RuntimeError, match="never come"):
        run(kernels("waiting"))


def test_shuffles_and_votes(kernels):
    assert (run(kernels("voting")) == (np.arange(64) ^ 1) + 16000).all()


@pytest.mark.parametrize("argument", [1, np.int64(1), np.zeros(3, np.uint32)])
def test_arguments_of_another_type_are_refused(kernels, argument):
    with pytest.raises(TypeError, match="parameter n takes u4"):
        run(kernels("counting"), argument)


def test_an_empty_grid_is_refused(emulated):
    with pytest.raises(AssertionError, match="no such grid"):
        emulated.kernel("copy.cu", "copy")((0,), (256,), (emulated.upload(np.zeros(3, np.uint64)), np.uint32(0)))


def test_a_write_beside_scratch_is_told(emulated):
    scratch = emulated.empty(100)
    np.lib.stride_tricks.as_strided(scratch.view(np.ndarray), (101,), (1,))[100] = 1
    with pytest.raises(AssertionError, match="beside its scratch"):
        complete(emulated)


def test_scratch_that_was_freed_is_watched(emulated):
    there = emulated.address(emulated.empty(100))
    np.ctypeslib.as_array((ctypes.c_uint8 * 1).from_address(there))[0] = 1
    with pytest.raises(AssertionError, match="was freed"):
        complete(emulated)


def test_arrays_of_host_and_device_do_not_meet(emulated):
    there, here = emulated.upload(np.arange(4)), np.arange(4)
    mixed = [lambda: there + here, lambda: there.__setitem__(0, here), lambda: emulated.xp.concatenate([there, here])]
    for wrong in mixed:
        with pytest.raises(TypeError, match="host meets"):
            wrong()
    assert type(there + there) is type(there[1:]) is type(emulated.xp.zeros(3)) is type(there)
    here[0] = 9
    assert emulated.download(there)[0] == 0  # upload was a copy
