"""The conformance corpus through every store: some arrays of each source, as they lie in a folder or in a zip."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gpuzarr
from tests import corpus
from tests.stores.test_laws import READ_ONLY, STORES

OF_A_SOURCE = 6  # arrays of each source and format, spread evenly
MAX_BYTES = 100_000  # of an array's objects

pytestmark = corpus.needed


@cache
def sample() -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    """Rows of expected.json that have a digest, with the objects of each array."""
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in corpus.rows():
        if "sha256" in row:
            kinds.setdefault((row["source"], row["format"]), []).append(row)
    chosen = [row for rows in kinds.values() for row in rows[:: -(-len(rows) // OF_A_SOURCE)]]
    found = [(row, corpus.objects(row["path"])) for row in chosen]
    return [(row, objects) for row, objects in found if sum(map(len, objects.values())) <= MAX_BYTES]


@pytest.mark.parametrize("name", [*STORES, *READ_ONLY])
def test_known_values(name: str, tmp_path: Path) -> None:
    contents = {f"{row['path']}/{key}": data for row, objects in sample() for key, data in objects.items()}
    store = (STORES | READ_ONLY)[name](tmp_path, contents)
    wrong = []
    for row, _ in sample():
        zarr_format = None if row["format"] == "n5" else int(row["format"][1])
        a = gpuzarr.open_array(store, row["path"], device="cpu", zarr_format=zarr_format)
        if (list(a.shape), corpus.digest(a[...])) != (row["shape"], row["sha256"]):
            wrong.append(row["path"])
    assert len(sample()) > 30 and not wrong


def test_the_sample_has_every_source() -> None:
    known = {(row["source"], row["format"]) for row in corpus.rows() if "sha256" in row}
    assert {(row["source"], row["format"]) for row, _ in sample()} == known
