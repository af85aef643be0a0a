"""Stores that other processes have, too, and writers of parts of the same chunks and shards in them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuzarr
from gpuzarr.stores.remote.obstore_client import of_url
from gpuzarr.stores.remote.store import RemoteStore
from tests.hardware import on
from tests.stores.own_store import OwnObjects, OwnStore

ROWS = np.repeat(np.arange(1, 33, dtype="i4")[:, None], 16, axis=1)
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (32, 8)},
    "shards": {"chunks": (8, 8), "shards": (32, 16)},
    "an index first": {"chunks": (1, 16), "shards": {"shape": (32, 16), "index_location": "start"}},
}


@dataclass(frozen=True, repr=False)
class Unlocked(OwnStore):
    """A store that other processes have, too: its locks keep nobody out."""

    def locked(self, keys: Sequence[str]) -> Any:
        return nullcontext()

    def open(self, keys: Sequence[str], threads: int = 1) -> OwnObjects:
        found = super().open(keys, threads)
        time.sleep(0.001)  # others come in between
        return found


@dataclass(frozen=True, repr=False)
class Unguarded(Unlocked):
    """The same, and it says that nothing but locks guards it."""

    guard = "alone"  # type: ignore[misc,assignment]


def write_rows(a: gpuzarr.Array, rows: Sequence[int], with_writer: bool = False) -> None:
    if with_writer:
        with a.writer() as writer:
            for row in rows:
                writer[row] = on(a.device, ROWS[row])
    else:
        for row in rows:
            a[row] = on(a.device, ROWS[row])


def opened(store: Any, device: Any) -> gpuzarr.Array:
    return gpuzarr.open_array(store, mode="r+", device=device)


WRITE_ROWS = """
import sys
from tests.write.many_writers import opened, remote, write_rows
write_rows(opened(remote(sys.argv[1]), "cpu"), range(int(sys.argv[2]), 32, 2))
"""


def remote(url: str) -> RemoteStore:
    options = {"endpoint": url, "region": "us-east-1", "skip_signature": True}
    return RemoteStore(of_url("s3://bucket/a", options))
