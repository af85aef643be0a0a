"""Drawings of groups: bounded, as text and as HTML."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype

import gpuzarr
from tests.stores.counting_client import CountingClient, remote

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
NAMES = st.lists(st.sampled_from(["a", "b", "c", "<d>&"]), min_size=1, max_size=4).map("/".join)


@pytest.mark.skipif(ZARR < (3, 4), reason="this zarr-python draws otherwise")
@settings(max_examples=30, deadline=None)
@given(paths=st.sets(NAMES, max_size=8), level=st.none() | st.integers(0, 3), plain=st.booleans())
def test_the_drawing_is_that_of_zarr_python(paths: set[str], level: Any, plain: bool) -> None:
    store: dict[str, bytes] = {}
    g = gpuzarr.group(store)
    for path in paths:
        if not any(other.startswith(f"{path}/") for other in paths):
            g.create_array(path, shape=(2, 3), dtype="i2")
    make = default_buffer_prototype().buffer.from_bytes
    objects = zarr.storage.MemoryStore({key: make(data) for key, data in store.items()})
    theirs = zarr.open_group(objects, mode="r").tree(level=level, plain=plain)
    ours = g.tree(level=level, plain=plain)
    assert str(ours) == repr(theirs).rstrip("\n")
    body = ours._repr_html_().removeprefix("<pre>\n").removesuffix("\n</pre>")
    assert f">{body}\n</pre>" in theirs._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("nodes", [0, 1, 5, 30])
@pytest.mark.parametrize("most", [0, 1, 5, 29, 30, 31])
def test_no_more_nodes_are_drawn_than_asked_for(nodes: int, most: int) -> None:
    g = gpuzarr.group()
    for i in range(nodes):
        g.create_group(f"{i:02}")
    lines = str(g.tree(max_nodes=most)).splitlines()
    drawn = min(nodes, most)
    assert lines[: drawn + 1] == ["/", *(f"{'└' if i == nodes - 1 else '├'}── {i:02}" for i in range(drawn))]
    assert lines[drawn + 1 :] == ([f"Truncated at max_nodes={most}: there are more nodes"] if nodes > most else [])


def test_wrong_arguments_are_refused() -> None:
    g = gpuzarr.group()
    for wrong in ({"level": -1}, {"level": 1.5}, {"max_nodes": -1}, {"max_nodes": None}):
        with pytest.raises(gpuzarr.ArgumentError):
            g.tree(**wrong)
    with pytest.raises(NotImplementedError, match="level"):
        g.tree(expand=True)
    with pytest.warns(DeprecationWarning), pytest.raises(gpuzarr.ArgumentError):
        gpuzarr.tree(g), gpuzarr.tree({})  # type: ignore[arg-type]


def test_little_is_asked_of_a_remote_store_and_much_at_once() -> None:
    """However many nodes there are, as many are looked at as are drawn, and what one look at once has."""
    values: dict[str, bytes] = {}
    g = gpuzarr.group(values)
    for i in range(300):
        g.create_group(f"{i:03}")
    store, client = remote(values={key: (1, value) for key, value in values.items()}, concurrency=16)
    g = gpuzarr.open_group(store, mode="r")
    client.forget()
    assert len(str(g.tree(max_nodes=20)).splitlines()) == 22
    assert len(set(client.asked)) <= 2 * 16 and len(client.lists) <= 1 + 21
    client.forget()
    assert g.keys() == [f"{i:03}" for i in range(300)] and len(client.asked) == 300


def test_many_are_opened_at_once_where_each_takes_long() -> None:
    """So the threads meet. What is wrong with one is told."""
    values: dict[str, bytes] = {}
    gpuzarr.save_group(values, **{f"a{i}": [i] for i in range(4)})
    store, client = remote(values={key: (1, value) for key, value in values.items()}, concurrency=4)
    g, barrier, fetch = gpuzarr.open_group(store, mode="r"), threading.Barrier(4), type(client).fetch

    class Meeting(CountingClient):
        def fetch(self, asked: Any, deliver: Any) -> None:
            barrier.wait(10)
            fetch(self, asked, deliver)

    g.store.__dict__["client"] = Meeting(client.values, concurrency=4)
    assert [name for name, _ in g.arrays()] == ["a0", "a1", "a2", "a3"]
    client.values["a2/zarr.json"] = 2, b"{"
    with pytest.raises(gpuzarr.errors.MetadataError, match=r"a2/zarr\.json"):
        g.keys()
