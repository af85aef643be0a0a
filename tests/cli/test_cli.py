"""The command line: what it prints, as text and as JSON, and how it fails."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.cli import main
from gpuzarr.cli.info import below
from gpuzarr.cli.places import add_place, storage_options

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A v3 hierarchy: /t (sharded zstd, on the GPU), /sub/text (strings), /sub/late (bz2, on the host)."""
    root = zarr.create_group(tmp_path / "s.zarr", attributes={"title": "a test", "limit": 3})
    codec = zarr.codecs.ZstdCodec(level=3)
    t = root.create_array(
        "t",
        shape=(40, 30),
        shards=(20, 30),
        chunks=(10, 10),
        dtype="f4",
        compressors=codec,
        fill_value=np.nan,
        dimension_names=("y", "x"),
    )
    t[...] = np.arange(1200).reshape(40, 30)
    sub = root.create_group("sub")
    sub.create_array("text", shape=(3,), dtype=str)[...] = np.array(["a", "b", "c"], dtype=object)
    return tmp_path / "s.zarr"


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    path = tmp_path / "v2.zarr"
    options = {"zarr_format": 2, "compressors": numcodecs.BZ2(), "fill_value": 7, "order": "F"}
    zarr.create_array(path, shape=(8, 6), chunks=(4, 4), dtype=">i2", **options)[...] = 1
    return path


def info(path: Path | str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["info", str(path), *more]) == 0
    return capsys.readouterr().out


def nodes(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    return {node["path"]: node for node in json.loads(info(path, capsys, "--json"))["nodes"]}


def test_an_array(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = info(store / "t", capsys)
    for fact in ("Zarr v3", "shape       (40, 30)", "chunks      (10, 10)", "shards      (20, 30)", "float32", "y, x"):
        assert fact in text
    assert "sharding_indexed" in text and "zstd" in text and '"NaN"' in text and "in 2 files" in text
    assert "GPU decode  yes" in text


def test_a_tree(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = info(store, capsys).splitlines()
    assert [line.split()[0] for line in lines] == ["/", "sub/", "text", "t"]
    assert "GPU decode: no, because" in lines[2] and lines[3].endswith("GPU decode: yes")


def test_json_of_a_tree(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = nodes(store, capsys)
    assert list(found) == ["/", "/sub", "/sub/text", "/t"]
    assert found["/"]["attributes"] == {"title": "a test", "limit": 3}
    t = found["/t"]
    assert (t["shape"], t["chunks"], t["shards"]) == ([40, 30], [10, 10], [20, 30])
    assert t["stored_bytes"] == sum(f.stat().st_size for f in (store / "t" / "c").rglob("*") if f.is_file())
    assert (t["fill_value"], t["gpu_decode"], t["because"], t["nbytes"]) == ("NaN", "yes", None, 4800)
    [shard] = t["codecs"]
    inner = {codec["name"]: codec["configuration"] for codec in shard["configuration"]["codecs"]}
    assert shard["name"] == "sharding_indexed" and inner["zstd"]["level"] == 3


def test_v2(v2: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = nodes(v2, capsys)["/"]
    assert (array["zarr_format"], array["order"], array["fill_value"], array["dtype"]) == (2, "F", 7, "int16")
    assert array["gpu_decode"] in ("no", "partly") and "bz2" in array["because"]
    text = info(v2, capsys)
    assert "Zarr v2" in text and f"GPU decode  {array['gpu_decode']}, because" in text and "order       F" in text


def test_a_file_url(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(info(f"file://{store / 't'}", capsys, "--json"))["nodes"][0]["stored_objects"] == 2


def test_a_url_and_its_options(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(store.parent, writable=True) as server:
        options = ["--storage-option", f"endpoint={server.url}", "--storage-option", "skip_signature=true"]
        found = json.loads(info(f"s3://{store.name}", capsys, *options, "--storage-option=region=r", "--json"))
        assert found["path"] == f"s3://{store.name}" and len(found["nodes"]) == 4
        assert "in 2 files" in info(f"s3://{store.name}|zarr3:t", capsys, *options, "--storage-option=region=r")
        text = info(f"{server.url}/{store.name}/t?key=secret", capsys)  # where nothing can be listed
        assert "shape       (40, 30)" in text and "bytes that nobody can list, of 4,800 decoded" in text
        array = json.loads(info(f"{server.url}/{store.name}/t?key=secret", capsys, "--json"))
        assert array["nodes"][0]["stored_bytes"] is None and "secret" not in json.dumps(array)
        assert main(["info", f"{server.url}/none"]) == 1 and f"{server.url}/none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=true", True),
        ("a=12", 12),
        ("a=1e5", "1e5"),
        ("a=0123", "0123"),
        ("a=x=y", "x=y"),
        ("a=", ""),
        ('a={"b": [1]}', {"b": [1]}),
        ('a="12"', "12"),
        ("a=null", None),
    ],
)
def test_values_of_options(text: str, value: object) -> None:
    parser = argparse.ArgumentParser()
    add_place(parser)
    assert storage_options(parser.parse_args(["p", "--storage-option", text])) == {"a": value}
    assert storage_options(parser.parse_args(["p"])) is None
    with pytest.raises(SystemExit):
        parser.parse_args(["p", "--storage-option", "a"])


def test_one_broken_node_does_not_hide_the_others(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "sub" / "text" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array"}')
    found = nodes(store, capsys)
    assert found["/sub/text"]["kind"] == "error" and found["/t"]["kind"] == "array"
    assert "error:" in info(store, capsys)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"zarr_format": 3}', b"[]"])
def test_errors_are_one_line(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "zarr.json").write_bytes(content)
    assert main(["info", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("gpuzarr: ") and captured.err.count("\n") == 1


def test_python_m_gpuzarr(store: Path) -> None:
    command = [sys.executable, "-m", "gpuzarr"]
    root = Path(gpuzarr.__file__).parent.parent
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, cwd=root, check=True)
    assert version.stdout == f"gpuzarr {gpuzarr.__version__}\n"
    missing = subprocess.run([*command, "info", str(store / "none")], capture_output=True, text=True, cwd=root)
    assert missing.returncode == 1 and "none" in missing.stderr and missing.stderr.count("\n") == 1
    assert subprocess.run(command, capture_output=True, cwd=root).returncode == 2


def test_consolidated_v2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = zarr.create_group(tmp_path, zarr_format=2)
    root.create_array("a/b", shape=(4,), chunks=(2,), dtype="i4", compressors=None)
    zarr.consolidate_metadata(tmp_path, zarr_format=2)
    assert list(nodes(tmp_path, capsys)) == ["/", "/a", "/a/b"]


def test_a_broken_node_of_consolidated_metadata_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = zarr.create_group(tmp_path, zarr_format=2)
    for name in ("a/bad", "a/good"):
        root.create_array(name, shape=(4,), chunks=(2,), dtype="i4", compressors=None)
    zarr.consolidate_metadata(tmp_path, zarr_format=2)
    summary = json.loads((tmp_path / ".zmetadata").read_text())
    summary["metadata"]["a/bad/.zarray"]["shape"] = "four"
    (tmp_path / ".zmetadata").write_text(json.dumps(summary))
    found = nodes(tmp_path, capsys)
    assert found["/a/bad"]["kind"] == "error" and found["/a/good"]["kind"] == "array"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_sizes_are_those_of_the_store_whatever_it_is(zarr_format: int, tmp_path: Path) -> None:
    values = np.arange(60, dtype="i4").reshape(10, 6)
    for kept in ({}, tmp_path / "folder"):
        root = gpuzarr.create_group(kept, zarr_format=zarr_format)
        root.create_array("a/b", data=values, chunks=(5, 6), compressors=None)
        group, array = below(root)
        assert (group["path"], array["path"], array["kind"]) == ("/a", "/a/b", "array")
        assert (array["stored_bytes"], array["stored_objects"]) == (values.nbytes, 2)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("deep") / "s"
    gpuzarr.create_group(str(path), path="/".join(["a"] * 450))
    gpuzarr.open(str(path), mode="r+").create_array("n", shape=2, dtype="i1", attributes={"\ud800": "\ud800"})
    yield path
    gpuzarr.open_group(str(path), mode="w")  # too deep for those who clean up


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_any_names_and_any_depth_are_printed(deep: Path, form: list[str]) -> None:
    few_calls = "import sys; from gpuzarr.__main__ import main; sys.setrecursionlimit(350); sys.exit(main())"
    arguments = [sys.executable, "-c", few_calls, "info", *form]
    said = subprocess.run([*arguments, str(deep)], capture_output=True, text=True, check=True).stdout
    assert len(said.splitlines()) > 450
    array = subprocess.run([*arguments, str(deep / "n")], capture_output=True, text=True, check=True).stdout
    assert "\\ud800" in array
