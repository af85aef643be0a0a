"""stores/gds.py on a stub of kvikio, on the emulated device. A machine with GPUDirect Storage has the last word."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import DeviceError, StoreError
from gpuzarr.stores.local import gds
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.parts import PartsStore
from gpuzarr.stores.zip import ZipStore
from tests.emulator.arrays import DeviceArray
from tests.hardware import host_array
from tests.stores.parts_tables import in_many_forms

VALUES = np.random.default_rng(0).integers(0, 99, (32, 48)).astype("<i4")
LAYOUTS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "crc32c": {"compressors": [zarr.codecs.Crc32cCodec()]},
    "transposed": {"compressors": None, "filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
    "shards": {"compressors": None, "shards": (16, 48)},
    "zstd": {"compressors": [zarr.codecs.ZstdCodec()]},
}


class Future:
    """The bytes come when it is waited for, and not before: into a buffer that must still be there."""

    def __init__(self, file: CuFile, buffer: DeviceArray, size: int, offset: int) -> None:
        self._what, self._done = (file, buffer, size, offset), -1

    def get(self) -> int:
        file, buffer, size, offset = self._what
        if self._done < 0:
            assert not file.closed, "the file was closed before its future was done"
            data = Path(file.path).read_bytes()[offset : offset + size]
            buffer.view(np.ndarray)[: len(data)] = np.frombuffer(data, np.uint8)
            self._done = min(len(data), file.at_most)
        return self._done


class CuFile:
    mode = "auto"
    at_most = 1 << 40
    refused = ""
    opened = 0

    def __init__(self, path: str, flags: str) -> None:
        assert flags == "r" and CuFile.mode == "off"
        if self.refused and self.refused in path:
            raise RuntimeError("cuFileHandleRegister: the file system is not supported")
        self.path, self.closed = path, False
        CuFile.opened += 1

    def pread(self, buffer: Any, size: int, file_offset: int) -> Future:
        assert isinstance(buffer, DeviceArray) and len(buffer) == size
        return Future(self, buffer, size, file_offset)

    def close(self) -> None:
        self.closed = True


@contextmanager
def _set(settings: dict[str, str]) -> Any:
    before, CuFile.mode = CuFile.mode, settings["compat_mode"]
    try:
        yield
    finally:
        CuFile.mode = before


@pytest.fixture
def kvikio(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("kvikio")
    module.CuFile, module.CompatMode = CuFile, SimpleNamespace(OFF="off")
    module.defaults = SimpleNamespace(set=_set)
    module.cufile_driver = SimpleNamespace(get=lambda name: module.there)
    module.there = True
    for name, part in {
        "kvikio": module,
        "kvikio.defaults": module.defaults,
        "kvikio.cufile_driver": module.cufile_driver,
    }.items():
        monkeypatch.setitem(sys.modules, name, part)
    monkeypatch.setattr(gds, "find_spec", lambda name: name == "kvikio")
    monkeypatch.setattr(gds, "_opened_apart", lambda path: "")  # in another process there is no such stub
    monkeypatch.setattr(CuFile, "opened", 0)
    gds._FOUND.clear()
    gds.why_not.cache_clear()
    yield module
    gds.FILES.clear()
    gds._FOUND.clear()
    gds.why_not.cache_clear()


@pytest.fixture
def gpu() -> Device:
    from tests.hardware import emulated

    return emulated()


def write(path: Path, name: str) -> Path:
    z = zarr.create_array(path / name, shape=VALUES.shape, dtype="i4", chunks=(8, 16), fill_value=0, **LAYOUTS[name])
    z[:24] = VALUES[:24]
    return path / name


@pytest.mark.parametrize("name", LAYOUTS)
def test_values(name: str, tmp_path: Path, gpu: Device, kvikio: Any) -> None:
    want = np.concatenate([VALUES[:24], np.zeros_like(VALUES[24:])])
    path = write(tmp_path, name)
    for limit in (None, "100KiB"):
        a = gpuzarr.open_array(path, device=gpu, io="gds", memory_limit=limit)
        np.testing.assert_array_equal(host_array(a[...]), want)
        assert a.last_read.asdict()["io"] == a.explain().io == "GDS"
        assert gpu.held.total == 0
    auto = gpuzarr.open_array(path, device=gpu)
    np.testing.assert_array_equal(host_array(auto[...]), want)
    assert ("GDS" if name != "zstd" else "POSIX: the host looks at the frames of zstd") == auto.explain().io
    if name == "raw":  # nothing of the chunks crosses the bus: only the tables that say where each goes
        said = auto.last_read.asdict()
        assert said["sent_bytes"] < want.nbytes // 4 and said["peak_pinned_bytes"] <= 2 * 4096


def test_members_of_an_archive(tmp_path: Path, gpu: Device, kvikio: Any) -> None:
    """From one file, each at its offset; unless one is compressed."""
    for compression in (0, 8):
        with ZipStore(tmp_path / "a.zip", mode="w", compression=compression) as store:
            gpuzarr.create_array(store, data=VALUES, chunks=(8, 16), compressors=None, device="cpu")
        a = gpuzarr.open_array(ZipStore(tmp_path / "a.zip"), device=gpu)
        np.testing.assert_array_equal(host_array(a[...]), VALUES)
        said = a.last_read.asdict()["io"]
        assert said == "GDS" if not compression else "members that are compressed" in said
    gds.FILES.clear()


def test_parts_in_many_forms(tmp_path: Path, gpu: Device, kvikio: Any) -> None:
    made: dict[str, bytes] = {}
    gpuzarr.create_array(made, data=VALUES, chunks=(8, 16), compressors=None, device="cpu")
    contents = {key: bytes(value) for key, value in made.items()}
    store = PartsStore(in_many_forms([LocalStore(tmp_path), LocalStore(tmp_path / "b")], contents))
    a = gpuzarr.open_array(store, device=gpu, io="gds")
    np.testing.assert_array_equal(host_array(a[...]), VALUES)


def test_why_not(tmp_path: Path, gpu: Device, kvikio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "raw")

    def problem(**options: Any) -> str:
        gds.why_not.cache_clear()
        with pytest.raises(DeviceError, match="no GDS on") as caught:
            gpuzarr.open_array(options.pop("store", path), **({"device": gpu, "io": "gds"} | options))[...]
        return str(caught.value)

    assert "host memory" in problem(device="cpu")
    assert "is not a folder" in problem(store={"zarr.json": (path / "zarr.json").read_bytes()})
    assert "validate='host'" in problem(validate="host")
    kvikio.there = False
    assert "nvidia-fs" in problem()
    kvikio.there = True
    monkeypatch.setattr(CuFile, "refused", str(path))
    assert "not supported" in problem()
    a = gpuzarr.open_array(path, device=gpu)
    assert a.explain().io.startswith("POSIX: cuFile does not work") and host_array(a[0, 0]) == VALUES[0, 0]
    monkeypatch.setattr(gds, "find_spec", lambda name: None)
    assert "kvikio is not installed" in problem()
    assert gpuzarr.open_array(path, device=gpu, io="posix").explain().io == "POSIX: posix was asked for"
    with pytest.raises(ValueError, match="io is one of"):
        gpuzarr.open(path, io="fast", device="cpu")  # type: ignore[arg-type]


def test_files_that_end_too_soon(tmp_path: Path, gpu: Device, kvikio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a = gpuzarr.open_array(write(tmp_path, "raw"), device=gpu, io="gds")
    a[...]
    monkeypatch.setattr(CuFile, "at_most", 100)
    with pytest.raises(StoreError, match="became shorter"):
        a[...]
    assert gpu.held.total == 0


def test_open_files_are_kept_and_bounded(tmp_path: Path, kvikio: Any) -> None:
    paths = []
    for i in range(4):
        paths.append(str(tmp_path / str(i)))
        Path(paths[i]).write_bytes(b"x")
    files = gds.Files(most=2)
    with files.open(paths[0]) as first:
        pass
    with files.open(paths[0]) as again, files.open(paths[0]) as another:
        assert again is first and another is not first
    Path(paths[0]).write_bytes(b"changed")
    with files.open(paths[0]) as changed:
        assert changed not in (first, another) and first.closed and another.closed
    for path in paths:
        with files.open(path):
            pass
    assert changed.closed and CuFile.opened == 6
    with pytest.raises(FileNotFoundError):
        files.open(str(tmp_path / "none")).__enter__()
    files.clear()


def test_threads_that_open_files_at_once_leave_the_settings_of_others(
    tmp_path: Path, kvikio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting of the whole process is changed while a file is opened."""
    right = CuFile.__init__

    def slow(self: CuFile, path: str, flags: str) -> None:
        time.sleep(0.002)
        right(self, path, flags)

    monkeypatch.setattr(CuFile, "__init__", slow)
    paths = [tmp_path / f"{i}" for i in range(16)]
    for path in paths:
        path.write_bytes(b"abc")

    def open_(path: Path) -> None:
        with gds.FILES.open(str(path)):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_, paths))
    assert CuFile.mode == "auto"


OPENS = {
    "spins": "while True: pass",
    "refuses": "raise RuntimeError('no driver')",
    "dies": "import os; os.abort()",
    "opens": "assert path and how == 'r'",
}


@pytest.mark.parametrize("how", OPENS)
def test_a_file_is_opened_in_another_process_first(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cuFile does where it cannot start, by a package of its name that the other process imports."""
    package = tmp_path / "kvikio"
    package.mkdir()
    (package / "__init__.py").write_text(
        f"class CuFile:\n  def __init__(self, path, how):\n    {OPENS[how]}\n  def close(self): pass\n"
        "class CompatMode:\n  OFF = 1\n"
    )
    (package / "defaults.py").write_text("import contextlib\nset = lambda settings: contextlib.nullcontext()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(gds, "TRIAL_SECONDS", 2.0 if how == "spins" else 60.0)
    said = gds._opened_apart(str(package / "defaults.py"))
    assert (said == "") == (how == "opens")
    assert {"spins": "within 2 seconds", "refuses": "no driver", "dies": "status -6", "opens": ""}[how] in said


def test_a_trial_that_fails_is_the_reason_and_is_made_once(
    tmp_path: Path, kvikio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is opened in this process after it, in no folder of the file system."""
    tried: list[str] = []
    monkeypatch.setattr(gds, "_opened_apart", lambda path: tried.append(path) or "it spins")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
        assert "it spins" in (gds.why_not(str(tmp_path / name)) or "")
    assert len(tried) == 1 and CuFile.opened == 0
