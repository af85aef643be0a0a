"""Reads and writes on a GPU launch our kernels and nvCOMP's, copies and memsets, and none of CuPy's kernels.

CuPy compiles a kernel for each kind of array expression: some tenths of a second in a new process. Where one must stay,
a test here names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import gpuzarr
from tests.data import SHAPE, V2, V3, create, field, write
from tests.emulator import arrays
from tests.emulator.arrays import DeviceArray

WITHOUT_KERNEL = {"empty", "zeros"}  # an allocation, a memset
METHODS = ("fill", "astype", "copy", "take", "__getitem__", "__setitem__")
SELECTIONS = (..., np.s_[3:41, :, 5:33], np.s_[::-2, 7, 3:], np.s_[:, 9:10, ::3])


def is_view(made: Any, inputs: Any) -> bool:
    """Return True if a result is memory of one of the inputs."""
    places = [arrays.plain(each) for each in (made, *inputs) if isinstance(each, DeviceArray)]
    return len(places) > 1 and any(np.may_share_memory(places[0], each) for each in places[1:])


@pytest.fixture
def expressions(cuda: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the expressions on arrays of the stub's GPU that CuPy would compile kernels for, as they come."""
    seen: list[str] = []

    def watch(owner: Any, name: str, inputs_of: Any) -> None:
        right = getattr(owner, name)

        def watched(*args: Any, **more: Any) -> Any:
            what, inputs = inputs_of(*args)
            if not is_view(made := right(*args, **more), inputs) and what not in WITHOUT_KERNEL:
                seen.append(what)
            return made

        monkeypatch.setattr(owner, name, watched)

    watch(arrays, "run", lambda function, args, options: (function.__name__, args))
    for name in METHODS:
        watch(DeviceArray, name, lambda array, *args, name=name: (name, (array,)))
    return seen


def test_expressions_are_seen(cuda: Any, expressions: list[str]) -> None:
    there = cuda.upload(np.arange(6.0))
    assert cuda.download(there[1:].reshape(5).view("i8")).shape == (5,) and expressions == []
    there.fill(1)
    there[1:] = 2
    cuda.xp.concatenate([there, there + 1])
    assert there[cuda.upload(np.array([1, 2]))].astype("f4").sum() == 4
    assert expressions == ["fill", "__setitem__", "__call__", "concatenate", "__getitem__", "astype", "reduce"]


@pytest.mark.parametrize("name", sorted({*V3, *V2} - {"host codec"}))
def test_reads(name: str, tmp_path: Path, cuda: Any, expressions: list[str]) -> None:
    values = field(False)
    write(tmp_path, name, values)
    a = gpuzarr.open_array(tmp_path, device="cuda")
    for key in SELECTIONS:
        assert (a[key].get() == values[key]).all()
    assert a.last_read.asdict()["batches"] and expressions == []


@pytest.mark.parametrize("shuffle", [0, 1, 2])
@pytest.mark.parametrize("cname", ["lz4", "zstd", "zlib", "blosclz"])
def test_reads_of_blosc(cname: str, shuffle: int, tmp_path: Path, cuda: Any, expressions: list[str]) -> None:
    codec = numcodecs.Blosc(cname, shuffle=shuffle)
    zarr.create_array(tmp_path, data=field(False), chunks=(8, 8, 16), zarr_format=2, compressors=[codec])
    a = gpuzarr.open_array(tmp_path, device="cuda")
    for key in SELECTIONS:
        assert (a[key].get() == field(False)[key]).all()
    assert expressions == []


@pytest.mark.parametrize("name", ["raw", "zstd", "sharded", "v2 blosc"])
def test_missing_chunks_are_filled_by_our_kernel(name: str, tmp_path: Path, cuda: Any, expressions: list[str]) -> None:
    values = np.full(SHAPE, 7, "f4")
    values[:17, :, 9:] = field(False)[:17, :, 9:]
    write(tmp_path, name, values)
    a = gpuzarr.open_array(tmp_path, device="cuda")
    for key in SELECTIONS:
        assert (a[key].get() == values[key]).all()
    assert expressions == []


@pytest.mark.parametrize("name", ["raw", "zstd", "sharded", "v2 blosc"])
def test_index_arrays_and_points_are_placed_by_our_kernel(
    name: str, tmp_path: Path, cuda: Any, expressions: list[str]
) -> None:
    values, rows, columns = field(False), [1, 40, 3, 3], [5, 2]
    write(tmp_path, name, values)
    a = gpuzarr.open_array(tmp_path, device="cuda")
    assert (a.oindex[rows].get() == values[rows]).all()
    assert (a.oindex[rows, :, columns].get() == values[rows][:, :, columns]).all()
    assert (a.vindex[rows, 0, 7].get() == values[rows, 0, 7]).all()
    assert (a.vindex[values > 3].get() == values[values > 3]).all()
    assert expressions == []


@pytest.mark.parametrize("name", sorted({*V3, *V2} - {"host codec"}))
def test_writes_gather_by_assignments(name: str, tmp_path: Path, cuda: Any, expressions: list[str]) -> None:
    """The only expressions: an assignment for each part of a batch, and a copy of chunks that are transposed."""
    a = create(tmp_path, name, cuda)
    value = cuda.upload(field(True))
    a[...] = value
    assert (zarr.open_array(tmp_path, mode="r")[...] == field(True)).all()
    assert set(expressions) == {"__setitem__", *(["ascontiguousarray"] if name == "transpose" else [])}


@pytest.mark.parametrize("cname", ["lz4", "zstd", "zlib", "blosclz"])
def test_writes_of_blosc(cname: str, tmp_path: Path, cuda: Any, expressions: list[str]) -> None:
    options: dict[str, Any] = {"zarr_format": 2, "compressors": [numcodecs.Blosc(cname)]}
    zarr.create_array(tmp_path, shape=SHAPE, dtype="f4", chunks=(8, 8, 16), **options)
    a = gpuzarr.open_array(tmp_path, device="cuda", mode="r+")
    a[...] = cuda.upload(field(False))
    assert (zarr.open_array(tmp_path, mode="r")[...] == field(False)).all()
    assert set(expressions) == {"__setitem__"}
