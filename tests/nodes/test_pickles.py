"""Pickled nodes are small, and need no request to be what they were."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.stores.local.store import LocalStore

FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])
COUNT = 200


@FORMATS
def test_a_group_with_consolidated_metadata(zarr_format: Any, tmp_path: Path) -> None:
    """They are sent along, so the copy needs no document of the store; not those of each array that was looked at."""
    nodes = {f"g{i % 7}/a{i}": np.arange(i + 1) for i in range(COUNT)}
    gpuzarr.save_group(tmp_path, zarr_format=zarr_format, **nodes)
    g = gpuzarr.consolidate_metadata(tmp_path)
    g = gpuzarr.open_group(tmp_path, mode="r")
    before = len(pickle.dumps(g))
    listed = dict(g.members(max_depth=None))
    sent = pickle.dumps(g)
    assert len(sent) == before < 60 * COUNT
    for document in [*tmp_path.rglob("zarr.json"), *tmp_path.rglob(".z*")]:
        document.unlink()
    copy = pickle.loads(sent)
    assert copy.metadata.to_dict() == g.metadata.to_dict() and copy.metadata.consolidated.documents
    for path, node in copy.members(max_depth=None):
        assert node.metadata.to_dict() == listed.pop(path).metadata.to_dict()
        assert not isinstance(node, gpuzarr.Array) or np.array_equal(node[...], nodes[path])
    assert not listed
    inner = pickle.loads(pickle.dumps(copy["g3"]))
    assert inner.keys() == copy["g3"].keys() and inner["a3"].shape == (4,)


@FORMATS
def test_views_of_the_same_nodes_stay_together(zarr_format: Any, tmp_path: Path) -> None:
    """A group and those below it that are pickled together have the nodes once, and follow the same changes."""
    gpuzarr.save_group(tmp_path, zarr_format=zarr_format, **{f"g/a{i}": np.arange(2) for i in range(50)})
    gpuzarr.consolidate_metadata(tmp_path)
    g = gpuzarr.open_group(tmp_path, mode="r")
    several = pickle.dumps([g, g["g"], g["g"], g])
    assert len(several) < 1.5 * len(pickle.dumps(g))
    copy, inner, _, _ = pickle.loads(several)
    gpuzarr.open_group(tmp_path, mode="r+")["g/new"] = np.arange(3)
    assert "g/new" in copy and "new" in inner


def test_odd_attributes_come_through(tmp_path: Path) -> None:
    attributes = {"nan": float("nan"), "inf": float("-inf"), "half": "\ud800", "big": 10**30, "é": [None, True, {}]}
    document = gpuzarr.create_group(tmp_path, attributes={"x": 1}).create_group("g").metadata.to_dict()
    text = json.dumps({**document, "attributes": attributes})
    (tmp_path / "g/zarr.json").write_text(text)
    gpuzarr.consolidate_metadata(tmp_path)
    g = gpuzarr.open_group(tmp_path, mode="r")
    copy = pickle.loads(pickle.dumps(g))
    assert str(dict(copy["g"].attrs)) == str(dict(g["g"].attrs))


def test_an_array_is_small(tmp_path: Path) -> None:
    gpuzarr.save_array(tmp_path, np.zeros((100, 100)), chunks=(10, 10))
    a = gpuzarr.open_array(LocalStore(tmp_path), device="cpu")
    a[...]
    assert len(pickle.dumps(a)) < 2500 + len(str(tmp_path))


def test_a_copied_document_of_a_group_has_its_consolidated_metadata(tmp_path: Path) -> None:
    gpuzarr.save_group(tmp_path, a=[1, 2])
    g = gpuzarr.consolidate_metadata(tmp_path)
    stored = json.loads((tmp_path / "zarr.json").read_text())
    assert gpuzarr.open_group(tmp_path, mode="r").metadata.to_dict() == stored
    g.attrs["x"] = 1
    assert json.loads((tmp_path / "zarr.json").read_text()) == {**stored, "attributes": {"x": 1}}
