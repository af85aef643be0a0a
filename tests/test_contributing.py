"""CONTRIBUTING is true: its map names what exists, and the code of its recipes runs."""

from __future__ import annotations

import re
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

import gpuzarr
from gpuzarr import cli, codecs
from gpuzarr.devices.contract import Device
from tests.hardware import host_array

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^## Recipe: add a (\w+)\n(.*?)(?=^## )", TEXT, re.M | re.S))


def code(recipe: str, language: str = "python") -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", RECIPES[recipe], re.S)
    return found


def module(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    exec(compile(source, name, "exec"), made.__dict__)
    return made


def test_five_recipes() -> None:
    assert list(RECIPES) == ["codec", "store", "client", "kernel", "command"]
    assert TEXT.count("```python") == 5 and TEXT.count("```cuda") == 1 and TEXT.count("```") == 12


def test_what_is_named_exists() -> None:
    names = re.findall(r"`((?:gpuzarr|tests|kernels|benchmarks)/[\w/.]*)`", TEXT)
    names += re.findall(r"^    (?:.* {3,})?((?:gpuzarr|tests|kernels|benchmarks)/[\w/.]*) ", TEXT, re.M)
    names += [f"gpuzarr/{name}" for name in re.findall(r"`((?:\w+/)+\w*\.py)`", TEXT) if not (ROOT / name).exists()]
    assert len(names) > 30 and not [name for name in names if not (ROOT / name).exists()]
    rooms = {path.name for path in (ROOT / "gpuzarr").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert not [room for room in rooms if f"gpuzarr/{room}/" not in TEXT]
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in re.findall(r"^    make (\w+)", TEXT, re.M))


def test_a_codec(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "negated-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: negated\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[gpuzarr.codecs]\nexample.negated = negated:CODEC\n")
    module("negated", code("codec"), monkeypatch)
    monkeypatch.syspath_prepend(tmp_path / "site")
    codecs.others.cache_clear()
    values = np.arange(48, dtype="i4").reshape(6, 8)
    try:
        gpuzarr.create_array(tmp_path / "a", data=values, chunks=(4, 4), filters="example.negated", compressors=None)
        a = gpuzarr.open_array(tmp_path / "a", device=device)
        assert np.array_equal(host_array(a[...]), values) and a.explain().gpu_decode == "yes"
        assert np.frombuffer((tmp_path / "a/c/0/1").read_bytes(), "<i4")[0] == -4
        with pytest.raises(gpuzarr.MetadataError, match="takes signed numbers, not uint8"):
            gpuzarr.create_array({}, shape=3, dtype="u1", filters="example.negated")
    finally:
        codecs.others.cache_clear()


def test_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    table = module("table", code("store"), monkeypatch).Table("objects.db")
    assert capsys.readouterr().out == "[3 4]\n"
    root = gpuzarr.create_group(table, overwrite=True)
    root.create_array("a/b", data=np.arange(30), chunks=4, shards=8)[3:5] = -1
    assert len(table) == 7 and gpuzarr.open(table)["a/b"][2:6].tolist() == [2, -1, -1, 5]
    assert "a" in gpuzarr.open(table) and gpuzarr.open(table)["a/b"].nbytes_stored() > 0


class WebServer(BaseHTTPRequestHandler):
    """Answers with objects of a dict, and ranges of them."""

    objects: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        data = self.objects.get(self.path.removeprefix("/"))
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if data is None or (span and span[1] and int(span[1]) >= len(data)):
            return self.send_error(404 if data is None else 416)
        begin, end = 0, len(data)
        if span:
            begin = int(span[1]) if span[1] else max(end - int(span[2]), 0)
            end = min(int(span[2]) + 1, end) if span[1] and span[2] else end
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        self.send_header("ETag", f'"{zlib.crc32(data)}"')
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[begin:end])
        return None

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        return


def test_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made = module("web", code("client"), monkeypatch)
    values = np.arange(600, dtype="u2").reshape(20, 30)
    gpuzarr.save_array(WebServer.objects, values, path="a", chunks=(5, 30), shards=(10, 30), compressors=None)
    with ThreadingHTTPServer(("localhost", 0), WebServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            store = made.RemoteStore(made.WebClient(f"http://localhost:{server.server_port}"))
            a = gpuzarr.open(store, "a", device="cpu")
            WebServer.asked.clear()
            assert np.array_equal(a[...], values) and len(WebServer.asked) == 2
            assert np.array_equal(a[12:14, 3], values[12:14, 3])
            with pytest.raises(gpuzarr.ReadOnlyError, match="takes no objects"):
                gpuzarr.open(store, "a", mode="r+")
            with pytest.raises(gpuzarr.StoreError, match="a web server tells no names"):
                list(gpuzarr.open_group(store, mode="r"))
        finally:
            server.shutdown()
            thread.join()


def test_a_kernel(gpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "add.cu"
    file.write_text(code("kernel", "cuda"))
    recipe = module("recipe", code("kernel").replace('"add.cu"', repr(str(file))), monkeypatch)
    recipe.test_add(gpu)
    recipe.add(gpu, gpu.upload(np.empty(0, np.uint32)), 7)


def test_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "COMMANDS", (*cli.COMMANDS, module("ratio", code("command"), monkeypatch)))
    gpuzarr.save(tmp_path / "a", np.zeros((500, 500)) + 1)
    assert cli.main(["ratio", str(tmp_path / "a")]) == 0
    assert float(capsys.readouterr().out.removeprefix("ratio  ")) > 100
    assert cli.main(["ratio", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("gpuzarr: no Zarr array or group")
