"""`gpuzarr.tools.check`: it finds each kind of damage, names what is damaged, and finds nothing else."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.errors import ArgumentError, DeviceError, GpuZarrError, NotFoundError, StoreError
from gpuzarr.tools import check
from tests import corpus, hostile, nasty
from tests.cli.places import unreadable
from tests.conftest import examples
from tests.tools import damage
from tests.tools.damage import Said


def said(report):
    """What a report says, without the texts."""
    return {Said(f.kind, f.path, f.key, f.chunk, f.codec) for f in report.findings}


def test_a_good_hierarchy(device):
    store = damage.made({})
    report = check(store, device=device)
    assert not report and not report.findings and report.groups == 3 and len(report.arrays) == 6
    assert all(array.present == array.chunks == array.checked for array in report.arrays)
    assert report.device == device.name


@pytest.mark.parametrize("kind", damage.KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=examples(4), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_kind_of_damage_is_found_and_nothing_else(device, kind, data):
    store = damage.made({})
    expected = kind(store, lambda choices: data.draw(st.sampled_from(choices)))
    report = check(store, device=device)
    assert (report or kind is damage.stray) and said(report) == set(
        expected if isinstance(expected, list) else [expected]
    )


@settings(max_examples=examples(12), deadline=None)
@given(data=st.data())
def test_damage_of_several_kinds(data):
    """Chunks of several arrays, and objects beside them; none hides the others."""
    store, expected = damage.made({}), set()
    kinds = [damage.longer, damage.flipped, damage.flipped_in_shard, damage.outside, damage.both, damage.inside]
    for kind in data.draw(st.lists(st.sampled_from(kinds), min_size=2, unique=True)):
        expected.add(kind(store, lambda choices: data.draw(st.sampled_from(choices))))
    found = check(store, device="cpu")
    assert said(found) == expected


@pytest.mark.parametrize(
    "kind", [damage.cut_shard, damage.flipped_index, damage.beyond, damage.overlapping, damage.longer]
)
@settings(max_examples=examples(4), deadline=None)
@given(data=st.data())
def test_what_fast_finds(kind, data):
    store = damage.made({})
    expected = kind(store, lambda choices: data.draw(st.sampled_from(choices)))
    report = check(store, fast=True)
    assert said(report) == {expected} and report.device is None
    assert not any(array.checked for array in report.arrays)


def test_many_chunks_of_a_batch(device, thresholds):
    """Damaged chunks anywhere in batches, of shapes that differ, are told once each."""
    thresholds("gpuzarr.tools", BATCH_OBJECTS=10, CHUNKS_BETWEEN_REPORTS=7)
    rng, store = np.random.default_rng(1), {}
    edges = [[3, 5, 3, 5, 4], [7, 6, 7]]
    values = rng.integers(0, 1000, (20, 20)).astype("i4")
    gpuzarr.create_array(store, name="a", data=values, chunks=edges, compressors=["gzip"])
    keys = sorted(key for key in store if "/c/" in key)
    bad = sorted(rng.choice(keys, 6, replace=False).tolist())
    for key in bad:
        store[key] = store[key][:-1] + bytes([store[key][-1] ^ 1])
    report = check(store, device=device, memory_limit=4800)  # batches of 4 chunks
    assert sorted(f.key for f in report.findings) == bad
    assert {(f.kind, f.codec) for f in report.findings} == {("damaged-chunk", "gzip")}


def test_shards_in_shards(device):
    values = np.arange(256, dtype="u2").reshape(16, 16)
    little, crc = {"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}
    index = [little, crc]
    innermost = {"chunk_shape": [2, 2], "codecs": [little, crc], "index_codecs": index}
    inner = {"chunk_shape": [4, 4], "codecs": [{"name": "sharding_indexed", "configuration": innermost}]}
    outer = {"name": "sharding_indexed", "configuration": {**inner, "index_codecs": index}}
    store = {"zarr.json": json.dumps(nasty.array((16, 16), (8, 8), [outer], data_type="uint16")).encode()}
    gpuzarr.open_array(store, mode="r+")[...] = values
    report = check(store, device=device)
    assert not report and (report.arrays[0].present, report.arrays[0].stored_bytes) == (63 + 1, 64 * 12)
    data = bytearray(store["c/1/1"])
    data[1] ^= 1
    store["c/1/1"] = bytes(data)
    (found,) = check(store, device=device).findings
    assert (found.kind, found.key, found.codec) == ("damaged-chunk", "c/1/1", "crc32c") and found.chunk >= (4, 4)
    data[4 * 12 + 3] ^= 1  # the index of the first inner shard lies behind its four chunks
    store["c/1/1"] = bytes(data)
    (found,) = check(store, device=device).findings
    assert (found.kind, found.key, found.codec) == ("shard-index", "c/1/1", "sharding_indexed")


def test_chunks_under_other_keys():
    store = {}
    gpuzarr.create_array(store, data=np.arange(8), chunks=4)
    for i in range(2):
        store[f"c.{i}"] = store.pop(f"c/{i}")
    assert {f.kind for f in check(store).findings} == {"misplaced", "stray-object"}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_metadata_of_each_version(zarr_format):
    store = {}
    root = gpuzarr.create_group(store, zarr_format=zarr_format)
    root.create_array("g/x", data=np.arange(3), attributes={"a": 1})
    root.create_array("y", data=np.arange(3))
    gpuzarr.consolidate_metadata(store)
    assert not check(store).findings
    for key in [key for key in store if key.startswith("y/")]:
        del store[key]
    (found,) = check(store).findings
    assert (found.kind, found.path, found.repair) == ("consolidated", "", "consolidate") and "'y'" in found.message


def test_consolidated_metadata_of_zarr_python_are_right(tmp_path):
    zarr = pytest.importorskip("zarr")
    for zarr_format in (2, 3):
        root = zarr.create_group(tmp_path / f"v{zarr_format}", zarr_format=zarr_format, attributes={"t": [1, None]})
        root.create_group("empty")
        options = {"fill_value": np.nan, "attributes": {"units": "m"}}
        root.create_array("g/a", shape=(4, 5), chunks=(2, 2), dtype="f4", **options)[...] = 1
        zarr.consolidate_metadata(tmp_path / f"v{zarr_format}", zarr_format=zarr_format)
        assert not check(tmp_path / f"v{zarr_format}").findings


def test_unusual_members_are_notes():
    store = nasty.of(zarr_json=nasty.array(attributes={}, extra={"must_understand": False}))
    report = check(store)
    assert (
        not report
        and [f.kind for f in report.findings] == ["unknown-member"]
        and "'extra'" in report.findings[0].message
    )
    store = {".zarray": json.dumps(nasty.array_v2(extra=1)).encode()}
    assert [f.kind for f in check(store).findings] == ["unknown-member"]


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_images_that_this_library_writes_are_right(version):
    store = {}
    image = gpuzarr.ome.write_image(store, np.arange(64, dtype="u2").reshape(8, 8), axes="yx", version=version)
    assert len(image.levels) > 0 and not check(store).findings


def dataset(path, scale=1.0):
    return {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [scale, scale]}]}


def test_ome_metadata():
    store = {}
    root = gpuzarr.create_group(store)
    for name, shape, dtype in (("0", (8, 8), "u2"), ("1", (4, 4), "u2"), ("2", (9, 2), "u1")):
        root.create_array(name, shape=shape, dtype=dtype, dimension_names=("y", "x"))
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    levels = [dataset("0"), dataset("1", 2.0)]
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    assert not check(store).findings
    wrong = [*levels, dataset("2", 4.0), dataset("3", 8.0)]
    image = {"axes": axes[::-1], "datasets": wrong}
    root.attrs["ome"] = {"version": "0.5", "multiscales": [image], "labels": ["cells"], "plate": {}}
    texts = [f.message for f in check(store).findings if f.kind == "ome"]
    for part in ("level '3' of", "is of uint8", "larger than", "'labels' names 'cells'", "'plate' needs a list"):
        assert sum(part in text for text in texts) == 1, part
    assert sum("dimension_names" in text for text in texts) == 3
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{}]}]}
    assert [(f.kind, f.severity) for f in check(store).findings] == [("ome", "error")]
    root.attrs["ome"] = {"version": "0.9", "multiscales": [image]}
    assert [(f.kind, f.severity) for f in check(store).findings] == [("not-checked", "note")]


@pytest.mark.parametrize("name", nasty.STORES)
@pytest.mark.parametrize("fast", [False, True])
def test_hostile_documents_never_crash_it(name, fast):
    with nasty.in_time(name), suppress(GpuZarrError):
        check(nasty.STORES[name], fast=fast)


@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_documents_with_any_value_anywhere_never_crash_it(data):
    name = data.draw(st.sampled_from(sorted(nasty.STORES)))
    store = dict(nasty.STORES[name])
    key = data.draw(st.sampled_from(sorted(store)))
    document = json.loads(store[key])
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-3, 2**40) | st.text(max_size=3),
        lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3),
    )
    if isinstance(document, dict) and document:
        document[data.draw(st.sampled_from([*sorted(document), "ome", "attributes", "multiscales"]))] = data.draw(
            values
        )
    store[key] = json.dumps(document).encode()
    store[f"{key.rpartition('/')[0]}/c/0/0".strip("/")] = data.draw(st.binary(max_size=40))
    with nasty.in_time(name), suppress(NotFoundError):
        check(store)


@settings(max_examples=examples(20), deadline=None)
@given(
    ome=st.recursive(
        st.none() | st.integers(-1, 3) | st.sampled_from(["0", "1", "..", ""]),
        lambda v: (
            st.lists(v, max_size=3)
            | st.dictionaries(st.sampled_from(["path", "datasets", "axes", "wells", "images", "name"]), v, max_size=3)
        ),
    ),
    member=st.sampled_from(["multiscales", "labels", "plate", "well"]),
)
def test_ome_metadata_with_any_value_never_crash_it(ome, member):
    store = nasty.of(zarr_json={**nasty.GROUP, "attributes": {"ome": {member: ome}}})
    check(store)
    check(nasty.of(zarr_json={**nasty.GROUP, "attributes": {member: ome}}))


@pytest.mark.parametrize("codec", ["zstd", "gzip", "blosc"])
def test_bombs_take_no_memory(codec, device):
    configuration = {} if codec != "blosc" else {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0}
    store = {
        "zarr.json": hostile.document(["bytes", {"name": codec, "configuration": configuration}]),
        "c/0": hostile.bomb(codec),
    }
    with hostile.memory_below(hostile.BOMB_BYTES // 4):
        (found,) = check(store, device=device).findings
    assert (found.kind, found.codec) == ("damaged-chunk", codec)


def test_chunks_beyond_the_memory_limit_are_not_decoded():
    store = {}
    gpuzarr.create_array(store, data=np.arange(1000), chunks=1000)
    report = check(store, memory_limit=7999)
    assert not report and [f.kind for f in report.findings] == ["not-checked"] and report.arrays[0].checked == 0
    assert check(store, memory_limit=8000).arrays[0].checked == 1


def test_findings_beyond_the_most_are_counted(thresholds):
    thresholds("gpuzarr.tools", MAX_FINDINGS=3)
    store = {}
    gpuzarr.create_array(store, data=np.arange(10), chunks=1, compressors=None)
    store |= {f"c/{i}": b"" for i in range(10)}
    told = []
    report = check(store, on_finding=told.append)
    assert (len(report.findings), report.more) == (3, 7) and told == report.findings


def test_progress_ends_at_the_total():
    store, calls = damage.made({}), []
    del store["a/raw/c/0/0"]
    check(store, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] == 5 * 4 + 2
    assert calls == sorted(calls)


@pytest.mark.parametrize("place", [{}, {"a": b"x"}])
def test_nothing_of_zarr(place, tmp_path):
    for store in (place, tmp_path, tmp_path / "none"):
        with pytest.raises(NotFoundError):
            check(store)
    with pytest.raises(NotFoundError):
        check(damage.made({}), "a/none")


def test_wrong_arguments():
    store = damage.made({})
    for options in ({"repair": "all"}, {"dry_run": True}, {"memory_limit": 0}, {"device": "tpu"}):
        with pytest.raises((ArgumentError, DeviceError)):
            check(store, **options)


def test_a_path_in_a_store():
    store = damage.made({})
    store["a/raw/c/0/0"] = b""
    assert {f.key for f in check(store, "a/raw").findings} == {"a/raw/c/0/0"}
    assert not check(store, "/a/zstd/").findings


def test_what_may_not_be_read(tmp_path):
    root = gpuzarr.create_group(str(tmp_path / "s"))
    root.create_array("a", data=np.arange(12), chunks=4)
    with unreadable(tmp_path / "s" / "a" / "c" / "1"):
        report = check(tmp_path / "s")
    (found,) = report.findings
    assert (found.kind, found.path, found.key, found.repair) == ("unreadable", "a", "a/c/1", None)
    with unreadable(tmp_path / "s" / "a" / "zarr.json"):
        assert {(f.kind, f.path) for f in check(tmp_path / "s").findings} == {("unreadable", "a")}
    with unreadable(tmp_path / "s" / "zarr.json"), pytest.raises(StoreError):
        check(tmp_path / "s")


def test_an_open_node():
    store = damage.made({})
    store["a/raw/c/0/0"] = b""
    assert check(gpuzarr.open_array(store, "a/raw")) and not check(gpuzarr.open_group(store, "a/deep"))


def test_harmless_objects_are_notes(tmp_path):
    gpuzarr.create_group(str(tmp_path)).create_array("a", data=np.arange(8), chunks=4)
    for name in (".DS_Store", "README.md", "a/.nfs01"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    report = check(tmp_path)
    assert not report and {(f.kind, f.path, f.count) for f in report.findings} == {
        ("stray-object", "", 2),
        ("stray-object", "a", 1),
    }
    (tmp_path / "a" / "0.0").write_bytes(b"x")
    assert check(tmp_path)


@pytest.mark.parametrize("kind", damage.KINDS, ids=lambda kind: kind.__name__)
def test_the_same_in_a_folder_and_in_a_zip_file(kind, tmp_path):
    """What is found does not depend on the store."""
    store, rng = damage.made({}), np.random.default_rng(3)
    kind(store, lambda choices: list(choices)[int(rng.integers(len(choices)))])
    expected = said(check(store, device="cpu"))
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for key, value in store.items():
            archive.writestr(key, bytes(value))
            if key != "a/raw/c/0" and not key.startswith("a/raw/c/0/0/0"):  # objects that hide folders, or in objects
                file = tmp_path / "s" / key
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(value)
    assert said(check(tmp_path / "s.zip", device="cpu")) == expected
    if len(list((tmp_path / "s").rglob("*"))) and all((tmp_path / "s" / key).is_file() for key in store):
        assert said(check(tmp_path / "s", device="cpu")) == expected


def test_an_interrupt_ends_it():
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(damage.made({}), progress=stop)


def test_where_nothing_can_be_listed(tmp_path):
    """A web server: members are found by consolidated metadata, and chunks by their keys."""
    root = gpuzarr.create_group(str(tmp_path / "s"))
    root.create_array("a", data=np.arange(12), chunks=4, compressors=["gzip"])
    root.create_array("b", data=np.arange(12).reshape(3, 4), chunks=(1, 2), shards=(3, 2))
    gpuzarr.consolidate_metadata(str(tmp_path / "s"))
    file = tmp_path / "s" / "a" / "c" / "1"
    file.write_bytes(file.read_bytes()[:-1])
    (tmp_path / "s" / "b" / "c" / "0" / "1").unlink()
    with serving(tmp_path) as server:
        report = check(f"{server.url}/s")
    assert [(f.kind, f.key) for f in report.findings if f.severity == "error"] == [("damaged-chunk", "a/c/1")]
    assert {f.kind for f in report.findings} == {"damaged-chunk", "not-checked"}
    assert [array.present for array in report.arrays] == [3, 3]


def test_a_store_that_fails_is_told():
    class Failing(dict):
        def __getitem__(self, key):
            if key.endswith("c/0"):
                raise OSError(5, "the disk is broken")
            return super().__getitem__(key)

    store = Failing()
    gpuzarr.create_array(store, data=np.arange(8), chunks=4)
    report = check(store)
    assert (
        report and {f.kind for f in report.findings} == {"unreadable"} and "the disk is broken" in str(report.findings)
    )


@corpus.needed
def test_the_corpus():
    """Arrays of the corpus whose values are known have no damage; one that is broken on purpose is found."""
    rows = corpus.zarr_rows("directory")
    for row in rows[::4]:
        if "sha256" in row:
            report = check(corpus.objects(row["path"]), device="cpu")
            assert not [f for f in report.findings if f.severity == "error"], row["path"]
    broken = [row for row in corpus.rows() if "sha256" not in row]
    found = [f.kind for row in broken for f in check(corpus.objects(row["path"])).findings]
    assert found == ["damaged-chunk"]
