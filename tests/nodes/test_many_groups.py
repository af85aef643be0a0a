"""Groups by the thousand, side by side and within each other: time by their number, and no limit to their depth."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from time import process_time

import pytest

import gpuzarr
from tests import nasty

CALLS = 200  # within each other, that a test lets Python make
DEEP = 300  # levels: more than that
GROUP = {"zarr_format": 3, "node_type": "group"}


def consolidated(paths, zarr_format=3):
    if zarr_format == 2:
        files = {f"{path}/.zgroup": {"zarr_format": 2} for path in paths}
        summary = {"zarr_consolidated_format": 1, "metadata": files}
        return {".zgroup": b'{"zarr_format": 2}', ".zmetadata": json.dumps(summary).encode()}
    inline = {"kind": "inline", "must_understand": False, "metadata": dict.fromkeys(paths, GROUP)}
    return nasty.of(zarr_json={**GROUP, "consolidated_metadata": inline})


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("levels", [600, 3000])
def test_deep_groups(levels, zarr_format):
    paths = ["/".join(["a"] * n) for n in range(1, levels + 1)]
    with nasty.in_time("deep groups"):
        group = gpuzarr.open(consolidated(paths, zarr_format))
        assert str(group.tree(max_nodes=10**6)).count("\n") == levels
        assert [path for path, _ in group.members(max_depth=None)] == paths
        assert group[paths[-1]].keys() == []
        assert group.nmembers(max_depth=2) == 3
    assert sys.getrecursionlimit() < levels + 500


@pytest.fixture
def folder(tmp_path):
    """A folder that nothing is left of: one that is too deep would stop those who clean up."""
    yield str(tmp_path)
    subprocess.run(["rm", "-rf", tmp_path], check=True)


@pytest.fixture
def few_calls():
    """Python's limit of calls within each other is lower: as if there were as many more levels."""
    limit, frame, depth = sys.getrecursionlimit(), sys._getframe(), 0
    while frame := frame.f_back:
        depth += 1
    sys.setrecursionlimit(depth + CALLS)
    yield
    sys.setrecursionlimit(limit)


def test_deep_groups_in_a_mapping_and_in_a_folder(folder, few_calls):
    for store, levels in (({}, DEEP), (folder, DEEP)):
        path = "/".join(["a"] * levels)
        with nasty.in_time("deep groups"):
            gpuzarr.create_group(store, path=path)
            group = gpuzarr.open_group(store, mode="r+")
            assert str(group.tree(max_nodes=10**6)).count("\n") == levels
            assert group.nmembers(max_depth=None) == levels
            assert str(gpuzarr.consolidate_metadata(store).tree(max_nodes=10**6)).count("\n") == levels
            del group["a"]
            assert group.keys() == []


def test_a_path_too_long_for_a_folder_is_refused(folder):
    with pytest.raises(gpuzarr.ArgumentError, match=r"6\d+ bytes"):
        gpuzarr.create_group(folder, path="/".join(["a"] * 3000))
    with pytest.raises(gpuzarr.NotFoundError):
        gpuzarr.open(folder, "b" * 300)
    assert gpuzarr.open_group(folder, mode="w").keys() == []


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("shape", ["wide", "two levels"])
def test_the_time_grows_as_the_number(shape, zarr_format):
    """Of four times as many groups: four times the time, not sixteen (and half of it again for other processes)."""

    def seconds(number):
        paths = [f"a{i}" if shape == "wide" else f"a{i // 2}/b{i % 2}" for i in range(number)]
        paths += [] if shape == "wide" else [f"a{i}" for i in range(number // 2)]
        group = gpuzarr.open(consolidated(paths, zarr_format))
        gc.collect()
        gc.disable()  # it looks at all that other tests have left, too
        try:
            begin = process_time()
            assert str(group.tree(max_nodes=10**6)).count("\n") == len(paths)
            assert len(group.members()) == len(group.keys())
            return process_time() - begin
        finally:
            gc.enable()

    seconds(10)
    few = min(seconds(1000) for _ in range(3))
    assert any(seconds(4000) < 10 * few for _ in range(2))  # once more where the first was disturbed


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_mapping_is_looked_through_once(depth):
    """However many groups it has; a group, its arrays and chunks, and folders that are no groups."""

    class Counted(dict):
        looks = 0

        def __iter__(self):
            Counted.looks += 1
            return super().__iter__()

    store = Counted()
    for i in range(20):
        gpuzarr.create_array(store, name="/".join([f"g{i % 4}", *["x"] * depth, f"a{i}"]), data=[1, 2], chunks=1)
    store["g1/no group/file"] = b""
    for where in ("", "g1"):
        group = gpuzarr.open(store, where)
        Counted.looks = 0
        listed = group.members(max_depth=None)
        assert Counted.looks == 1
        assert str(group.tree(max_nodes=10**6)).count("\n") == len(listed)
        assert Counted.looks == 2
        assert sum(isinstance(node, gpuzarr.Array) for _, node in listed) == (20 if where == "" else 5)
        for _, node in listed:
            members = node.members() if isinstance(node, gpuzarr.Group) else []
            found = [path for path, _ in listed if path.rpartition("/")[0] == node.path[len(where) :].lstrip("/")]
            assert [name for name, _ in members] == [path.rpartition("/")[2] for path in found]


def test_views_of_consolidated_metadata():
    paths = ["a", "a/b", "a/b/c", "ab", "a/d", "e/f"]  # e itself is missing
    nodes = gpuzarr.open(consolidated(paths)).metadata.consolidated
    inner = nodes.below("a")
    assert sorted(nodes) == sorted(paths)
    assert sorted(inner) == ["b", "b/c", "d"]
    assert len(inner) == 3
    assert (nodes.names(), inner.names(), inner.below("b").names()) == (["a", "ab"], ["b", "d"], ["c"])
    assert inner["b/c"] is nodes["a/b/c"]
    assert "b" in inner
    assert 5 not in inner
    assert inner.get("x") is None
