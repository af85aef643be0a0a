"""Consolidated metadata that are wrong hide nothing: the group opens without them, is changed, and gets new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr

BROKEN: list[Any] = [
    *({"kind": "other", "metadata": {}}, {"kind": "inline"}, {"kind": "inline", "metadata": []}, [1], "inline", 3),
    {"kind": "inline", "metadata": {"../x": {}}},
]


def made(kind: str, tmp_path: Path, zarr_format: Any) -> Any:
    store: Any = {} if kind == "mapping" else tmp_path / "store"
    g = gpuzarr.open_group(store, mode="w", zarr_format=zarr_format)
    g.create_group("b")["a"] = np.arange(3)
    return store


def put(store: Any, key: str, data: bytes) -> None:
    if isinstance(store, dict):
        store[key] = data
    else:
        (store / key).write_bytes(data)


def check(store: Any) -> None:
    g = gpuzarr.open_group(store, mode="r+", use_consolidated=False)
    assert [path for path, _ in g.members(max_depth=None)] == ["b", "b/a"]
    assert g["b/a"][...].tolist() == [0, 1, 2]
    g.attrs["k"] = 1
    g["b"].attrs["k"] = 2
    g.create_group("c")
    made = gpuzarr.consolidate_metadata(store)
    assert made.attrs == {"k": 1} and made["b"].attrs == {"k": 2} and sorted(made) == ["b", "c"]
    assert gpuzarr.open_group(store)["b"]["a"][...].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["mapping", "folder"])
@pytest.mark.parametrize("path", ["", "b/"])
@pytest.mark.parametrize("summary", BROKEN, ids=str)
def test_wrong_summaries_of_v3(summary: Any, path: str, kind: str, tmp_path: Path) -> None:
    store = made(kind, tmp_path, 3)
    document = {"zarr_format": 3, "node_type": "group", "attributes": {}, "consolidated_metadata": summary}
    put(store, path + "zarr.json", json.dumps(document).encode())
    with pytest.raises(gpuzarr.MetadataError, match="use_consolidated=False"):
        gpuzarr.open_group(store, path=path)
    check(store)


@pytest.mark.parametrize("kind", ["mapping", "folder"])
@pytest.mark.parametrize("summary", [b"", b"{", b"[]", b'{"zarr_consolidated_format": 2}', b'{"metadata": 3}'])
def test_wrong_summaries_of_v2(summary: bytes, kind: str, tmp_path: Path) -> None:
    store = made(kind, tmp_path, 2)
    put(store, ".zmetadata", summary)
    with pytest.raises(gpuzarr.MetadataError):
        gpuzarr.open_group(store)
    check(store)
