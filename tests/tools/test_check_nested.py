"""What `check` says of the indexes of shards that lie in shards."""

from __future__ import annotations

import json

import numpy as np

import gpuzarr
from gpuzarr.tools import check
from tests import nasty

LITTLE, CRC = {"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}
CHUNK_BYTES, ENTRY_BYTES = 12, 16  # four elements of two bytes, and a checksum; an offset and a size


def made(index_codecs):
    """Chunks of 2 x 2 in shards of 4 x 4, in shards of 8 x 8; those at the end leave the array."""
    innermost = {"chunk_shape": [2, 2], "codecs": [LITTLE, CRC], "index_codecs": index_codecs}
    inner = {"chunk_shape": [4, 4], "codecs": [{"name": "sharding_indexed", "configuration": innermost}]}
    outer = {"name": "sharding_indexed", "configuration": {**inner, "index_codecs": [LITTLE, CRC]}}
    store = {"zarr.json": json.dumps(nasty.array((14, 11), (8, 8), [outer], data_type="uint16")).encode()}
    gpuzarr.open_array(store, mode="r+")[...] = np.arange(1, 14 * 11 + 1).reshape(14, 11)
    return store


def changed(store, key, place, value=None):
    data = bytearray(store[key])
    data[place] = data[place] ^ 1 if value is None else value
    store[key] = bytes(data)


def told(store, device):
    return sorted((f.kind, f.key, f.chunk) for f in check(store, device=device).findings)


def test_a_damaged_index_hides_no_damage_beside_it(device):
    store, inner_bytes = made([LITTLE, CRC]), 4 * (CHUNK_BYTES + ENTRY_BYTES) + 4
    assert not told(store, device) and check(store, device=device).arrays[0].present == 7 * 6
    changed(store, "c/0/0", 4 * CHUNK_BYTES + 1)  # the index of the first shard in it lies behind its chunks
    assert told(store, device) == [("shard-index", "c/0/0", (0, 0))]
    changed(store, "c/0/0", inner_bytes)  # the first chunk of the second one
    assert told(store, device) == [("damaged-chunk", "c/0/0", (0, 2)), ("shard-index", "c/0/0", (0, 0))]


def test_chunks_in_the_bytes_of_each_other(device):
    store = made([LITTLE])
    assert not told(store, device)
    changed(store, "c/0/0", 4 * CHUNK_BYTES + ENTRY_BYTES, CHUNK_BYTES - 1)
    assert told(store, device) == [("shard-index", "c/0/0", (0, 1))]
