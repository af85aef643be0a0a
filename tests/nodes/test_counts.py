"""What is counted of a stored array is listed, and never fetched."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.errors import StoreError
from gpuzarr.stores.local.store import LocalStore
from tests.stores.counting_client import remote

LAYOUTS: dict[str, dict[str, Any]] = {
    "v3": {"chunks": (3, 4)},
    "v2": {"chunks": (3, 4), "zarr_format": 2},
    "v2, folders": {"chunks": (3, 4), "zarr_format": 2, "dimension_separator": "/"},
    "shards": {"chunks": (3, 2), "shards": (6, 4)},
    "scalar": {},
    "scalar, v2": {"zarr_format": 2},
}
layouts = pytest.mark.parametrize("layout", LAYOUTS)


class Listed(MutableMapping[str, bytes]):
    """A mapping of which no chunk can be fetched, and nobody may ask for the number of its objects."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values_ = values

    def __getitem__(self, key: str) -> bytes:
        assert key.rpartition("/")[2] in ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"), key
        return self.values_[key]

    def __setitem__(self, key: str, value: bytes) -> None: ...

    def __delitem__(self, key: str) -> None: ...

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __contains__(self, key: object) -> bool:
        return key in self.values_

    def __len__(self) -> int:
        raise AssertionError("it may have to list everything")


class Sized(Listed):
    """The same, but it tells the sizes of objects."""

    def getsize(self, key: str) -> int:
        return len(self.values_[key])


def contents(layout: str) -> dict[str, bytes]:
    """An array of which some chunks are stored, and what is no chunk of it."""
    store: dict[str, bytes] = {}
    options = LAYOUTS[layout]
    shape = () if "scalar" in layout else (10, 10)
    a = gpuzarr.create_array(store, shape=shape, dtype="i4", fill_value=0, **options)
    a[...] = np.arange(100).reshape(10, 10) * (np.arange(10) > 4)[:, None] if shape else 7
    separator = "/" if "/" in a.metadata.encode_chunk_key((0,) * len(shape)) or len(shape) == 0 else "."
    first = "c/" if options.get("zarr_format", 3) == 3 else ""
    strangers = (
        ["README"]
        if not shape
        else ["README", f"{first}9{separator}9", f"{first}0{separator}01", f"{first}0", "sub/zarr.json", ".DS_Store"]
    )
    return {**dict.fromkeys(strangers, b"stranger"), **store}


@layouts
def test_as_zarr_python_counts(layout: str, tmp_path: Path) -> None:
    for key, value in contents(layout).items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        if not (tmp_path / key).is_dir():
            (tmp_path / key).write_bytes(value)
    theirs = zarr.open_array(tmp_path, mode="r")
    ours = gpuzarr.open_array(tmp_path, device="cpu")
    assert ours.nchunks_initialized == theirs.nchunks_initialized > 0
    assert ours.nbytes_stored() == theirs.nbytes_stored()
    said = ours.info_complete().asdict()
    kind = "Shards" if ours.shards else "Chunks"
    assert said[f"{kind} initialized"].split("/")[0] == str(theirs._nshards_initialized)


@layouts
def test_no_chunk_is_fetched(layout: str) -> None:
    values = contents(layout)
    known = gpuzarr.open_array(values, device="cpu")
    a = gpuzarr.open_array(Listed(values), device="cpu")
    assert a.nchunks_initialized == known.nchunks_initialized > 0
    a = gpuzarr.open_array(Sized(values), device="cpu")
    assert a.nbytes_stored() == sum(map(len, values.values()))
    assert a.info_complete().asdict() | {"Store": 0} == known.info_complete().asdict() | {"Store": 0}
    store, client = remote(values={key: (1, value) for key, value in values.items()})
    a = gpuzarr.open_array(store, device="cpu")
    client.forget()
    assert a.nchunks_initialized == known.nchunks_initialized
    assert a.nbytes_stored() == known.nbytes_stored() and a.info_complete().asdict()["No. bytes stored"]
    assert not client.asked and len(client.lists) == 3


def test_links_count_where_they_lead_to_files(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, shape=6, chunks=1, dtype="u1")
    a[0] = 1
    (tmp_path / "c/1").symlink_to(tmp_path / "c/0")
    (tmp_path / "c/2").symlink_to(tmp_path / "nothing")
    (tmp_path / "c/3").mkdir()
    (tmp_path / "c/.4.lock").write_bytes(b"")
    assert a.nchunks_initialized == 2
    store = LocalStore(tmp_path)
    assert sorted(store.keys("")) == sorted(key for key, _ in store.objects("")) == ["c/0", "c/1", "zarr.json"]


def test_a_place_that_lists_nothing_says_so() -> None:
    """And the array can be read."""
    values: dict[str, bytes] = {}
    gpuzarr.save_array(values, np.arange(3))
    store, _ = remote(can_list=False, values={key: (1, value) for key, value in values.items()})
    a = gpuzarr.open_array(store, device="cpu")
    with pytest.raises(StoreError, match=r"cannot list '' of .*: it tells no names; nodes are found by their paths"):
        print(a.nchunks_initialized)
    for count in (a.nbytes_stored, a.info_complete):
        with pytest.raises(StoreError, match="tells no names"):
            count()
    assert a[2] == 2
