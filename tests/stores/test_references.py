"""References of kerchunk: documents of every form, and what they may reach."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.errors import ArgumentError, MetadataError, StoreError, UnsupportedError
from gpuzarr.stores import references
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.references import document, table
from gpuzarr.stores.references.reach import Reach, ReachError, prefixes
from tests.conftest import examples
from tests.hardware import host_array
from tests.hostile import memory_below
from tests.stores.forking import holds_in_child

VALUES = np.arange(12, dtype="<i4").reshape(4, 3)
ZARRAY = {
    "zarr_format": 2,
    "shape": [4, 3],
    "chunks": [2, 3],
    "dtype": "<i4",
    "fill_value": 7,
    "order": "C",
    "compressor": None,
    "filters": None,
}
KEYS = [".zgroup", "a/.zarray", "a/0.0", "a/1.0", "a/2.0", "b", "c"]


def written(folder: Path, refs: Any, name: str = "refs.json") -> references.PartsStore:
    (folder / "data.bin").write_bytes(b"???" + VALUES.tobytes() + b"!")
    data = refs if isinstance(refs, bytes) else json.dumps(refs).encode()
    (folder / name).write_bytes(data)
    return references.store_of(LocalStore(folder), name)


def refs_of(first: Any = ("data.bin", 3, 24), second: Any = ("data.bin", 27, 24), **others: Any) -> dict[str, Any]:
    chunks = {"a/0.0": list(first), "a/1.0": list(second)}
    return {".zgroup": json.dumps({"zarr_format": 2}), "a/.zarray": json.dumps(ZARRAY), **chunks, **others}


FORMS = {
    "version 0": refs_of(),
    "version 1": {"version": 1, "refs": refs_of()},
    "documents as JSON": {"version": 1, "refs": {**refs_of(), "a/.zarray": ZARRAY}},
    "templates": {
        "version": 1,
        "templates": {"u": "data", "f": "{{name}}.{{ending}}"},
        "refs": refs_of(("{{u}}.bin", 3, 24), ("{{ f(name='data', ending='bin') }}", 27, 24)),
    },
    "generated": {
        "version": 1,
        "templates": {"u": "data.bin"},
        "refs": {key: value for key, value in refs_of().items() if key[:3] != "a/0" and key[:3] != "a/1"},
        "gen": [
            {
                "key": "a/{{i}}.0",
                "url": "{{u}}",
                "offset": "{{i * 24 + 7 // 2}}",
                "length": "24",
                "dimensions": {"i": {"stop": 2}},
            }
        ],
    },
    "inline": refs_of(first="x", second="y")
    | {"a/0.0": "base64:" + base64.b64encode(VALUES[:2].tobytes()).decode(), "a/1.0": VALUES[2:].tobytes().decode()},
}


@pytest.mark.parametrize("form", FORMS)
def test_documents_of_every_form_are_read(form: str, tmp_path: Path, device: Any) -> None:
    """They are there also where fsspec reads them."""
    store = written(tmp_path, FORMS[form])
    array = gpuzarr.open(store, path="a", mode="r", device=device)
    assert np.array_equal(host_array(array[...]), VALUES)
    assert store.names("") == [".zgroup", "a"] and store.names("a") == [".zarray", "0.0", "1.0"]
    assert dict(store.objects("a"))["a/1.0"] == 24


@pytest.mark.parametrize("form", FORMS)
def test_fsspec_reads_the_same(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    if form in ("templates", "generated"):
        pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)  # from which fsspec counts paths
    store = written(tmp_path, FORMS[form])
    theirs = fsspec.filesystem("reference", fo="refs.json", simple_templates=False, skip_instance_cache=True)
    for key in ("a/0.0", "a/1.0", ".zgroup"):
        assert store.get(key) == theirs.cat_file(key)


def test_whole_files_missing_chunks_and_what_is_compressed(tmp_path: Path) -> None:
    (tmp_path / "chunk").write_bytes(VALUES[:2].tobytes())
    refs = {".zarray": ZARRAY, "0.0": ["chunk"]}
    plain = json.dumps(refs).encode()
    for name, data in {"j": plain, "g": gzip.compress(plain), "z": bytes(cramjam.zstd.compress(plain))}.items():
        store = written(tmp_path, data, name)
        assert gpuzarr.open(store, mode="r")[...].tolist() == [*VALUES[:2].tolist(), [7] * 3, [7] * 3]
        assert dict(store.objects(""))["0.0"] == 24


def test_what_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    """It is no missing chunk, of which the values would be the fill value."""
    for refs in (refs_of(("none.bin", 0, 24)), refs_of(("none.bin",)), refs_of(("data.bin", 30, 24))):
        array = gpuzarr.open(written(tmp_path, refs), path="a", mode="r")
        with pytest.raises((StoreError, gpuzarr.ChunkError), match=r"none\.bin|data\.bin"):
            array[...]


WRONG = [
    ([], "must be a JSON object"),
    ({"version": 2, "refs": {}}, "version 2"),
    ({"version": 1, "refs": []}, "refs must be"),
    ({"a": 3}, "'a' must be text, a JSON object, .url. or"),
    ({"a": []}, "'a' must be"),
    ({"a": ["u", 1]}, "'a' must be"),
    ({"a": ["u", -1, 3]}, "'a' must be"),
    ({"a": ["u", 1.5, 3]}, "'a' must be"),
    ({"a": ["u", True, 3]}, "'a' must be"),
    ({"a": ["u", 2**63, 3]}, "'a' must be"),
    ({"a": ["u", 2**63 - 1, 1]}, "'a' must be"),
    ({"a": [["u"], 1, 1]}, "'a' must be"),
    ({"version": 1, "templates": {"u": 1}, "refs": {}}, "template 'u' must be text"),
    ({"version": 1, "refs": {"a": ["{{v}}"]}}, "there is no template 'v'"),
    ({"version": 1, "templates": {"f": "{{c}}"}, "refs": {"a": ["{{f}}"]}}, "template 'f' has arguments"),
    ({"version": 1, "gen": [{"key": "a"}], "refs": {}}, r"gen\[0\]: dimensions is missing"),
    ({"version": 1, "gen": [{"key": "a", "dimensions": {"i": {"stop": 3}}}], "refs": {}}, "must have a key, a url"),
]
UNKNOWN = [
    "{{ u | upper }}",
    "{% if u %}x{% endif %}",
    "{{ u[0] }}",
    "{{ u.__class__ }}",
    "{{ '%03d' % 3 }}",
    "{{ 2 ** 99 }}",
    "{{ f(*u) }}",
    "{{ f(**u) }}",
    "{{ [i for i in u] }}",
    "{{ 1 if u else 2 }}",
    "{{ unfinished",
    "{{ " + "(" * 500 + "}}",
]


@pytest.mark.parametrize(("wrong", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_wrong_documents_are_refused(wrong: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match=rf"references 'refs.json' of LocalStore.*{problem}"):
        written(tmp_path, wrong)


@pytest.mark.parametrize("text", UNKNOWN)
def test_features_of_templates_that_nobody_needs_are_refused_by_name(text: str) -> None:
    with pytest.raises(MetadataError, match="template"):
        document.parse({"version": 1, "templates": {"u": "v", "f": "x"}, "refs": {"a": [text]}}, "it")


def test_templates_that_grow_are_refused() -> None:
    many = {f"t{i}": f"{{{{t{i + 1}(x=x)}}}}{{{{t{i + 1}(x=x)}}}}" for i in range(60)} | {"t60": "{{x}}" * 50}
    with pytest.raises(MetadataError):
        document.parse({"version": 1, "templates": many, "refs": {"a": ["{{t0(x='1')}}"]}}, "it")
    gen = {"key": "{{i}}", "url": "u", "dimensions": {name: {"stop": 10**9} for name in "ijk"}}
    with pytest.raises(UnsupportedError, match="write them as parquet"):
        document.parse({"version": 1, "gen": [gen], "refs": {}}, "it")


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_DOCUMENT_BYTES", 1 << 22)
    zeros = bytes(100 << 20)
    with memory_below(12 << 20):
        for bomb in (gzip.compress(zeros, 1), bytes(cramjam.zstd.compress(zeros))):
            with pytest.raises(MetadataError):
                document.load(bomb, "it")
    for damaged in (b"\x1f\x8b\x08??", b"\x28\xb5\x2f\xfd??", b"{", b"\xff\xfe", b"[" * 10**5):
        with pytest.raises(MetadataError, match="it: "):
            document.load(damaged, "it")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["{{u}}", "base64:!", "f"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
hostile = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("version", "refs", "templates", "gen", "a/.zarray"), json_values)
) | st.fixed_dictionaries(
    {"version": st.just(1), "refs": st.dictionaries(st.text(max_size=6), json_values, max_size=5)},
    optional={"templates": st.dictionaries(st.text(max_size=3), st.text(max_size=8)), "gen": json_values},
)


@settings(max_examples=examples(150), deadline=None)
@given(hostile)
def test_whatever_a_document_has_is_read_or_refused(found: Any) -> None:
    try:
        store = references.of_document(found)
    except MetadataError:
        return
    for key in ["a", ".zgroup", *list(found.get("refs") or found)[:5]]:
        try:
            assert isinstance(store.get(key), bytes | None)
            assert isinstance(store.names(key), list)
        except (StoreError, MetadataError):
            pass


def test_more_chunks_than_numpy_counts(tmp_path: Path) -> None:
    large = dict(ZARRAY, shape=[10**18] * 5, chunks=[1] * 5)
    (tmp_path / "data").write_bytes(VALUES.tobytes())
    store = written(tmp_path, {".zarray": json.dumps(large), "1.1.1.1.1": ["data", 0, VALUES.itemsize]})
    assert store.names("") == [".zarray", "1.1.1.1.1"]
    assert gpuzarr.open(store, mode="r")[1, 1, 1, 1, 1] == VALUES.ravel()[0]


def test_deep_keys_of_digits_are_looked_at_once(tmp_path: Path) -> None:
    """Not with each of the folders around them in turn."""
    deep = "/".join("1" * 100_000)
    found = table.array_of(deep, {})
    assert len(deep) - len(found) == 2 * table.MAX_AXES
    assert written(tmp_path, {".zgroup": "{}", deep: "x"}).get(deep) == b"x"


def test_a_name_without_bytes_is_refused(tmp_path: Path) -> None:
    store = written(tmp_path, {".zarray": ZARRAY, "0.0": ["\ud800", 0, 24]})
    with pytest.raises(StoreError, match="the file system has no bytes for"):
        gpuzarr.open(store, mode="r", device="cpu")[...]


# what references may reach


def test_references_reach_their_own_folder_alone(tmp_path: Path) -> None:
    inner, outer = tmp_path / "in", tmp_path / "outer"
    inner.mkdir()
    outer.mkdir()
    (outer / "secret").write_bytes(VALUES.tobytes())
    (inner / "link").symlink_to(outer / "secret")
    (tmp_path / "inside").write_bytes(VALUES.tobytes())
    for url in (
        f"{outer}/secret",
        "../outer/secret",
        f"file://{outer}/secret",
        "link",
        "../inside",
        f"{inner}/../inside",
    ):
        refs = {".zarray": ZARRAY, "0.0": [url, 0, 24], "1.0": [url, 24, 24]}
        array = gpuzarr.open(written(inner, refs), mode="r")
        with pytest.raises(ReachError, match=r"outside of their own folder; pass storage_options=\{'allow': \['/"):
            array[...]
        allowed = references.store_of(LocalStore(inner), "refs.json", allow=[tmp_path])
        assert np.array_equal(gpuzarr.open(allowed, mode="r")[...], VALUES)
        asked = references.store_of(LocalStore(inner), "refs.json", storage_options={"allow": str(tmp_path)})
        assert np.array_equal(gpuzarr.open(asked, mode="r")[...], VALUES)


def test_an_error_says_what_to_pass_and_that_helps(tmp_path: Path) -> None:
    url = "memory://of-references/x/data"
    gpuzarr.stores.finding.resolve.store("memory://of-references").set("x/data", VALUES.tobytes())
    store = written(tmp_path, {".zarray": ZARRAY, "0.0": [url, 0, 24], "1.0": [url, 24, 24]})
    with pytest.raises(ReachError) as caught:
        gpuzarr.open(store, mode="r")[...]
    options = eval(str(caught.value).partition("storage_options=")[2].partition(" if ")[0])
    assert options == {"allow": ["memory://of-references/"]}
    store = references.store_of(LocalStore(tmp_path), "refs.json", storage_options=options)
    assert np.array_equal(gpuzarr.open(store, mode="r")[...], VALUES)


ALLOWED = {
    "s3://bucket/a/x.nc": True,
    "S3://bucket/a/x.nc": True,
    "s3a://bucket/a/x.nc": True,
    "s3://bucket/ab/x.nc": False,
    "s3://bucket/a/../b/x.nc": False,
    "s3://bucket-b/a/x.nc": False,
    "https://host.org/data/x.nc": True,
    "HTTPS://HOST.org/data/x.nc": True,
    "https://host.org.evil.com/data/x.nc": False,
    "https://host.org@evil.com/data/x.nc": False,
    "https://host.org/data/%2e%2e/x.nc": False,
    "http://host.org/data/x.nc": False,
    "gs://any/thing": True,
    "http://169.254.169.254/latest": False,
}


@pytest.mark.parametrize("url", ALLOWED)
def test_prefixes_end_where_names_end(url: str) -> None:
    reach = Reach(allow=prefixes(["s3://bucket/a", "https://host.org/data/", "gs://"]))
    if ALLOWED[url]:
        root, key = reach.place(url)
        assert root in ("s3://bucket", "https://host.org", "gs://any") and key in ("a/x.nc", "data/x.nc", "thing")
    else:
        with pytest.raises(ReachError):
            reach.place(url)


def test_signatures_stay_in_urls_and_out_of_messages() -> None:
    url = "https://host/a%20b/x.nc?sig=secret"
    assert Reach(allow=("https://host",)).place(url) == ("https://host?sig=secret", "a b/x.nc")
    with pytest.raises(ReachError) as caught:
        Reach().place(url)
    assert "secret" not in str(caught.value) and "['https://host/']" in str(caught.value)


def test_what_the_caller_names_is_allowed() -> None:
    around = Reach(MappingStore({}), "dir", "https://host/store/dir")
    assert around.place("https://host/store/dir/x.nc") == (around.store, "dir/x.nc")
    assert around.place("x/y.nc") == (around.store, "dir/x/y.nc")
    for url in ("https://host/store/x.nc", "../x.nc", "/etc/passwd", "s3://bucket/x"):
        with pytest.raises(ReachError):
            around.place(url)
    assert Reach(protocol="s3").place("bucket/key") == ("s3://bucket", "key")
    assert Reach(protocol="s3").place("s3://bucket/key") == ("s3://bucket", "key")
    for url in ("simplecache::s3://bucket/key", "s3://b/a.zip|zip:x", "", "a\0b"):
        with pytest.raises(UnsupportedError, match="it must be one file or URL"):
            Reach(protocol="s3").place(url)
    for wrong in (3, [3], [""], {"a": 1}):
        with pytest.raises(ArgumentError):
            prefixes(wrong)


# stores


def test_pickles_are_small_and_share_what_was_parsed(tmp_path: Path) -> None:
    refs = {"version": 1, "refs": {**refs_of(), **{f"b/{i}": ["data.bin", i, 1] for i in range(5000)}}}
    store = written(tmp_path, refs)
    data = pickle.dumps(store)
    assert len(data) < 2000 and pickle.loads(data).table is store.table
    refs = {"version": 1, "refs": refs_of((f"{tmp_path}/data.bin", 3, 24), (f"{tmp_path}/data.bin", 27, 24))}
    in_memory = references.of_document(refs, allow=str(tmp_path))
    again = pickle.loads(pickle.dumps(in_memory))
    assert np.array_equal(gpuzarr.open(again, path="a", mode="r")[...], VALUES)
    assert again.get("a/.zarray") == store.get("a/.zarray")
    assert "refs.json" in repr(store) and "memory" in repr(again)


def test_a_document_that_changes_is_read_anew(tmp_path: Path) -> None:
    before = written(tmp_path, refs_of())
    after = written(tmp_path, {"version": 1, "refs": refs_of(b="other")})
    assert before.get("b") is None and after.get("b") == b"other"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_reads(tmp_path: Path) -> None:
    array = gpuzarr.open(written(tmp_path, refs_of()), path="a", mode="r")
    assert array[0, 0] == 0
    assert holds_in_child(lambda: np.array_equal(array[...], VALUES))


def test_it_is_not_written(tmp_path: Path) -> None:
    store = written(tmp_path, refs_of())
    with pytest.raises(gpuzarr.errors.ReadOnlyError):
        gpuzarr.open(store, path="a", mode="r+")[0] = 1


def test_many_urls_are_not_opened_before_they_are_read(tmp_path: Path) -> None:
    refs = {".zarray": {**ZARRAY, "shape": [20000, 3]}} | {f"{i}.0": [f"f{i}", 0, 24] for i in range(10000)}
    (tmp_path / "f5000").write_bytes(VALUES[2:].tobytes())
    store = written(tmp_path, refs)
    assert gpuzarr.open(store, mode="r")[10000:10002].tolist() == VALUES[2:].tolist()
    assert len(store.table.holders()) == 10000 and len(store.table.holders()._found) < 10
