"""`refresh`: a node shows what others have stored meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.errors import MetadataError, NotFoundError
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.parts.store import PartsStore
from tests.stores.counting_client import remote
from tests.stores.parts_tables import DictTable, in_one_file

FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


@FORMATS
def test_an_array(zarr_format: Any, tmp_path: Path) -> None:
    """Replaced by another program: another shape, dtype, codecs, attributes."""
    gpuzarr.save_array(tmp_path / "a", np.arange(6), zarr_format=zarr_format)
    a = gpuzarr.open_array(tmp_path / "a", device="cpu", cache="1MiB")
    assert a[5] == 5
    shutil.rmtree(tmp_path / "a")
    b = zarr.create_array(
        tmp_path / "a", shape=(4, 8), chunks=(2, 3), dtype="f4", zarr_format=zarr_format, attributes={"unit": "K"}
    )
    b[...] = 2.5
    assert a.shape == (6,) and not dict(a.attrs)
    assert a.refresh() is a
    assert (a.shape, a.chunks, a.dtype.name, dict(a.attrs)) == ((4, 8), (2, 3), "float32", {"unit": "K"})
    assert (a[...] == 2.5).all()


@FORMATS
def test_an_array_that_is_gone_or_wrong_stays_as_it_was(zarr_format: Any, tmp_path: Path) -> None:
    gpuzarr.save_group(tmp_path, zarr_format=zarr_format, a=np.arange(6))
    a = gpuzarr.open_array(tmp_path, path="a", device="cpu")
    document = tmp_path / "a" / ("zarr.json" if zarr_format == 3 else ".zarray")
    right = document.read_text()
    document.write_text(right.replace(" 6", '"six"'))
    with pytest.raises(MetadataError, match=r"shape|JSON"):
        a.refresh()
    document.unlink()
    with pytest.raises(NotFoundError, match=r"no Zarr v. array or group at 'a'"):
        a.refresh()
    zarr.create_group(tmp_path / "a", zarr_format=zarr_format)
    with pytest.raises(NotFoundError, match="is a group now"):
        a.refresh()
    assert a.shape == (6,) and a[3] == 3


@FORMATS
def test_an_array_of_which_only_consolidated_metadata_are_there(zarr_format: Any, tmp_path: Path) -> None:
    gpuzarr.save_group(tmp_path, zarr_format=zarr_format, **{"a/b": np.arange(6)})
    gpuzarr.consolidate_metadata(tmp_path)
    (tmp_path / "a/b" / ("zarr.json" if zarr_format == 3 else ".zarray")).unlink()
    a = gpuzarr.open(tmp_path, device="cpu")["a/b"]
    assert isinstance(a, gpuzarr.Array) and a.refresh()[2] == 2


@FORMATS
def test_a_group(zarr_format: Any, tmp_path: Path) -> None:
    other = zarr.create_group(tmp_path, zarr_format=zarr_format)
    g = gpuzarr.open_group(tmp_path, mode="r")
    other.attrs["title"] = "new"
    other.create_array("a", shape=3, dtype="i2")
    assert "title" not in g.attrs and g.keys() == ["a"]
    assert g.refresh() is g
    assert g.attrs["title"] == "new"
    shutil.rmtree(tmp_path)
    with pytest.raises(NotFoundError):
        g.refresh()
    gpuzarr.save_array(tmp_path, np.arange(3), zarr_format=zarr_format)
    with pytest.raises(NotFoundError, match="is an array now"):
        g.refresh()
    assert g.attrs["title"] == "new"


@FORMATS
def test_a_group_with_consolidated_metadata(zarr_format: Any, tmp_path: Path) -> None:
    """Its members are those of the document: what another program consolidates is seen by a refresh, also below."""
    other = zarr.create_group(tmp_path, zarr_format=zarr_format)
    other.create_array("a/b", shape=3, dtype="i2")
    zarr.consolidate_metadata(tmp_path)
    g = gpuzarr.open_group(tmp_path, mode="r")
    inner = g["a"]
    assert isinstance(inner, gpuzarr.Group) and g.metadata.consolidated is not None
    other.create_array("a/c", shape=4, dtype="i2")
    zarr.consolidate_metadata(tmp_path)
    assert inner.keys() == ["b"] and "a/c" not in g
    assert inner.refresh().keys() == ["b", "c"] and g.refresh()["a/c"].shape == (4,)  # type: ignore[union-attr]
    document = tmp_path / ("zarr.json" if zarr_format == 3 else ".zmetadata")
    document.write_text('{"zarr_format": 3, "node_type": "group"}') if zarr_format == 3 else document.unlink()
    other.create_array("a/d", shape=5, dtype="i2")
    assert g.refresh()["a"].keys() == ["b", "c", "d"]  # type: ignore[union-attr]


def test_a_refresh_reads_documents_and_no_chunks() -> None:
    store, client = remote()
    gpuzarr.save_array(store, np.arange(6))
    a = gpuzarr.open_array(store, device="cpu")
    a[...]
    client.forget()
    a.refresh()
    assert (client.asked, client.looks, client.lists) == (["zarr.json"], [], [])


def test_what_a_table_of_parts_remembers_is_forgotten() -> None:
    """Also where no version tells that it has changed: `forget` of the table is called."""

    class Remembering(DictTable):
        def forget(self) -> None:
            forgotten.append(True)

    forgotten: list[bool] = []
    store: dict[str, bytes] = {}
    gpuzarr.save_array(store, np.arange(3))
    held = in_one_file(MappingStore({}), store)
    gpuzarr.open_array(PartsStore(Remembering(held.held, held.rows)), device="cpu").refresh()
    assert forgotten == [True]
