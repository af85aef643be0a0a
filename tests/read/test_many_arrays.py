"""Many arrays of few chunks, which the C library reads together: the same values, errors and counts as without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr

SHAPE = (2, 48, 64)  # two chunks of 24 KiB each
CODECS = {"raw": None, "zstd": "auto", "blosc": {"name": "blosc", "configuration": {"cname": "lz4"}}}


@pytest.fixture(params=CODECS)
def arrays(request: pytest.FixtureRequest, loops: str, tmp_path: Path) -> list[gpuzarr.Array]:
    """Arrays of two dtypes; chunk 1 of number 3 is missing."""
    made = []
    for i in range(8):
        values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(["f8", "i8"][i % 2]) + i
        gpuzarr.save_array(tmp_path / str(i), values, chunks=(1, *SHAPE[1:]), compressors=CODECS[request.param])
        made.append(gpuzarr.open_array(tmp_path / str(i), device="cpu"))
    (tmp_path / "3/c/1/0/0").unlink()
    return made


@pytest.mark.parametrize("selection", [0, 1, ..., (slice(None), slice(3, 9)), (1, 5)], ids=str)
def test_values(arrays: list[gpuzarr.Array], selection: Any) -> None:
    found = gpuzarr.read_many([(array, selection) for array in arrays])
    for array, one in zip(arrays, found, strict=True):
        assert np.array_equal(one, array[selection])
    assert arrays[0].last_read.asdict()["chunks"] or selection != 0


def test_counts(arrays: list[gpuzarr.Array]) -> None:
    gpuzarr.read_many([(array, 1) for array in arrays])
    report = arrays[0].last_read.asdict()
    assert report["chunks"] == 7  # one is missing
    there = [Path(array.store.folder) / "c/1/0/0" for array in arrays if array is not arrays[3]]
    assert report["stored_bytes"] == sum(path.stat().st_size for path in there)


def test_a_damaged_chunk_is_named(arrays: list[gpuzarr.Array]) -> None:
    path = Path(arrays[5].store.folder) / "c/0/0/0"
    path.write_bytes(path.read_bytes()[:-7])
    pairs = [(array, 0) for array in arrays]
    with pytest.raises(gpuzarr.ChunkError, match="c/0/0/0") as raised:
        gpuzarr.read_many(pairs)
    assert arrays[5].store.folder in str(raised.value)
    found, failures = gpuzarr.read_many(pairs, on_error="fill")
    assert [each.regions for each in failures] == [(5,)]
    assert not found[5].any() and all(np.array_equal(found[i], arrays[i][0]) for i in range(8) if i != 5)
