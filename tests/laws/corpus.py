"""A law of stores: the conformance corpus is read through every store, some arrays of each source and format."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import gpuzarr
from tests import corpus

OF_A_KIND = 6  # arrays, spread evenly
MAX_BYTES = 100_000  # of an array's objects


@cache
def sample() -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    """Rows of expected.json that have a digest, with the objects of each array."""
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in corpus.rows():
        if "sha256" in row:
            kinds.setdefault((row["source"], row["format"]), []).append(row)
    chosen = [row for rows in kinds.values() for row in rows[:: -(-len(rows) // OF_A_KIND)]]
    found = [(row, corpus.objects(row["path"])) for row in chosen]
    small = [(row, objects) for row, objects in found if sum(map(len, objects.values())) <= MAX_BYTES]
    assert {(row["source"], row["format"]) for row, _ in small} == kinds.keys()
    return small


def the_corpus_is_read(new: Callable[[dict[str, bytes]], Any]) -> None:
    if not corpus.rows():
        pytest.skip("the corpus is not here")
    store = new({f"{row['path']}/{key}": data for row, objects in sample() for key, data in objects.items()})
    wrong = []
    for row, _ in sample():
        zarr_format = None if row["format"] == "n5" else int(row["format"][1])
        a = gpuzarr.open_array(store, row["path"], device="cpu", zarr_format=zarr_format)
        if (list(a.shape), corpus.digest(a[...])) != (row["shape"], row["sha256"]):
            wrong.append(row["path"])
    assert len(sample()) > 30 and not wrong
