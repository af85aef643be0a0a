"""What files and folders are that are no Zarr stores."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.stores.finding.recognise import of_bytes, of_file, of_names, way_of_name
from gpuzarr.stores.finding.resolve import store
from tests import corpus
from tests.stores.own_store import OwnStore


def tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.zarr/zarr.json"))
    return made.getvalue()


def npy() -> bytes:
    made = io.BytesIO()
    np.save(made, np.arange(3))
    return made.getvalue()


FILES = {
    "a.tar": (tar(), "a tar archive: unpack it"),
    "a.npy": (npy(), "an array of NumPy: gpuzarr.save"),
    "a.parquet": (b"PAR1\x15\x04", "a Parquet file"),
    "pointer": (b"/annex/objects/MD5E-s1--0.zarr\n", "git annex get"),
    "large": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "a.zarr.gz": (b"\x1f\x8b\x08\x00", "a gzip file: unpack it"),
    "page": (b"<!DOCTYPE html><html>", "an HTML page"),
    "image": (b"\x89PNG\r\n\x1a\n....", "a PNG image"),
    "brain.nii": (bytes(344) + b"n+1\0" + bytes(8), "a NIfTI image"),
    "cells.czi": (b"ZISRAWFILE", "a CZI image"),
    "rows.db": (b"SQLite format 3\0", "an SQLite database"),
    "notes.txt": (b"text", "is a file"),
    "empty": (b"", "is a file"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_say_what_they_are(name: str, tmp_path: Path) -> None:
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gpuzarr.StoreError, match=words) as caught:
        gpuzarr.open(tmp_path / name)
    assert name in str(caught.value) and isinstance(caught.value, TypeError)


def test_a_link_of_git_annex_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").symlink_to(".git/annex/objects/xx/yy/MD5E-s9--0/MD5E-s9--0")
    with pytest.raises(gpuzarr.StoreError, match=r"git-annex pointer.*datalad get.*MD5E-s9--0"):
        gpuzarr.open(tmp_path / "a.zarr")


FOLDERS = {
    "manifest.ocdbt d": "an OCDBT database",
    "snapshots manifests config.yaml refs": "an Icechunk repository",
    "repo snapshots transactions": "an Icechunk repository",
    "info 4_4_40 8_8_40": "neuroglancer",
    "_delta_log part-0.parquet": "Delta Lake",
    "part-0.parquet part-1.parquet": "a Parquet dataset",
    "__schema __commits __fragments": "TileDB",
    "a.zarr b.zarr": "open one of them, such as 'a.zarr'",
    "0001.dcm 0002.dcm": "DICOM",
    "t0.tif t1.tif": "TIFF",
    "2001.nc 2002.nc": "NetCDF",
}


@pytest.mark.parametrize("names", FOLDERS)
def test_folders_say_what_they_are(names: str, tmp_path: Path) -> None:
    objects = {f"a/{name}": b"x" for name in names.split()}
    for key, value in objects.items():
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(value)
    stores = [{key[2:]: value for key, value in objects.items()}, OwnStore({k[2:]: (0, v) for k, v in objects.items()})]
    for each in [tmp_path / "a", *stores]:
        with pytest.raises(gpuzarr.NotFoundError, match=FOLDERS[names]):
            gpuzarr.open(each)


@pytest.mark.parametrize(
    "names",
    [
        "zarr.json c",
        ".zarray .zattrs 0.0",
        ".zgroup snapshots refs",
        "zarr.json snapshots refs",
        "a b",
        "",
        "attributes.json raw",
        "c",
        "data",
    ],
)
def test_other_folders_say_nothing(names: str) -> None:
    assert of_names(names.split()) is None


def test_a_group_with_members_that_others_have_too(tmp_path: Path) -> None:
    gpuzarr.save_group(tmp_path, snapshots=[1], refs=[2], manifests=[3])
    assert list(gpuzarr.open(tmp_path)) == ["manifests", "refs", "snapshots"]


def test_a_part_of_a_folder_that_is_something_else(tmp_path: Path) -> None:
    gpuzarr.create_group(tmp_path)
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "manifest.ocdbt").write_bytes(b"")
    with pytest.raises(gpuzarr.NotFoundError, match="OCDBT"):
        gpuzarr.open(tmp_path, "db")


def test_what_a_web_server_has_without_telling_names(tmp_path: Path) -> None:
    for place, file in (("repo", "a/repo"), ("repo", "a/config.yaml"), ("db", "b/manifest.ocdbt"), ("", "c/x")):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(place)
    with serving(tmp_path) as server:
        with pytest.raises(
            gpuzarr.NotFoundError, match=rf"an Icechunk repository: open it as '{server.url}/a\|icechunk:'"
        ):
            gpuzarr.open(f"{server.url}/a")
        with pytest.raises(gpuzarr.NotFoundError, match="an OCDBT database"):
            gpuzarr.open(f"{server.url}/b")
        with pytest.raises(gpuzarr.NotFoundError, match=rf"in RemoteStore\('{server.url}/c'\)$"):
            gpuzarr.open(f"{server.url}/c")


def test_a_document_is_not_its_node(tmp_path: Path) -> None:
    gpuzarr.save(tmp_path / "a", [1])
    with pytest.raises(gpuzarr.StoreError, match="the node is its folder") as caught:
        gpuzarr.open(tmp_path / "a" / "zarr.json")
    assert repr(str(tmp_path / "a")) in str(caught.value)


def test_ways() -> None:
    names = ["a.zip", "a.ozx", "A.ZIP", "a.json", "a.parquet", "a.nc", "a.H5", "a.tif", "a.grib2", "a.icechunk"]
    ways = ["zip", "zip", "zip", "references", "references", "file", "file", "file", "file", "icechunk"]
    assert [way_of_name(name) for name in names] == ways
    assert [way_of_name(name) for name in ["a", "a.zarr", ".zip", "zarr.json", ".zmetadata", "", "nc"]] == [""] * 7


def test_bytes_of_any_kind_are_no_errors() -> None:
    rng = np.random.default_rng(1)
    for n in (0, 1, 5, 300, 2048):
        for _ in range(50):
            of_bytes(rng.bytes(n))


def test_what_cannot_be_read_is_told_by_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert of_file(str(tmp_path / "pipe")) is of_file(str(tmp_path)) is of_file("a\0b") is None
    with pytest.raises(gpuzarr.StoreError, match="is a file"):
        gpuzarr.open(tmp_path / "pipe")


@corpus.needed
def test_databases_of_others() -> None:
    found = sorted((corpus.ROOT / "neuroglancer_ocdbt").rglob("manifest.ocdbt"))
    assert found
    for manifest in found:
        with pytest.raises(gpuzarr.NotFoundError, match="an OCDBT database of tensorstore or neuroglancer"):
            gpuzarr.open(manifest.parent)


def test_references_are_told_from_other_documents(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"version": 1, "refs": {"zarr.json": "{}"}}))
    assert "a.json" in repr(store(tmp_path / "a.json"))
    with pytest.raises(gpuzarr.NotFoundError, match="there is no file"):
        store(tmp_path / "b.json")
