"""Plates and images that iohub makes with this library are those of its other implementations; each reads the others'.

iohub needs Python 3.12, and other versions of packages than the tests of this library; where it is not, these skip.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.integrations.iohub import GpuZarrConfig, GpuZarrImplementation
from tests.conftest import examples
from tests.hardware import host_array
from tests.integrations.iohub.judge import CONTRACT, spec_of

iohub = pytest.importorskip("iohub")
core = pytest.importorskip("iohub.core")
registry = pytest.importorskip("iohub.core.registry")
utils = pytest.importorskip("iohub.ngff.utils")

OTHERS = ("zarr-python", "zarrs-python", "tensorstore")
VERSIONS = ("0.4", "0.5")
SHAPE = (2, 2, 6, 33, 40)
CONFIG = GpuZarrConfig(device="cpu")


@pytest.fixture(autouse=True)
def registered(monkeypatch) -> Iterator[None]:
    """As if the entry point of this library were installed; iohub sets the pipeline of zarr-python for all."""
    core.available_implementations()
    monkeypatch.setitem(registry._IMPLEMENTATIONS, "gpuzarr", GpuZarrImplementation)
    monkeypatch.setattr(registry, "_default", registry._default)
    with zarr.config.set({"codec_pipeline.path": zarr.config.get("codec_pipeline.path")}):
        yield


def opened(place, implementation, mode="r", config=None, **options):
    if implementation == "tensorstore":
        pytest.importorskip("tensorstore")
    how = {"implementation": implementation, "implementation_config": config}
    return iohub.open_ome_zarr(place, mode=mode, **how, **options)


def values_of(seed=0, shape=SHAPE, dtype="uint16"):
    return np.random.default_rng(seed).integers(0, 999, shape).astype(dtype)


def write_plate(place, implementation, version):
    """A plate of two wells and three images, one with levels and labels."""
    new = {"layout": "hcs", "channel_names": ["DAPI", "GFP"], "version": version}
    ratio = {"shards_ratio": (1, 1, 2, 2, 2)} if version == "0.5" else {}
    with opened(place, implementation, "w-", **new) as plate:
        for i, name in enumerate(("A/1/0", "A/1/1", "B/2/0")):
            position = plate.create_position(*name.split("/"))
            position.create_image("0", values_of(i), chunks=(1, 1, 3, 16, 16), **ratio)
        position.compute_pyramid(3, method="max")
        position.create_labels_group()
        position.zattrs["note"] = {"by": "a test"}


def documents(place):
    """All metadata of a store, by their paths."""
    names = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
    return {str(p.relative_to(place)): json.loads(p.read_text()) for n in names for p in sorted(place.rglob(n))}


def arrays_below(place):
    group = zarr.open_group(place, mode="r")
    return {name: node for name, node in sorted(group.members(max_depth=None)) if isinstance(node, zarr.Array)}


def test_the_contract_is_fulfilled():
    ours = core.get_implementation("gpuzarr", CONFIG)
    assert isinstance(ours, core.ZarrImplementation) and ours.config is CONFIG
    for kind in (core.GroupBackend, core.ArrayBackend, core.ArrayIO):
        for name in [name for name in vars(kind) if not name.startswith("_")]:
            assert list(inspect.signature(getattr(kind, name)).parameters)[1:] == CONTRACT[name], name


@pytest.mark.parametrize("shards", [None, (4, 6)])
def test_the_specification_of_the_other_tests_is_that_of_iohub(shards):
    assert vars(spec_of((5, 7), "int16", (2, 3), shards)) == vars(
        core.ArraySpec.create((5, 7), np.dtype("int16"), (2, 3), shards)
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("other", OTHERS)
def test_plates_are_the_same(tmp_path, other, version):
    write_plate(tmp_path / "ours", "gpuzarr", version)
    write_plate(tmp_path / "theirs", other, version)
    ours, theirs = documents(tmp_path / "ours"), documents(tmp_path / "theirs")
    assert other == "tensorstore" or ours.keys() == theirs.keys()
    groups = [name for name in theirs if name.count("/") < 4]
    assert {name: ours[name] for name in groups} == {name: theirs[name] for name in groups}
    mine, other_arrays = arrays_below(tmp_path / "ours"), arrays_below(tmp_path / "theirs")
    assert mine.keys() == other_arrays.keys() and len(mine) == 5
    for name, array in other_arrays.items():
        assert (mine[name].shape, mine[name].chunks, mine[name].shards) == (array.shape, array.chunks, array.shards)
        assert mine[name].dtype == array.dtype and mine[name].fill_value == array.fill_value
        if other != "tensorstore":
            assert mine[name].metadata.to_dict() == array.metadata.to_dict()
        np.testing.assert_array_equal(mine[name][...], array[...])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("writer", "reader"), [*product(OTHERS, ["gpuzarr"]), *product(["gpuzarr"], OTHERS)])
def test_each_reads_and_changes_what_another_wrote(tmp_path, writer, reader, version):
    place = tmp_path / "plate.zarr"
    write_plate(place, writer, version)
    with opened(place, reader, "r+") as plate:
        found = dict(plate.positions())
        assert list(found) == ["A/1/0", "A/1/1", "B/2/0"]
        for i, (_, position) in enumerate(found.items()):
            expected, image = values_of(i), position["0"]
            assert (image.shape, image.chunks, image.dtype) == (SHAPE, (1, 1, 3, 16, 16), np.uint16)
            assert image.shards == ((1, 1, 6, 32, 32) if version == "0.5" else None)
            np.testing.assert_array_equal(image[...], expected)
            np.testing.assert_array_equal(image[1, 0, 2:5, 3, ::7], expected[1, 0, 2:5, 3, ::7])
            np.testing.assert_array_equal(image.oindex[[0, 1], 1, :, [3, 30]], expected[:, 1][:, :, [3, 30]])
            image[0, 1, :, 5:20, 7] = 5
            image.oindex[[1], [0, 1]] = np.ones((1, 2, *SHAPE[2:]), "uint16")
        assert [position.zattrs.get("note") for position in found.values()] == [None, None, {"by": "a test"}]
    with opened(place, writer) as plate:
        for i, (_, position) in enumerate(plate.positions()):
            expected = values_of(i)
            expected[0, 1, :, 5:20, 7], expected[1] = 5, 1
            np.testing.assert_array_equal(position["0"][...], expected)


@given(
    st.lists(st.integers(1, 12), min_size=5, max_size=5),
    st.data(),
    st.sampled_from(VERSIONS),
    st.sampled_from(["uint8", "uint16", "int16", "float32", "bool"]),
)
@settings(max_examples=examples(20))
def test_images_of_any_shape(tmp_path_factory, shape, data, version, dtype):
    place = tmp_path_factory.mktemp("image") / "image.zarr"
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    ratio = data.draw(st.none() | st.tuples(*[st.integers(1, 3)] * 5)) if version == "0.5" else None
    values = values_of(1, shape, dtype)
    new = {"layout": "fov", "channel_names": [f"c{i}" for i in range(shape[1])], "version": version}
    with opened(place, "gpuzarr", "w-", config=CONFIG, **new) as position:
        position.create_image("0", values, chunks=chunks, shards_ratio=ratio)
    with opened(place, "zarr-python") as theirs, opened(place, "gpuzarr", config=CONFIG) as ours:
        assert theirs["0"].chunks == chunks == ours["0"].chunks and theirs["0"].shards == ours["0"].shards
        np.testing.assert_array_equal(theirs["0"][...], values)
        np.testing.assert_array_equal(ours["0"].numpy(), values)
        np.testing.assert_array_equal(ours["0"].dask_array().compute(), values)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["mean", "median", "mode", "min", "max", "stride"])
def test_pyramids_are_those_of_tensorstore(tmp_path, device, method, version):
    ratio = {"shards_ratio": (1, 1, 2, 2, 2)} if version == "0.5" else {}
    places = {"gpuzarr": GpuZarrConfig(device=device), "tensorstore": None}
    shape = (1, 2, 5, 20, 17)
    for name, config in places.items():
        new = {"layout": "fov", "channel_names": ["a", "b"], "version": version}
        with opened(tmp_path / name, name, "w-", config=config, **new) as position:
            position.create_image("0", values_of(3, shape), chunks=(1, 1, 2, 8, 8), **ratio)
            position.compute_pyramid(3, method=method)
    mine, theirs = arrays_below(tmp_path / "gpuzarr"), arrays_below(tmp_path / "tensorstore")
    assert list(mine) == list(theirs) == ["0", "1", "2"]
    for name in mine:
        np.testing.assert_array_equal(mine[name][...], theirs[name][...])


def test_values_of_gpus(tmp_path, device):
    """What iohub returns is NumPy's; `native` has the values on the device."""
    new = {"layout": "fov", "channel_names": ["a", "b"], "config": GpuZarrConfig(device=device)}
    with opened(tmp_path / "a.zarr", "gpuzarr", "w-", **new) as position:
        image = position.create_image("0", values_of())
        assert type(image[0]) is type(image.numpy()) is type(image.oindex[[0]]) is np.ndarray
        assert isinstance(image.native, gpuzarr.Array) and image.native.device is device
        np.testing.assert_array_equal(host_array(image.native[1]), values_of()[1])
        np.testing.assert_array_equal(np.asarray(image, "float32"), values_of().astype("float32"))


@pytest.mark.parametrize("version", VERSIONS)
def test_channels_and_times_are_appended(tmp_path, version):
    new = {"layout": "fov", "channel_names": ["a", "b"], "version": version}
    with opened(tmp_path / "a.zarr", "gpuzarr", "w-", **new) as position:
        position.create_image("0", values_of())
        position.append_channel("c", resize_arrays=True)
        position["0"][:, 2] = values_of(1)[:, 0]
        image = position["0"]
        assert image.append(image[:1]) == (3, 3, *SHAPE[2:]) == position["0"].shape
    with opened(tmp_path / "a.zarr", "zarr-python") as position:
        assert position.channel_names == ["a", "b", "c"]
        np.testing.assert_array_equal(position["0"][:2, :2], values_of())
        np.testing.assert_array_equal(position["0"][:2, 2], values_of(1)[:, 0])
        np.testing.assert_array_equal(position["0"][2], position["0"][0])


@pytest.mark.parametrize("version", VERSIONS)
def test_xarray_of_positions(tmp_path, version):
    new = {"layout": "fov", "channel_names": ["a", "b"], "version": version}
    with opened(tmp_path / "a.zarr", "gpuzarr", "w-", **new) as position:
        position.create_image("0", values_of())
        found = position.to_xarray()
        np.testing.assert_array_equal(found.values, values_of())
        again = found.isel(c=[1], t=[0]).compute() + 7
        position.write_xarray(again)
        expected = values_of()
        expected[0, 1] += 7
        np.testing.assert_array_equal(position["0"][...], expected)


def test_tiles(tmp_path):
    new = {"layout": "tiled", "channel_names": ["a"]}
    with opened(tmp_path / "a.zarr", "gpuzarr", "w-", **new) as position:
        tiles = position.make_tiles("0", (2, 3), (1, 1, 2, 8, 8), "uint16")
        tiles.write_tile(np.full((1, 1, 2, 8, 8), 5, "uint16"), 1, 2)
        assert tiles.tiles == (2, 3)
    with opened(tmp_path / "a.zarr", "zarr-python", layout="tiled") as position:
        assert position["0"][...].sum() == 5 * 128 and (position["0"].get_tile(1, 2) == 5).all()


@pytest.mark.parametrize("version", VERSIONS)
def test_errors(tmp_path, version):
    place = tmp_path / "a.zarr"
    new = {"layout": "fov", "channel_names": ["a", "b"], "version": version}
    with opened(place, "gpuzarr", "w-", **new) as position:
        position.create_image("0", values_of())
        with pytest.raises(KeyError, match="7"):
            position["7"]
        with pytest.raises(FileExistsError):
            position.create_image("0", values_of())
        assert "7" not in position and "0" in position
        position.compute_pyramid(2)
        position.delete_pyramid()
        with pytest.raises(KeyError):
            position["1"]
        with pytest.raises(ValueError, match="method"):
            position.compute_pyramid(2, method="sum")
    with opened(place, "gpuzarr") as position, pytest.raises(PermissionError):
        position["0"][0] = 1
    with pytest.raises(ValueError, match="ozx"):
        opened(tmp_path / "a.ozx", "gpuzarr", "w", layout="fov", channel_names=["a"])
    with pytest.raises(ValueError, match="GpuZarrConfig"):
        opened(place, "gpuzarr", config=core.TensorStoreConfig())


def test_archives_of_the_default_implementation(tmp_path):
    """iohub refuses .ozx for implementations by their names, and gives the default one a store of zarr-python."""
    core.set_default_implementation("gpuzarr")
    place = tmp_path / "a.ozx"
    with iohub.open_ome_zarr(place, layout="fov", mode="w", channel_names=["a", "b"]) as position:
        image = position.create_zeros("0", SHAPE, "uint16", chunks=(1, 1, 3, 16, 16))
        image[...] = values_of()
    for implementation in (None, "zarr-python"):
        with opened(place, implementation) as position:
            assert (type(position._impl) is GpuZarrImplementation) == (implementation is None)
            np.testing.assert_array_equal(position["0"][...], values_of())


@pytest.mark.parametrize("version", VERSIONS)
def test_runs_are_resumed(tmp_path, version):
    """`process_single_position` finds the files of its units by what it knows of arrays of zarr-python.

    It keeps records for Zarr v3 alone.
    """
    core.set_default_implementation("gpuzarr")
    calls, layout = [], {"chunks": (1, 1, 3, 16, 16), "version": version}
    for name in ("in", "out"):
        options = {"position_keys": [("A", "1", "0")], "channel_names": ["a", "b"], "shape": SHAPE, "dtype": "uint16"}
        utils.create_empty_plate(tmp_path / name, **options, **layout)
    with iohub.open_ome_zarr(tmp_path / "in/A/1/0", mode="r+") as position:
        position["0"][...] = values_of()

    def double(czyx, input_time_index):
        calls.append(input_time_index)
        return czyx * 2

    def run():
        calls.clear()
        utils.process_single_position(double, tmp_path / "in/A/1/0", tmp_path / "out/A/1/0", resume=True)
        with iohub.open_ome_zarr(tmp_path / "out/A/1/0") as position:
            np.testing.assert_array_equal(position["0"][...], values_of() * 2)
        return sorted(calls)

    assert run() == [0, 0, 1, 1]
    assert run() == ([] if version == "0.5" else [0, 0, 1, 1])
    chunks = tmp_path / "out/A/1/0/0" / ("c/1/0" if version == "0.5" else "1/0")
    damaged = next(file for file in chunks.rglob("*") if file.is_file())
    damaged.write_bytes(damaged.read_bytes()[:50])
    assert run() == ([1] if version == "0.5" else [0, 0, 1, 1])
