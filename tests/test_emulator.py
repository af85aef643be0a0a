"""The emulated GPU notices what a real one would not forgive."""

import numpy as np
import pytest

from tests.emulator import compiled


@pytest.fixture
def emulated(threads, request):
    if "cuda" in request.node.name:
        pytest.skip("of the emulated GPU only")
    return threads


def launch(folder, monkeypatch, text, count=64, seed=0, arguments=()):
    """Run kernel `k(u32* out, ...)` of a file with this text; what it wrote."""
    (folder / "common.cuh").write_text((compiled.KERNELS / "common.cuh").read_text())
    (folder / "k.cu").write_text('#include "common.cuh"\nextern "C" __global__ void k' + text)
    monkeypatch.setattr(compiled, "KERNELS", folder)
    compiled._library.cache_clear()
    compiled._parameters.cache_clear()
    out = np.zeros(count, np.uint32).view(compiled.DeviceArray)
    try:
        compiled.Kernel("k.cu", "k", seed)((1,), (count,), (out, *arguments))
    finally:
        compiled._library.cache_clear()
        compiled._parameters.cache_clear()
    return out.view(np.ndarray)


NEIGHBOUR = "(u32* out) { __shared__ u32 s[64]; u32 t = threadIdx.x; s[t] = t; %s out[t] = s[63 - t]; }"


@pytest.mark.parametrize("seed", [0, -1, 7])
def test_barriers_work(tmp_path, monkeypatch, seed, emulated):
    assert (launch(tmp_path, monkeypatch, NEIGHBOUR % "__syncthreads();", seed=seed) == np.arange(64)[::-1]).all()


def test_a_missing_barrier_shows(tmp_path, monkeypatch, emulated):
    outs = [launch(tmp_path, monkeypatch, NEIGHBOUR % "", seed=seed) for seed in (0, -1)]
    assert any((out != np.arange(64)[::-1]).any() for out in outs)


def test_two_barriers_for_one_block_are_told(tmp_path, monkeypatch, emulated):
    text = "(u32* out) { if (threadIdx.x < 32)\n __syncthreads();\n else\n __syncthreads(); }"
    with pytest.raises(RuntimeError, match="two __syncthreads"):
        launch(tmp_path, monkeypatch, text)


def test_lanes_that_never_come_are_told(tmp_path, monkeypatch, emulated):
    text = "(u32* out) { if (threadIdx.x) __syncwarp(); else __syncthreads(); }"
    with pytest.raises(RuntimeError, match="never come"):
        launch(tmp_path, monkeypatch, text)


def test_shuffles_and_votes(tmp_path, monkeypatch, emulated):
    text = "(u32* out) { u32 t = threadIdx.x; out[t] = __shfl_xor_sync(~0u, t, 1) + 1000 * __popc(__ballot_sync(~0u, t & 1)); }"
    assert (launch(tmp_path, monkeypatch, text) == (np.arange(64) ^ 1) + 16000).all()


@pytest.mark.parametrize("argument", [1, np.int64(1), np.zeros(3, np.uint32)])
def test_arguments_of_another_type_are_refused(tmp_path, monkeypatch, argument, emulated):
    with pytest.raises(TypeError, match="parameter n takes u4"):
        launch(tmp_path, monkeypatch, "(u32* out, u32 n) { out[0] = n; }", arguments=(argument,))


def test_an_empty_grid_is_refused(emulated):
    with pytest.raises(AssertionError, match="no such grid"):
        emulated.kernel("copy.cu", "copy")((0,), (256,), (emulated.upload(np.zeros(3, np.uint64)), np.uint32(0)))


def test_a_write_beside_scratch_is_told(emulated):
    scratch = emulated.empty(100)
    np.lib.stride_tricks.as_strided(scratch.view(np.ndarray), (101,), (1,))[100] = 1
    with pytest.raises(AssertionError, match="beside its scratch"):
        emulated.settle()


def test_arrays_of_host_and_device_do_not_meet(emulated):
    there, here = emulated.upload(np.arange(4)), np.arange(4)
    for wrong in (lambda: there + here, lambda: there.__setitem__(slice(None), here), lambda: emulated.xp.concatenate([there, here])):
        with pytest.raises(TypeError, match="host meets"):
            wrong()
    assert type(there + there) is type(there[1:]) is type(emulated.xp.zeros(3)) is type(there)
    here[0] = 9
    assert emulated.download(there)[0] == 0  # upload was a copy
