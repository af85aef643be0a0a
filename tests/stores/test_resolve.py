"""What a user may give as a store."""

from pathlib import Path, PurePosixPath

import pytest

from gpuzarr.errors import StoreError, StoreKindError
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.resolve import store


def test_choose(tmp_path):
    folder = tmp_path
    assert store(str(folder)) == store(folder) == store(f"file://{folder}") == store(f"file://localhost{folder}")
    assert store(store(folder)) == LocalStore(folder)
    assert isinstance(store({}), MappingStore) and store(None).mapping == {} == store("memory://a").mapping
    assert store(PurePosixPath("/a")) == LocalStore("/a")
    assert store("file:///a%20b/%C3%A9#1") == LocalStore("/a b/é#1")
    assert store("/a%20b") == LocalStore("/a%20b")
    (tmp_path / "folder.zip").mkdir()
    assert store(tmp_path / "folder.zip") == LocalStore(tmp_path / "folder.zip")


@pytest.mark.parametrize(
    "thing, words",
    [
        (3, "not int"),
        (b"/a", "not bytes"),
        ([], "not list"),
        ("s3://bucket/a", "s3://"),
        ("https://host/a.zarr", "https://"),
        ("simplecache::s3://bucket/a", "simplecache::s3://"),
        ("file://host/a", "another host"),
        ("file://relative", "absolute"),
        ("/a/b.zip", "zip"),
        (Path("b.ZIP"), "zip"),
        (Path(__file__), "is a file"),
    ],
)
def test_choose_refuses(thing, words):
    with pytest.raises(StoreKindError, match=words) as caught:
        store(thing)
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, StoreError)
    assert "pathlib.Path" in str(caught.value) or "file:///path" in str(caught.value)
