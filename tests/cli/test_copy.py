"""`gpuzarr copy`: what its arguments mean, what it prints, and how it ends."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.cli import copy, main
from tests.copies import files_of

MAIN = "from gpuzarr.__main__ import main; main()"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    g = gpuzarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    names = {"attributes": {"_ARRAY_DIMENSIONS": ["y", "x"]}}
    g.create_array("images/raw", data=np.arange(60 * 40, dtype="i4").reshape(60, 40), chunks=(16, 16), **names)
    g.create_array("images/mask", data=np.ones((60, 40), bool), chunks=(60, 40), **names)
    return tmp_path / "a.zarr"


def test_it_copies(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dest = tmp_path / "b.zarr"
    more = ["--chunks", "8,8", "--shards", "y=16,x=16", "--compressor", "blosc:lz4:3", "--include", "images/raw"]
    way = [
        "--zarr-format",
        "3",
        "--select",
        "y=10:50:2",
        "--dtype",
        "int64",
        "--verify",
        "--workers",
        "3",
        "--no-progress",
    ]
    assert main(["copy", str(source), str(dest), *more, *way]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("copied 1 array and 2 groups, 6.25 KiB decoded, in ") and not printed.err
    assert printed.out.rstrip().endswith("; the copy equals the source")
    a = gpuzarr.open(dest)["images/raw"]
    assert (a.chunks, a.shards, a.dtype, a.zarr_format) == ((8, 8), (16, 16), "int64", 3)
    assert a.compressors[0].cname == "lz4" and a.compressors[0].clevel == 3
    np.testing.assert_array_equal(a[...], np.arange(60 * 40).reshape(60, 40)[10:50:2])


def test_json_and_dry_runs(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", str(source), str(tmp_path / "b"), "--dry-run", "--compressor", "zstd:3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "would be written:" and lines[1].split()[:2] == ["path", "shape"]
    assert lines[3].startswith("/images/mask  60 x 40  bool") and lines[3].endswith("2.34 KiB  values")
    assert not (tmp_path / "b").exists()
    assert main(["copy", str(source), str(tmp_path / "b"), "--json", "--progress"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["objects_done"] == 13 and report["nbytes"] == 12000 and not report["dry_run"]
    assert {node["path"]: node["method"] for node in report["nodes"] if node["kind"] == "array"} == {
        "/images/mask": "stored bytes",
        "/images/raw": "stored bytes",
    }


def test_damaged_chunks_are_told(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source / "images/raw/1.2").write_bytes(b"damaged")
    assert main(["copy", str(source), str(tmp_path / "b"), "--chunks", "60,40"]) == 1
    assert "chunk (1, 2) of array '/images/raw'" in capsys.readouterr().err
    assert main(["copy", str(source), str(tmp_path / "c"), "--on-error", "fill"]) == 0
    assert "the fill value replaces chunk (1, 2) of array '/images/raw'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64", 64),
        ("64, 32", (64, 32)),
        ("-1,8", (-1, 8)),
        ("auto", "auto"),
        ("time=24, x=-1", {"time": 24, "x": -1}),
    ],
)
def test_sizes(text: str, expected: Any) -> None:
    assert copy.sizes_of(text) == copy.shards_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        ("auto", "auto"),
        ("zstd:3", [{"id": "zstd", "level": 3}]),
        ("lz4", [{"id": "lz4"}]),
        ("blosc", [{"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 1}]),
        ("blosc:lz4:9:bitshuffle", [{"id": "blosc", "cname": "lz4", "clevel": 9, "shuffle": 2}]),
        ('{"name": "gzip", "configuration": {"level": 1}}', [{"name": "gzip", "configuration": {"level": 1}}]),
        ('[{"id": "zlib"}]', [{"id": "zlib"}]),
    ],
)
def test_compressors(text: str, expected: Any) -> None:
    assert copy.compressors_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:10, :, ::2", (slice(0, 10), slice(None), slice(None, None, 2))),
        ("[3, ..., -1]", (3, ..., -1)),
        ("::-1", (slice(None, None, -1),)),
        ("time=0:10,x=-1", {"time": slice(0, 10), "x": -1}),
    ],
)
def test_selections(text: str, expected: Any) -> None:
    assert copy.selection_of(text) == expected


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (copy.sizes_of, "8,b"),
        (copy.sizes_of, "y=8,8"),
        (copy.compressors_of, "zstd:fast"),
        (copy.compressors_of, "gzip:1:2"),
        (copy.compressors_of, "blosc:lz4:1:swap"),
        (copy.selection_of, "1:2:3:4"),
        (copy.selection_of, "a"),
    ],
)
def test_arguments_that_mean_nothing(parse: Any, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"'"):
        parse(text)


def test_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def failed(*arguments: Any) -> str:
        assert main(["copy", *map(str, arguments)]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        return lines[0]

    assert "no" in failed(tmp_path / "nothing", tmp_path / "b")
    assert "already" in failed(source, _made(tmp_path / "there"))
    (tmp_path / "file").write_text("a file")
    assert "--resume to continue" in failed(source, tmp_path / "file/b")
    assert "the other way round" in failed(source, source, "--overwrite")
    assert "array '/images/" in failed(source, tmp_path / "b", "--chunks", "1,2,3")
    assert "cannot be cast" in failed(source, tmp_path / "c", "--dtype", "datetime64[s]")
    with pytest.raises(SystemExit) as caught:
        main(["copy", str(source), str(tmp_path / "b"), "--overwrite", "--resume"])
    assert caught.value.code == 2


def _made(path: Path) -> Path:
    gpuzarr.save(path, np.arange(3))
    return path


def test_ctrl_c(tmp_path: Path) -> None:
    """It ends with 130 and says how to go on; then it does."""
    values = np.random.default_rng(0).integers(0, 1000, (48, 256, 256), "u2")
    gpuzarr.create_array(tmp_path / "a", data=values, chunks=(1, 256, 256), compressors=None)
    gpuzarr.create_array(tmp_path / "b_like", data=values, chunks=(1, 128, 256), compressors={"id": "bz2", "level": 9})
    command = [sys.executable, "-m", "gpuzarr", "copy", str(tmp_path / "a"), str(tmp_path / "b")]
    command += ["--chunks", "1,128,256", "--compressor", "bz2:9", "--memory-limit", "1MiB", "--workers", "1"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while len([*tmp_path.glob("b/c/*/*/*")]) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    told = running.stderr.read()
    assert running.wait(30) == 130 and "interrupted; what was copied is kept" in told and "--resume" in told
    with pytest.raises(gpuzarr.NotFoundError):
        gpuzarr.open(tmp_path / "b")
    done = subprocess.run([*command, "--resume", "--verify"], capture_output=True, text=True)
    assert done.returncode == 0 and "objects had already been copied; the copy equals" in done.stdout
    expected = {key: data for key, data in files_of(tmp_path / "b_like").items() if key != "zarr.json"}
    assert {key: data for key, data in files_of(tmp_path / "b").items() if key != "zarr.json"} == expected


def test_an_interrupt_outside_of_the_copy_says_no_more(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuzarr.cli.copy._print", interrupted)
    assert main(["copy", str(source), str(tmp_path / "b"), "--resume"]) == 130
    assert capsys.readouterr().err == "gpuzarr: interrupted\n"


def test_ctrl_c_while_modules_are_imported(tmp_path: Path) -> None:
    """It ends at once, and prints no traceback."""
    (tmp_path / "numpy.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); " + MAIN]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
