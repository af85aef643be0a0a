"""Documents of which a part is anything: whatever is then done with the store, every error is typed.

Seeds are fixed; GPUZARR_ATTACK_ROUNDS multiplies the number of documents.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.checks import shown
from tests import nasty
from tests.attack.rounds import FACTOR, tried
from tests.metadata.anything import places

DOCUMENTS = 60  # mutated of each store
NUMBERS = [-1, 0, 1, 2, 3, 7, 64, 2**50, 2**62, 2**63 - 1, 2**63, 10**30, 10**4000, 1.5, -0.0, 1e300, float("inf")]
TEXTS = ["", "x", "inline", "array", "group", "int16", "string", "r16", "<M8", "|O", "|V0", "<U9", "\ud800", "a" * 5000]
NAMES = [
    "zstd",
    "gzip",
    "blosc",
    "lz4",
    "crc32c",
    "bytes",
    "transpose",
    "vlen-utf8",
    "sharding_indexed",
    "delta",
    "quantize",
]
MEMBERS = ["must_understand", "name", "configuration", "storage_transformers", "dimension_names", "x", "\ud800"]


def anything(draw: Random) -> Any:
    """Any value of JSON."""
    kinds: list[Callable[[], Any]] = [
        lambda: draw.choice(NUMBERS),
        lambda: draw.choice(TEXTS),
        lambda: draw.choice([None, True, False, [], {}]),
        lambda: [draw.choice(NUMBERS) for _ in range(draw.randrange(1, 4))],
        lambda: [anything(draw)] * draw.choice([1, 2, 63]),
        lambda: {draw.choice(MEMBERS): anything(draw)},
        lambda: draw.choice(NAMES),
        lambda: {"name": draw.choice(NAMES), "configuration": anything(draw)},
        lambda: {"id": draw.choice(NAMES), "level": draw.choice(NUMBERS)},
        lambda: draw.choice(
            [nasty.ZSTD, nasty.LITTLE, nasty.shards((1, 1)), nasty.array(), nasty.array_v2(), nasty.GROUP]
        ),
        lambda: nasty.deep(draw.choice([3, 60, 300])),
    ]
    return copy.deepcopy(draw.choice(kinds)())


def mutated(document: Any, draw: Random) -> Any:
    """A document of which one to three places are another value, or are gone, or are there twice."""
    document = copy.deepcopy(document)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        path = draw.choice(list(places(document)))
        if not path:
            document = document if draw.random() < 0.9 else anything(draw)
            continue
        at = document
        for step in path[:-1]:
            at = at[step]
        what = draw.random()
        if what < 0.7:
            at[path[-1]] = anything(draw)
        elif what < 0.85:
            del at[path[-1]]
        elif isinstance(at, list):
            at.insert(path[-1], copy.deepcopy(at[path[-1]]))
        else:
            at[draw.choice(MEMBERS)] = copy.deepcopy(at[path[-1]])
    return document


def damaged(data: bytes, draw: Random) -> bytes:
    """A document with a mutated value; or, seldom, with a mutated byte."""
    try:
        if draw.random() < 0.9:
            return json.dumps(mutated(json.loads(data), draw)).encode()
    except (ValueError, RecursionError):  # it was damaged already
        pass
    place = draw.randrange(len(data))
    return data[:place] + bytes([draw.randrange(256)]) + data[place + draw.randrange(3) :]


def attack(store: dict[str, bytes], draw: Random) -> None:
    """Use a store in every way, after another one of its documents was damaged meanwhile."""
    if (node := quiet(lambda: gpuzarr.open(store, mode="r+", device="cpu"))) is None:
        return
    if draw.random() < 0.3:
        key = draw.choice(sorted(key for key in store if key.rpartition("/")[2] in KEYS))
        store[key] = damaged(store[key], draw)
    for use in draw.sample(list(uses(node)), 12 if isinstance(node, gpuzarr.Array) else 8):
        quiet(use)
    if isinstance(node, gpuzarr.Group):
        for name in node.names():
            if isinstance(inner := quiet(lambda name=name: node[name]), gpuzarr.Array):
                for use in draw.sample(list(uses(inner)), 6):
                    quiet(use)


KEYS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata", "attributes.json")


def uses(node: Any) -> Iterator[Callable[[], Any]]:
    """What may be done with a node, quickly."""
    yield lambda: repr(node)
    yield lambda: str(node.info)
    yield lambda: node.attrs.asdict()
    yield lambda: node.attrs.update(k=1)
    yield lambda: node.attrs.put({"x": "\ud800"})
    yield lambda: node.update_attributes({"n": [1]})
    if isinstance(node, gpuzarr.Group):
        yield lambda: node.tree()
        yield lambda: node.members(max_depth=None)
        yield lambda: node.create_group("a", attributes={"k": 1})
        yield lambda: node.create_array("a/n", shape=3, dtype="i2")
        yield lambda: node.require_array("a", shape=(5, 4))
        yield lambda: node.__delitem__("a")
        yield lambda: gpuzarr.consolidate_metadata(node.store)
        yield lambda: gpuzarr.open_consolidated(node.store).tree()
        return
    few = tuple(slice(0, 2) for _ in node.shape)
    last = (-1,) * node.ndim
    yield lambda: node[few]
    yield lambda: node[last]
    yield lambda: node.vindex[tuple([0, -1] for _ in node.shape)]
    yield lambda: node.__setitem__(last, node[last])
    yield lambda: node.__setitem__(few, 1)
    yield lambda: node.__setitem__(last, "text")
    yield lambda: str(node.explain())
    yield lambda: str(node.explain(slice(None, None, 3)))
    yield lambda: str(node.explain_write())
    yield lambda: str(node.info_complete())
    yield lambda: (node.chunks, node.shards, node.cdata_shape, node.nchunks, node.filters, node.compressors)
    yield lambda: node.resize([min(n, 3) for n in node.shape])
    yield lambda: node.resize([n + 1 for n in node.shape])
    yield lambda: node.append(np.zeros((1, *node.shape[1:])) if max(node.shape, default=0) < 9 > node.ndim else [0])
    yield lambda: node.shard_slices(0, 2)
    yield lambda: gpuzarr.from_array({}, data=node, write_data=False)
    yield lambda: gpuzarr.create_array(node.store, shape=(5, 4), dtype="i2", chunks=(2, 3), attributes={"a": 1})


def quiet(use: Callable[[], Any]) -> Any:
    """The result; None where there is a typed error."""
    try:
        return use()
    except gpuzarr.GpuZarrError as error:
        str(error)
        return None


@pytest.mark.parametrize("kind", nasty.STORES)
def test_no_error_of_a_damaged_document_is_untyped(kind: str) -> None:
    draw = Random(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(DOCUMENTS * FACTOR):
            store = dict(nasty.STORES[kind])
            key = draw.choice(sorted(store))
            store[key] = damaged(store[key], draw)
            tried("documents")
            with nasty.in_time(said := f"{key}: {shown(store[key])}"):
                try:
                    attack(store, draw)
                except Exception as error:
                    raise AssertionError(f"{said}: {type(error).__name__}: {error}") from error
