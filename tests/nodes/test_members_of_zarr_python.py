"""Members of arrays and groups that zarr-python's have: they say what is stored, and change what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array

LAYOUTS: dict[str, dict[str, Any]] = {
    "v3": {"chunks": (2, 3)},
    "v2": {"chunks": (2, 3), "zarr_format": 2},
    "shards": {"chunks": (2, 3), "shards": (4, 6)},
    "uneven": {"chunks": [[2, 3], [7]]},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_setting_the_shape_is_resize(layout: str, device: Device) -> None:
    a = gpuzarr.create_array({}, data=np.arange(35).reshape(5, 7), device=device, **LAYOUTS[layout])
    for change in (lambda: setattr(a, "shape", (4, 3)), lambda: a.resize(4, 3), lambda: a.resize(new_shape=[4, 3])):
        change()
        assert a.shape == gpuzarr.open(a.store).shape == (4, 3)
    np.testing.assert_array_equal(host_array(a[...]), np.arange(35).reshape(5, 7)[:4, :3])
    for wrong in (lambda: setattr(a, "shape", (4,)), lambda: a.resize(1, 2, 3), lambda: a.resize(-1, 2)):
        with pytest.raises(gpuzarr.GpuZarrError):
            wrong()
    assert a.shape == (4, 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes_of_chunks_cover_the_array(layout: str) -> None:
    for shape in ((5, 7), (4, 6), (1, 1), (0, 7)):
        options = dict(LAYOUTS[layout])
        if layout == "uneven":
            options["chunks"] = [[max(n // 2, 1), n - max(n // 2, 1)] if n > 1 else [1] for n in shape]
        a = gpuzarr.zeros(shape, **options)
        for sizes in (a.read_chunk_sizes, a.write_chunk_sizes):
            assert tuple(map(sum, sizes)) == shape and all(n > 0 for axis in sizes for n in axis)
        assert tuple(map(len, a.read_chunk_sizes)) == a.cdata_shape


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_another_configuration_is_another_array(mode: Any) -> None:
    a = gpuzarr.open_array(gpuzarr.zeros(4, chunks=2).store, mode=mode)
    other = a.with_config({"write_empty_chunks": True, "order": "C"})
    assert not a.config.write_empty_chunks and other == a and other.read_only == a.read_only
    for wrong in ({"write_emty": 1}, {"write_empty_chunks": np.zeros(2)}, 5):
        with pytest.raises(gpuzarr.ArgumentError):
            a.with_config(wrong)
    if mode == "r+":
        a[:2] = 0
        assert a.nchunks_initialized == 0
        other[:2] = 0
        assert a.nchunks_initialized == 1 and other.with_config(a.config).config == a.config


def test_places_in_stores_are_stores() -> None:
    g = gpuzarr.group()
    g["a/b"] = [1, 2, 3]
    for place in (g["a"].store_path / "b", g["a/b"].store_path):
        assert gpuzarr.open(place)[:].tolist() == gpuzarr.Array.open(place)[:].tolist() == [1, 2, 3]
    assert gpuzarr.Group.open(g["a"].store_path)["b"].shape == (3,)
    made = gpuzarr.Group.from_store(g.store_path / "c", attributes={"n": 1}, zarr_format=3)
    assert dict(g["c"].attrs) == {"n": 1} == dict(made.attrs) and g.synchronizer is None
    a = gpuzarr.Array.from_dict(g["a/b"].store_path, g["a/b"].metadata.to_dict())
    a[0] = 7
    assert g["a/b"][0] == 7
    for call in (lambda: gpuzarr.Group.open(g["a/b"].store_path), lambda: gpuzarr.Array.open(g.store_path)):
        with pytest.raises(gpuzarr.NotFoundError):
            call()


@pytest.mark.parametrize("node", ["", "a"])
def test_attributes_are_set_as_a_whole(node: str) -> None:
    g = gpuzarr.group()
    g["a"] = [1]
    found: Any = g[node] if node else g
    found.attrs["old"] = 1
    found.attrs = {"new": [1, 2]}
    assert dict(found.attrs) == dict(gpuzarr.open(g.store, node).attrs) == {"new": [1, 2]}
    with pytest.raises(gpuzarr.ReadOnlyError):
        gpuzarr.open(g.store, node).attrs = {}  # type: ignore[misc]


def test_a_member_is_required_or_made() -> None:
    g = gpuzarr.group()
    a = g.require_array("a", shape=3, dtype="i2", chunks=2)
    assert g.require_array("a", shape=(3,), dtype="i4").dtype == a.dtype == g.require_array("a", shape=3).dtype
    assert g.require_array("a", shape=3, dtype="i2", exact=True, config={"write_empty_chunks": True}).config.safe
    wrong: list[dict[str, Any]] = [
        {"shape": 4},
        {"shape": 3, "dtype": "u1"},
        {"shape": 3, "dtype": "i4", "exact": True},
    ]
    for options in wrong:
        with pytest.raises(TypeError, match="asked for"):
            g.require_array("a", **options)
    assert [made.path for made in g.require_groups("b", "c/d", "b")] == ["b", "c/d", "b"] and g.require_groups() == ()
    with pytest.raises(TypeError):
        g.require_group("a")
    assert g.require_group("a", overwrite=True).nmembers() == 0
    for get, name in ((g.get_array, "b"), (g.get_group, "c/d/e")):
        with pytest.raises((gpuzarr.ExistsError, gpuzarr.NotFoundError)):
            get(name)
    facts = g.info_complete().asdict()
    assert (facts["No. members"], facts["No. arrays"], facts["No. groups"]) == (4, 0, 4)


def test_deprecated_members_warn() -> None:
    a, g = gpuzarr.zeros(3, zarr_format=2, compressors=None), gpuzarr.group()
    with pytest.warns(DeprecationWarning):
        assert a.compressor is None
    with pytest.warns(DeprecationWarning):
        g.create_dataset("a", shape=3, dtype="i2")
    with pytest.warns(DeprecationWarning):
        assert g.require_dataset("a", shape=3).dtype == "i2"
    with pytest.raises(TypeError, match="compressors"):
        _ = gpuzarr.zeros(3).compressor


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_summaries_tell_what_is_below(zarr_format: Any) -> None:
    g = gpuzarr.group(zarr_format=zarr_format)
    assert g.metadata.consolidated_metadata is None
    g["a/b"], g["c"] = [1], [2]
    found = gpuzarr.consolidate_metadata(g.store).metadata.consolidated_metadata
    assert found is not None and list(found.metadata) == ["a", "c"]
    assert sorted(found.flattened_metadata) == ["a", "a/b", "c"]
    inside: Any = found.metadata["a"]
    assert list(inside.consolidated_metadata.metadata) == ["b"]
