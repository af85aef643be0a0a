"""Commands whose places lie behind S3's API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.cli import main
from tests.servers.faults import Proxy, status
from tests.servers.real import S3

pytest.importorskip("obstore")


@pytest.fixture
def source(tmp_path: Path) -> str:
    root = gpuzarr.create_group(tmp_path / "a.zarr", attributes={"title": "t"})
    values = np.random.default_rng(0).integers(0, 99, (40, 30)).astype("i4")
    root.create_array("g/x", data=values, chunks=(8, 8))
    root.create_array("g/y", data=values, chunks=(4, 5), shards=(20, 30))
    return str(tmp_path / "a.zarr")


def given(flag: str, s3: S3, port: int | None = None) -> list[str]:
    return [part for name, value in s3.options(port).items() for part in (flag, f"{name}={value}")]


def test_a_copy_there_and_back(moto: S3, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, here = f"{moto.bucket()}/b.zarr", str(tmp_path / "c.zarr")
    options = given("--storage-option", moto)
    assert main(["copy", source, there, "--verify", "--chunks", "10", "--shards", "20,30", *options]) == 0
    assert main(["check", there, *options]) == 0
    assert main(["diff", source, there, "--ignore-storage", *given("--storage-option-b", moto)]) == 0
    assert main(["copy", there, here, *options, "--zarr-format", "2", "--shards", "none", "--verify"]) == 0
    assert main(["diff", there, here, "--ignore-storage", *options]) == 0
    assert main(["copy", source, there, *options]) == 1
    assert "already" in capsys.readouterr().err


def test_each_place_has_options_of_its_own(moto: S3, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (f"{moto.bucket()}/{name}" for name in "bc")
    wrong = ["--storage-option", "endpoint=http://127.0.0.1:9"]
    right = given("--storage-option", moto)
    assert main(["copy", source, first, *wrong, *given("--dest-storage-option", moto)]) == 0
    assert main(["copy", first, second, *right, *given("--dest-storage-option", moto)]) == 0
    assert main(["diff", source, second, *wrong, *given("--storage-option-b", moto), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))["equal"]


def test_a_copy_that_failed_is_continued(
    moto: S3, source: str, faulty: Callable[[int], Proxy], capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that refuses what is written from some moment on."""
    there, proxy = f"{moto.bucket()}/b", faulty(moto.port)
    command: Any = ["copy", source, there, "--chunks", "4", "--shards", "none", "--memory-limit", "1KiB"]
    proxy.inject(status(403), "g/x/c/5/3", method="PUT")
    assert main([*command, *given("--storage-option", moto, proxy.port)]) == 1
    assert "--resume" in capsys.readouterr().err
    options = given("--storage-option", moto)
    assert main(["info", there, *options]) == 1
    assert main([*command, *options]) == 1 and "--resume" in capsys.readouterr().err
    assert main([*command, *options, "--resume", "--verify"]) == 0
    assert "had already been copied" in capsys.readouterr().out
    assert main(["diff", source, there, "--ignore-storage", *options]) == 0
    store = gpuzarr.open_group(there, storage_options=moto.options()).store
    assert not [key for key, _ in store.objects("") if "journal" in key]
