"""Arrays whose chunks differ grow and shrink; what an axis has beyond its chunks becomes a chunk, as in zarr-python."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import zarr
from hypothesis import given, settings

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.conftest import examples
from tests.hardware import host_array, on

PLAIN = {"name": "bytes", "configuration": {"endian": "little"}}
SHARDS = {"chunk_shape": [2, 3], "codecs": [PLAIN], "index_codecs": [PLAIN]}
GRIDS: list[Any] = [[[2, 4], [5, 1]], [[[2, 3]], 4], [3, [1, [2, 2], 3]], [[6], [6]]]
needs_zarr = pytest.mark.skipif(
    tuple(map(int, zarr.__version__.split(".")[:2])) < (3, 4), reason="this zarr-python has regular grids only"
)


def stored(folder: Path, grid: Any, codecs: Any) -> Path:
    folder.mkdir(exist_ok=True)
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [6, 6],
        "data_type": "int32",
        "chunk_grid": {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": grid}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": codecs,
    }
    (folder / "zarr.json").write_text(json.dumps(document, indent=2))
    return folder


def sizes(folder: Path) -> Any:
    return json.loads((folder / "zarr.json").read_text())["chunk_grid"]["configuration"]["chunk_shapes"]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize(
    "codecs", [[PLAIN], [{"name": "sharding_indexed", "configuration": SHARDS}]], ids=["", "shards"]
)
def test_they_grow_and_shrink(grid: Any, codecs: Any, tmp_path: Path, device: Device) -> None:
    if len(codecs[0]["configuration"]) > 1:
        grid = [[6], [[3, 2]]]
    a = gpuzarr.open_array(stored(tmp_path / "a", grid, codecs), mode="r+", device=device)
    model = np.arange(36, dtype="i4").reshape(6, 6)
    a[...] = on(device, model)
    random = Random(3)
    for _ in range(8):
        if random.random() < 0.5:
            axis = random.randrange(2)
            more = np.full([random.randint(1, 4) if i == axis else n for i, n in enumerate(model.shape)], 7, "i4")
            model = np.concatenate([model, more], axis)
            assert a.append(on(device, more), axis) == model.shape
        else:
            old, shape = model, (random.randint(1, 15), random.randint(1, 15))
            a.resize(shape)
            common = tuple(slice(min(n, m)) for n, m in zip(old.shape, shape, strict=True))
            model = np.full(shape, -1, "i4")
            model[common] = old[common]
            a[...] = on(device, model)
        again = gpuzarr.open_array(tmp_path / "a", device=device)
        for each in (a, again):
            np.testing.assert_array_equal(host_array(each[...]), model)
        assert again.shape == a.shape == model.shape and again.chunks == a.chunks
    for grid, n in zip(sizes(tmp_path / "a"), a.shape, strict=True):
        assert isinstance(grid, int) or sum(np.prod(size) for size in grid) >= n


@needs_zarr
@settings(max_examples=examples(25), deadline=None)
@given(random=st.randoms(use_true_random=False), grid=st.sampled_from(GRIDS))
@pytest.mark.filterwarnings("ignore")
def test_the_same_chunks_as_zarr_python(random: Random, grid: Any, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("grids")
    with zarr.config.set({"array.rectilinear_chunks": True}):
        ours = gpuzarr.open_array(stored(folder / "a", grid, [PLAIN]), mode="r+", device="cpu")
        theirs = zarr.open_array(stored(folder / "b", grid, [PLAIN]), mode="r+")
        for step in range(5):
            if random.random() < 0.5:
                axis = random.randrange(2)
                shape = [random.randint(1, 3) if i == axis else n for i, n in enumerate(ours.shape)]
                assert ours.append(np.full(shape, step, "i4"), axis) == theirs.append(np.full(shape, step, "i4"), axis)
            else:
                shape = [random.randint(1, 12), random.randint(1, 12)]
                ours.resize(shape)
                theirs.resize(tuple(shape))
                ours[...] = theirs[...] = step
            shapes = [[list(map(list, pairs(g))) for g in sizes(folder / name)] for name in "ab"]
            assert shapes[0] == shapes[1]
            for name in "ab":
                np.testing.assert_array_equal(zarr.open_array(folder / name, mode="r")[...], theirs[...])
                np.testing.assert_array_equal(gpuzarr.open_array(folder / name)[...], theirs[...])


def pairs(member: Any) -> Any:
    """The chunks of an axis, one by one; of equal ones the size alone."""
    if isinstance(member, int):
        return [(member, 0)]
    return [(one[0], 1) if isinstance(one, list) else (one, 1) for one in member for _ in range(times(one))]


def times(one: Any) -> int:
    return int(one[1]) if isinstance(one, list) else 1


def test_an_append_that_fails_leaves_the_chunks_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = gpuzarr.open_array(stored(tmp_path / "a", [[2, 4], 3], [PLAIN]), mode="r+", device="cpu")
    a[...] = 1
    before = {str(f): f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}
    monkeypatch.setattr(type(a), "write_values", lambda *_, **__: (_ for _ in ()).throw(gpuzarr.StoreError("full")))
    with pytest.raises(gpuzarr.StoreError, match="full"):
        a.append(np.ones((3, 6), "i4"))
    assert {str(f): f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()} == before and a.shape == (6, 6)


@pytest.mark.parametrize("grid, codecs", [(grid, PLAIN) for grid in GRIDS] + [([[6], [[3, 2]]], SHARDS)], ids=str)
def test_selections_of_nothing_are_written_read_and_explained(
    grid: Any, codecs: Any, tmp_path: Path, device: Device
) -> None:
    codecs = codecs if codecs is PLAIN else {"name": "sharding_indexed", "configuration": codecs}
    a = gpuzarr.open_array(stored(tmp_path / "a", grid, [codecs]), mode="r+", device=device)
    a[...] = 7
    a[3:3] = 1
    a.vindex[[], []] = 1
    a.oindex[[], 2] = 1
    with a.writer() as w:
        w[2, 4:4] = 1
    assert a.append(np.zeros((0, 6), "i4")) == (6, 6) and a[1, 5:5].shape == (0,)
    assert (host_array(a[...]) == 7).all()
    assert a.explain(slice(3, 3)).chunks == 0 and a.explain_write(slice(3, 3)).chunks == 0
    assert a.info.asdict()["Shape"] == (6, 6)
