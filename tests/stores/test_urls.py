"""Pipelines of URLs: their grammar, what they open, and what is said of those that are wrong."""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.errors import StoreKindError
from gpuzarr.stores.finding import locations, urls
from gpuzarr.stores.finding.resolve import store, wanted_format
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from tests.conftest import examples

VALUES = np.arange(1, 25, dtype="i4").reshape(4, 6)
WELL_FORMED = {  # after the examples of the standard: the schemes of the parts
    "s3://bucket/path/to/archive.zip|zip:path/within/zip.zarr/|zarr3:": ("zip", "zarr3"),
    "file:///tmp/a.ocdbt/|ocdbt://2025-01-01T01:23:45.678Z/path": ("ocdbt",),
    "s3+https://host/a.icechunk/|icechunk://tag.v5/path/to/node/|zarr3:": ("icechunk", "zarr3"),
    "http://example.com/file|vendor1-2.custom+adapter:/path": ("vendor1-2.custom+adapter",),
    "https://host/a.zip|zip:in/outer.zip|zip:in/inner": ("zip", "zip"),
    "file:/path/to/data.gz|gzip": ("gzip",),
    "memory:a|ZARR2": ("zarr2",),
    "/a path/of this machine|zip:": ("zip",),
}


@pytest.mark.parametrize("url", WELL_FORMED)
def test_parts(url: str) -> None:
    found = urls.parsed(url)
    assert tuple(part.scheme for part in found.parts) == WELL_FORMED[url]
    assert "|".join([found.root, *(part.raw for part in found.parts)]) == url


MALFORMED = {
    "|zarr3:": "part 1, '', .*is empty",
    "/a|": r"part 2, '\|', .*is empty",
    "/a||zarr3:": r"part 2, '\|', .*is empty",
    "/a" + "|zip:a" * 9: "has 9 parts behind the first; at most 8",
    "/a|zarr3:|zip:": r"part 2, '\|zarr3:', .*must be the last",
    "/a|b c:": r"part 2, '\|b c:', .*no 'scheme:path'.*pathlib.Path",
    "/a|zarr3:x#y": "fragment.*%23",
    "/a|zarr3:x?y": "takes no query.*%3F",
    "/a|zarr3:x%zzy": "'%zz', which is no escape.*%25",
    "/a|zarr3:x%": "'%', which is no escape",
    "/a|zarr3:%ff": "no UTF-8",
    "/a|zarr3:x/../y": "leads out of the store",
    "/a|zarr3:x/%2e%2e/y": "leads out of the store",
    "/a|nothing:x": "names no adapter that is known here .zip:, icechunk:",
    "/a|ocdbt:": "OCDBT database",
    "/a|neuroglancer-precomputed:": "neuroglancer",
    "/a|gzip:": "unpack it",
    "/a|png:": "an image",
    "/a|icechunk:@v1": "'v1', which is not @branch.NAME, @tag.NAME",
    "/a|icechunk://branch./x": "'branch.', which is not",
    "file://host/a|zarr3:": "another host",
    "memory://a|zip:": "whole memory place",
    "s3://bucket|zip:": "whole s3 place",
}


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_wrong_is_named(url: str) -> None:
    with pytest.raises(StoreKindError, match=MALFORMED[url]):
        store(url)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1), min_size=1, max_size=4))
def test_any_path_can_be_written(names: list[str]) -> None:
    path = "/".join(names)
    found = urls.parsed(f"/a|zarr3:{quote(path)}")
    if {".", ".."} & set(names):
        with pytest.raises(StoreKindError):
            found.path(found.parts[0])
    else:
        assert found.path(found.parts[0]) == path


@settings(max_examples=examples(200), deadline=None)
@given(st.text(max_size=40))
def test_no_text_is_another_error(text: str) -> None:
    try:
        urls.parsed(f"/a|{text}").path(urls.parsed(f"/a|{text}").parts[0])
    except StoreKindError as error:
        assert "part" in str(error)


VERSIONS = {
    "": ({}, ""),
    "a/b": ({}, "a/b"),
    "/a/b/": ({}, "a/b"),
    "@branch.main": ({"branch": "main"}, ""),
    "@branch.main/a/b/": ({"branch": "main"}, "a/b"),
    "//branch.a%2Fb.c/x": ({"branch": "a/b.c"}, "x"),
    "@tag.v1.0/x": ({"tag": "v1.0"}, "x"),
    "//tag.v5/": ({"tag": "v5"}, ""),
    "@4N0217AZA4VNPYD0HR0G/x": ({"snapshot": "4N0217AZA4VNPYD0HR0G"}, "x"),
    "//4N0217AZA4VNPYD0HR0G": ({"snapshot": "4N0217AZA4VNPYD0HR0G"}, ""),
}


@pytest.mark.parametrize("body", VERSIONS)
def test_versions_of_icechunk(body: str) -> None:
    found = urls.parsed(f"s3://b/repo|icechunk:{body}|zarr3:")
    assert urls.icechunk_version(found, found.parts[0]) == VERSIONS[body]


def test_versions_reach_icechunk(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def of(text: str, options: dict[str, Any], **version: str) -> MappingStore:
        asked.append((text, options, version))
        return MappingStore({"x/zarr.json": b"1"})

    monkeypatch.setattr(locations, "icechunk_of", of)
    found = store("s3://b/repo|icechunk:@tag.v1|zarr3:x", {"anon": True})
    assert asked == [("s3://b/repo", {"anon": True}, {"tag": "v1"})] and found.get("zarr.json") == b"1"


def test_paths_and_formats(tmp_path: Path) -> None:
    assert (
        store("/a/b|zarr3:c/d") == store("file:///a/b|zarr:c/d") == store("file:/a|n5:b/c/d") == LocalStore("/a/b/c/d")
    )
    assert store("file:///a%7Cb/c%20d|zarr3:") == LocalStore("/a|b/c d")
    assert store(Path("/a|zarr3:b")) == LocalStore("/a|zarr3:b")
    url = f"file://{tmp_path}/x|zarr2:"
    gpuzarr.save(url, VALUES)
    assert (tmp_path / "x" / ".zarray").exists()
    assert np.array_equal(gpuzarr.open(url, device="cpu")[...], VALUES)
    with pytest.raises(gpuzarr.NotFoundError, match="no Zarr v3"):
        gpuzarr.open(f"{tmp_path}/x|zarr3:")
    with pytest.raises(gpuzarr.ArgumentError, match=r"zarr_format=3.*Zarr v2"):
        gpuzarr.open(url, zarr_format=3)
    assert wanted_format(url, None) == wanted_format(url, 2) == 2 and wanted_format("/a", None) is None
    assert gpuzarr.create_group(f"{tmp_path}/y|zarr2:").zarr_format == 2
    assert gpuzarr.create_array(f"{tmp_path}/z|zarr2:a", data=VALUES).zarr_format == 2
    assert gpuzarr.Group.open(f"{tmp_path}/y|zarr2:").zarr_format == 2


def test_memory() -> None:
    gpuzarr.save("memory://of_test_urls/a/b", VALUES)
    assert gpuzarr.open("memory:of_test_urls|zarr3:a/b", device="cpu")[0, 0] == 1
    assert gpuzarr.open("memory://of_test_urls/a|zarr:b", device="cpu")[0, 1] == 2


def archive(path: Path) -> None:
    """A zip with an array at "in/a.zarr", and a zip in it, with one at "b"."""
    gpuzarr.save(path.parent / "made", VALUES)
    inner = path.parent / "inner.zip"
    for target, prefix in ((inner, "b"), (path, "in/a.zarr")):
        with zipfile.ZipFile(target, "w") as made:
            for file in sorted((path.parent / "made").rglob("*")):
                if file.is_file():
                    made.write(file, f"{prefix}/{file.relative_to(path.parent / 'made')}")
            if target is path:
                made.write(inner, "inner.zip")


def test_zips(tmp_path: Path) -> None:
    pytest.importorskip("gpuzarr.stores.zip")
    archive(tmp_path / "o.zip")
    opened = [f"{tmp_path}/o.zip|zip:in/a.zarr|zarr3:", f"file://{tmp_path}/o.zip|zip:|zarr3:in/a.zarr"]
    opened += [f"{tmp_path}/o.zip|zip:inner.zip|zip:b", f"zip://in/a.zarr::{tmp_path}/o.zip"]
    with serving(tmp_path) as server:
        opened += [f"{server.url}/o.zip|zip:in/a.zarr", f"{server.url}/o.zip|zip:inner.zip|zip:b|zarr3:"]
        for url in opened:
            assert np.array_equal(gpuzarr.open(url, device="cpu")[...], VALUES), url
        assert np.array_equal(gpuzarr.open(f"{server.url}/o.zip", "in/a.zarr", device="cpu")[...], VALUES)
        assert np.array_equal(gpuzarr.open(f"{server.url}/o.zip?sig=1", "in/a.zarr", device="cpu")[...], VALUES)
    (tmp_path / "no_suffix").write_bytes((tmp_path / "o.zip").read_bytes())
    assert np.array_equal(gpuzarr.open(tmp_path / "no_suffix", "in/a.zarr", device="cpu")[...], VALUES)
    with pytest.raises(gpuzarr.NotFoundError, match=r"what is in it: 'in', 'inner.zip'"):
        gpuzarr.open(tmp_path / "o.zip")


# adapters of other packages, as zarr-python describes them


class Adapter:
    """Opens `x.folder:name` in a folder, and `x.root:path` by itself."""

    asked: list[Any] = []  # noqa: RUF012

    @classmethod
    async def open_pipeline_segment(cls, segment: Any, context: Any) -> Any:
        import zarr.storage

        await asyncio.sleep(0)
        cls.asked.append((segment.scheme, segment.body, segment.query, context.preceding_url, context.mode))
        if "fail" in segment.body:
            raise RuntimeError("no such thing")
        if not context.preceding:
            return Resolved(await zarr.storage.LocalStore.open(segment.body.lstrip("/").join("/ ").strip()))
        before = await context.resolve_preceding(mode="r")
        return Resolved(before.store, segment.body)


class Resolved:
    def __init__(self, store: Any, path: str = "") -> None:
        self.store, self.path, self.zarr_format = store, path, None


@pytest.fixture
def adapters(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    pytest.importorskip("zarr")
    Adapter.asked.clear()
    known = metadata.entry_points

    def entry_points(**wanted: str) -> Any:
        if wanted.get("group") == "zarr.url_adapters":
            names = {"x.folder", "x.root"} & {wanted.get("name")}
            return [metadata.EntryPoint(name, f"{__name__}:Adapter", "zarr.url_adapters") for name in names]
        return known(**wanted)

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    assert sys.modules[__name__].Adapter is Adapter
    return Adapter.asked


def test_adapters_of_other_packages(adapters: list[Any], tmp_path: Path) -> None:
    gpuzarr.save(tmp_path / "a" / "b", VALUES)
    found = gpuzarr.open(f"{tmp_path}|x.folder:a?q=1|zarr3:b", device="cpu")
    assert np.array_equal(found[...], VALUES)
    assert adapters == [("x.folder", "a", "q=1", str(tmp_path), "r")]
    assert np.array_equal(gpuzarr.open(f"x.root://{tmp_path}/a/b", device="cpu")[...], VALUES)
    with pytest.raises(gpuzarr.StoreError, match=r"test_urls:Adapter', an adapter of another package.*no such thing"):
        gpuzarr.open(f"{tmp_path}|x.folder:fail")


def test_secrets_are_not_shown() -> None:
    url = "https://user:password@host/a.zip?X-Amz-Signature=secret|zip:b?token=secret"
    assert urls.shown(url) == "https://host/a.zip?...|zip:b?..."
    assert urls.shown("simplecache::https://u:p@h/a?s=1") == "simplecache::https://h/a?..."
    assert urls.shown("https://u:p@ss@h/a@b") == "https://h/a@b"
    assert urls.shown("ABFSS://c@account/a") == "ABFSS://c@account/a"
    with pytest.raises(StoreKindError) as caught:
        store("https://user:password@host/a?X-Amz-Signature=secret|nothing:")
    assert "password" not in str(caught.value) and "secret" not in str(caught.value)
    assert "github://org:repo@main/a" in urls.shown("github://org:repo@main/a")


def test_references_and_files_of_other_formats(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.create_dataset("g/x", data=VALUES, chunks=(2, 3))
    gpuzarr.save(tmp_path / "a", VALUES)
    document = (tmp_path / "a" / "zarr.json").read_text()
    files = [file.relative_to(tmp_path / "a") for file in (tmp_path / "a" / "c").rglob("*") if file.is_file()]
    chunks = {f"x/{file}": [f"a/{file}"] for file in files}
    references = {"version": 1, "refs": {"x/zarr.json": document, **chunks}}
    (tmp_path / "refs.json").write_text(json.dumps(references))
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "a.nc", "in/a.nc")
    with serving(tmp_path) as server:
        for around in (str(tmp_path), f"file://{tmp_path}", server.url):
            for url in ("a.nc", "a.nc|hdf5:", "z.zip|zip:in/a.nc|hdf5:"):
                assert np.array_equal(gpuzarr.open(f"{around}/{url}", "g/x", device="cpu")[...], VALUES), (around, url)
            assert np.array_equal(gpuzarr.open(f"{around}/a.nc|hdf5:g|zarr:x", device="cpu")[...], VALUES)
            assert np.array_equal(gpuzarr.open(f"{around}/refs.json", "x", device="cpu")[...], VALUES)
        assert np.array_equal(gpuzarr.open(f"{server.url}/refs.json?sig=1", "x", device="cpu")[...], VALUES)
    inline = {"version": 1, "refs": {"zarr.json": '{"zarr_format": 3, "node_type": "group"}'}}
    assert list(gpuzarr.open(inline)) == []
