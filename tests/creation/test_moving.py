"""Nodes that are moved and copied: all that belongs to them, byte by byte, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.creation import copy, move
from gpuzarr.stores import moving
from tests.stores_of_tests import KINDS, objects

FORMATS: Any = [2, 3]


def filled(store: Any, zarr_format: Any) -> Any:
    """A store with a group g that has an array a, a group h and in it an array b."""
    g = gpuzarr.create_group(store, path="g", attributes={"title": "é"}, zarr_format=zarr_format)
    g.create_array("a", data=np.arange(60).reshape(6, 10), chunks=(4, 3), attributes={"unit": "K"})
    g.create_array("h/b", data=np.arange(6.0), chunks=(2,), **({"shards": (4,)} if zarr_format == 3 else {}))
    return store


def below(found: dict[str, bytes], path: str) -> dict[str, bytes]:
    start = f"{path}/" if path else ""
    return {key[len(start) :]: value for key, value in found.items() if key.startswith(start)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize(("source", "target"), [("g", "x/y"), ("g/a", "g/h/c"), ("g/h", "h"), ("g/a", "a")])
def test_a_moved_node_is_the_same(source: str, target: str, zarr_format: Any, kind: str, tmp_path: Path) -> None:
    store = filled(KINDS[kind](tmp_path), zarr_format)
    before = objects(store)
    move(store, source, target)
    after = objects(store)
    assert below(after, target) == below(before, source) and not below(after, source)
    rest = {key for key in after if not key.startswith(f"{target}/")} & set(before)
    assert all(after[key] == before[key] for key in rest)
    node = gpuzarr.open(store, target)
    assert isinstance(node, gpuzarr.Group) or (node[...] == np.arange(60).reshape(6, 10)).all()
    assert target in gpuzarr.open_group(store), "the groups above are made"


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize(("source", "target"), [("g", "x/y"), ("g/h", ""), ("", "all"), ("g/a", "a")])
def test_a_copy_is_the_same(
    source: str, target: str, zarr_format: Any, kind: str, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MAX_PIECE_BYTES", 7)
    store, other = filled(KINDS[kind](tmp_path / "1"), zarr_format), KINDS[to](tmp_path / "2")
    before = objects(store)
    copy(store, source, other, target)
    assert objects(store) == before
    assert below(objects(other), target) == below(before, source)
    assert not target or target in gpuzarr.open_group(other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_within_a_store(kind: str, tmp_path: Path) -> None:
    """Also into itself: of what was there when it began."""
    store = filled(KINDS[kind](tmp_path), 3)
    before = objects(store)
    copy(store, "g", store, "g/copy")
    copy(store, "", store, "all")
    after = objects(store)
    assert below(after, "g/copy") == below(before, "g") and all(after[key] == before[key] for key in before)
    assert below(after, "all") == {key: value for key, value in after.items() if not key.startswith("all/")}
    copy(store, "g/h", store, "g", overwrite=True)
    assert below(objects(store), "g") == below(before, "g/h")
    assert (gpuzarr.open(store, "g/b")[...] == np.arange(6)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zarr_format", FORMATS)
def test_what_cannot_be_moved_or_copied(zarr_format: Any, kind: str, tmp_path: Path) -> None:
    store = filled(KINDS[kind](tmp_path), zarr_format)
    gpuzarr.create_group(store, path="x", zarr_format=zarr_format)
    before = objects(store)
    for source, target, error in [
        ("none", "y", gpuzarr.NotFoundError),
        ("g", "x", gpuzarr.ExistsError),
        ("g", "g/a/z", gpuzarr.GpuZarrError),
        ("x", "g/a/z", gpuzarr.ExistsError),
        ("g/a", "g/a", gpuzarr.GpuZarrError),
    ]:
        with pytest.raises(error):
            move(store, source, target)
        with pytest.raises(error):
            copy(store, source, store, target)
        assert objects(store) == before
    for source, target in [("", "y"), ("g", ""), ("g", "g/y"), ("g", "g")]:
        with pytest.raises(gpuzarr.ArgumentError):
            move(store, source, target)
        assert objects(store) == before
