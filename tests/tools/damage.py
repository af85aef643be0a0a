"""Damage done to a hierarchy, and what `check` must say of it."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import google_crc32c
import numpy as np

import gpuzarr

CRC = {"name": "crc32c"}
ENTRIES = 4  # of an index: inner chunks of a shard


class Said(NamedTuple):
    """What is found: the kind, the path of the node, the key, the chunk and the codec."""

    kind: str
    path: str
    key: str | None = None
    chunk: tuple[int, ...] | None = None
    codec: str | None = None


def made(store: Any) -> Any:
    """A hierarchy: arrays of several codecs in /a, one of Zarr v3 in shards in /a/deep, nothing wrong."""
    root = gpuzarr.create_group(store)
    values = np.random.default_rng(5).integers(0, 9, (6, 8)).astype("<i4")
    for name, codecs in (("raw", None), ("zstd", "zstd"), ("gzip", "gzip"), ("blosc", "blosc"), ("crc", [CRC])):
        root.create_array(f"a/{name}", data=values, chunks=(3, 4), compressors=codecs)
    root.create_array("a/deep/shards", data=values, chunks=(3, 2), shards=(6, 4), compressors=["zstd", CRC])
    gpuzarr.consolidate_metadata(store)
    return store


def keys_of(store: Any, path: str) -> list[str]:
    return sorted(key for key in store if key.startswith(f"{path}/c/"))


def _chunk(key: str, path: str) -> tuple[int, ...]:
    return tuple(map(int, key[len(path) + 3 :].split("/")))


def cut(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A chunk that ends too early, of any codec."""
    name, codec = pick([("raw", "bytes"), ("zstd", "zstd"), ("gzip", "gzip"), ("blosc", "blosc"), ("crc", "crc32c")])
    path = f"a/{name}"
    key = pick(keys_of(store, path))
    store[key] = bytes(store[key])[: pick(range(len(store[key])))]
    return Said("damaged-chunk", path, key, _chunk(key, path), codec)


def longer(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A chunk that is not compressed, of too many bytes."""
    key = pick(keys_of(store, "a/raw"))
    store[key] = bytes(store[key]) + b"\0" * pick(range(1, 5))
    return Said("damaged-chunk", "a/raw", key, _chunk(key, "a/raw"), "bytes")


def flipped(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A bit of a chunk that has a checksum."""
    path, codec = pick([("a/crc", "crc32c"), ("a/gzip", "gzip")])
    key = pick(keys_of(store, path))
    data, first = bytearray(store[key]), 0
    if codec == "gzip":  # stored, as decoders differ in which Huffman codes they take; and its headers mean little
        data, first = bytearray(gzip.compress(gzip.decompress(bytes(data)), 0)), 11
    data[pick(range(first, len(data)))] ^= 1 << pick(range(8))
    store[key] = bytes(data)
    return Said("damaged-chunk", path, key, _chunk(key, path), codec)


SHARDS = "a/deep/shards"


def _entries(shard: bytes) -> list[list[int]]:
    numbers = struct.unpack(f"<{2 * ENTRIES}Q", shard[-16 * ENTRIES - 4 : -4])
    return [list(numbers[2 * i : 2 * i + 2]) for i in range(ENTRIES)]


def _with_entries(shard: bytes, entries: list[list[int]]) -> bytes:
    index = struct.pack(f"<{2 * ENTRIES}Q", *(number for entry in entries for number in entry))
    return shard[: -16 * ENTRIES - 4] + index + struct.pack("<I", google_crc32c.value(index))


def _inner(key: str, number: int) -> tuple[int, ...]:
    shard = _chunk(key, SHARDS)
    return shard[0] * 2 + number // 2, shard[1] * 2 + number % 2


def flipped_in_shard(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A bit of a chunk in a shard."""
    key, number = pick(keys_of(store, SHARDS)), pick(range(ENTRIES))
    data = bytearray(store[key])
    begin, size = _entries(bytes(data))[number]
    data[begin + pick(range(size))] ^= 1 << pick(range(8))
    store[key] = bytes(data)
    return Said("damaged-chunk", SHARDS, key, _inner(key, number), "crc32c")


def cut_shard(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A shard without its end, where its index is."""
    key = pick(keys_of(store, SHARDS))
    store[key] = bytes(store[key])[: -pick(range(1, len(store[key])))]
    return Said("shard-index", SHARDS, key, None, "sharding_indexed")


def flipped_index(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A bit of the index of a shard."""
    key = pick(keys_of(store, SHARDS))
    data = bytearray(store[key])
    data[-pick(range(1, 16 * ENTRIES + 5))] ^= 1 << pick(range(8))
    store[key] = bytes(data)
    return Said("shard-index", SHARDS, key, None, "sharding_indexed")


def beyond(store: Any, pick: Callable[[Any], Any]) -> Said:
    """An index that puts a chunk beyond the end of the shard; its checksum is right."""
    key, number = pick(keys_of(store, SHARDS)), pick(range(ENTRIES))
    shard = bytes(store[key])
    entries = _entries(shard)
    entries[number][0] = len(shard) - pick(range(1, entries[number][1]))
    store[key] = _with_entries(shard, entries)
    return Said("shard-index", SHARDS, key, _inner(key, number), "sharding_indexed")


def overlapping(store: Any, pick: Callable[[Any], Any]) -> Said:
    """An index that puts a chunk, which is the last, into the bytes of the one before."""
    key = pick(keys_of(store, SHARDS))
    shard = bytes(store[key])
    entries = _entries(shard)
    last = max(range(ENTRIES), key=lambda i: entries[i][0])
    entries[last][0] -= pick(range(1, 4))
    store[key] = _with_entries(shard, entries)
    return Said("shard-index", SHARDS, key, _inner(key, last), "sharding_indexed")


def outside(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A chunk that is not in the grid."""
    chunk = pick([(2, 0), (0, 2), (7, 7), (10**18, 0)])
    key = f"a/zstd/c/{chunk[0]}/{chunk[1]}"
    store[key] = b"any"
    return Said("outside-grid", "a/zstd", key, chunk)


def stray(store: Any, pick: Callable[[Any], Any]) -> Said:
    """An object that is nobody's."""
    no_chunks = [("a/raw", name) for name in ("0.0", "c/0", "c/00/0", "c/0/0/0", "README")]
    path, name = pick([("", "notes.txt"), ("a", "x"), *no_chunks])
    key = f"{path}/{name}".strip("/")
    store[key] = b"any"
    return Said("stray-object", path, key)


def both(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A document of Zarr v2 beside one of v3."""
    path, name = pick([("a", ".zgroup"), ("a/gzip", ".zarray"), ("", ".zgroup")])
    key = f"{path}/{name}".strip("/")
    store[key] = b'{"zarr_format": 2}'
    return Said("both-versions", path, key)


def no_group(store: Any, pick: Callable[[Any], Any]) -> list[Said]:
    """A group whose document is missing, so that consolidated metadata are wrong, too."""
    path = pick(["a", "a/deep"])
    del store[f"{path}/zarr.json"]
    return [Said("missing-group", path), Said("consolidated", "", "zarr.json")]


def out_of_date(store: Any, pick: Callable[[Any], Any]) -> Said:
    """Attributes that were changed without the consolidated metadata."""
    path = pick(["a/blosc/zarr.json", "a/crc/zarr.json"])
    document = json.loads(bytes(store[path]))
    store[path] = json.dumps({**document, "attributes": {"new": pick(range(9))}}).encode()
    return Said("consolidated", "", "zarr.json")


def broken(store: Any, pick: Callable[[Any], Any]) -> list[Said]:
    """A document that ends too early."""
    key = "a/blosc/zarr.json"
    store[key] = bytes(store[key])[: pick(range(len(store[key]) - 1))]
    return [Said("metadata", "a/blosc", key), Said("consolidated", "", "zarr.json")]


def inside(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A group in an array."""
    store["a/crc/sub/zarr.json"] = b'{"zarr_format": 3, "node_type": "group"}'
    return Said("node-in-array", "a/crc", "a/crc/sub/zarr.json")


def of_zarr_python(store: Any, pick: Callable[[Any], Any]) -> Said:
    """A file of a write by zarr-python that did not end."""
    key = "a/raw/c/0/0.6e1cfd5ea8ff4b6b8aaf5a2d6b7a1f55.partial"
    store[key] = b"any"
    return Said("partial-file", "a/raw", key)


KINDS = (cut, longer, flipped, flipped_in_shard, cut_shard, flipped_index, beyond, overlapping, outside, stray, both)
KINDS += (no_group, out_of_date, broken, inside, of_zarr_python)
