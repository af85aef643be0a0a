"""What `check` says of nodes and objects that lie where they should not, and of nodes without axes."""

from __future__ import annotations

import numpy as np

import gpuzarr
from gpuzarr.tools import check


def told(place):
    return sorted(((f.kind, f.path, f.key) for f in check(place, device="cpu").findings), key=str)


def test_a_group_of_v2_whose_document_is_missing():
    """Its attributes make no group of it."""
    store: dict[str, bytes] = {}
    gpuzarr.create_group(store, zarr_format=2, attributes={"a": 1}).create_array("x", data=np.arange(3))
    del store[".zgroup"]
    assert told(store) == [("missing-group", "", None), ("stray-object", "", ".zattrs")]
    del store[".zattrs"]
    assert told(store) == [("missing-group", "", None)]


def test_attributes_and_chunks_of_an_array_whose_document_is_missing():
    store: dict[str, bytes] = {}
    root = gpuzarr.create_group(store, zarr_format=2)
    root.create_array("x", data=np.arange(4), chunks=2, attributes={"a": 1})
    del store["x/.zarray"]
    assert told(store) == [("stray-object", "", "x/0"), ("stray-object", "x", "x/.zattrs")]
    assert check(store)


def test_stores_in_a_folder(tmp_path):
    """A folder is no group that is missing if only stores lie in it; each of them is checked."""
    for name in ("a.zarr", "b.zarr"):
        gpuzarr.save_group(tmp_path / name, x=np.arange(5))
    report = check(tmp_path)
    assert not report.findings and [array.path for array in report.arrays] == ["a.zarr/x", "b.zarr/x"]
    (tmp_path / "b.zarr" / "x" / "c" / "0").write_bytes(b"")
    assert told(tmp_path) == [("damaged-chunk", "b.zarr/x", "b.zarr/x/c/0")]
    (tmp_path / "b.zarr" / "zarr.json").unlink()
    assert ("missing-group", "b.zarr", None) in told(tmp_path)


def test_an_array_without_axes_in_a_shard():
    store: dict[str, bytes] = {}
    gpuzarr.create_array(store, data=np.array(3), shards=())
    assert gpuzarr.open_array(store).shards == () and not check(store, census=True).findings
    store["c"] = store["c"][:-1] + bytes([store["c"][-1] ^ 1])
    assert told(store) == [("shard-index", "", "c")]
