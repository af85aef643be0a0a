"""Programs load no more of the package than they use: asserted by the names of modules, never by time."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from gpuzarr import codecs

ROOT = Path(gpuzarr.__file__).parent.parent
LOADED = "import sys; before = set(sys.modules); {}; print(*sorted(set(sys.modules) - before))"
PACKAGES = {"cupy", "kvikio", "numcodecs", "ml_dtypes", "cramjam", "isal", "google_crc32c", "zarr", "argparse"}
ONLY_TO_WRITE = ("gpuzarr.write", "gpuzarr.creation", "gpuzarr.nodes.create", "gpuzarr.nodes.resize")
ONLY_ON_A_GPU = ("gpuzarr.gpu.", "gpuzarr.devices.cuda.device", "gpuzarr.devices.nvcomp.", "nvidia", "cupy", "kvikio")
ONLY_WHEN_ASKED = ("gpuzarr.read.explain", "gpuzarr.cli", "gpuzarr.api.creating", "gpuzarr.api.saving", "argparse")
SUBMODULES = ("codecs", "config", "dtype", "earth2studio", "errors", "ome", "storage", "tools", "xarray", "zarr")
AT_ONCE = """
import threading, gpuzarr
found, start = [], threading.Barrier(8)
def use(name):
    start.wait()
    found.append(getattr(gpuzarr, name))
names = ["Array", "open", "save", "ChunkError", "create_array", "Group", "zeros", "warmup"]
threads = [threading.Thread(target=use, args=(name,)) for name in names]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(len(found))
"""


def python(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def loaded(program: str) -> list[str]:
    """Modules that a program loads."""
    return python(LOADED.format(program))


def begin_with(modules: list[str], prefixes: tuple[str, ...]) -> list[str]:
    return [module for module in modules if module.startswith(prefixes)]


def test_importing_loads_nothing_else() -> None:
    modules = loaded("import gpuzarr")
    assert begin_with(modules, ("gpuzarr",)) == ["gpuzarr"] and not PACKAGES & set(modules)
    assert not begin_with(modules, ("numpy", "asyncio", "urllib", "importlib.metadata", "dataclasses"))


@pytest.mark.parametrize("compressor", ["zstd", None])
def test_reading_on_a_cpu_loads_what_it_uses(compressor: str | None, tmp_path: Path) -> None:
    gpuzarr.create_array(tmp_path / "a", data=np.arange(5000), chunks=(800,), compressors=compressor)
    modules = loaded(f"import gpuzarr; gpuzarr.open({str(tmp_path / 'a')!r}, device='cpu')[10:2000]")
    assert "gpuzarr.read" in modules
    assert not begin_with(modules, (*ONLY_TO_WRITE, *ONLY_ON_A_GPU, *ONLY_WHEN_ASKED))
    machinery = {Path(codecs.__file__).stem, "chain", "contract", "decoding", "encoding", "memory_order"}
    machinery |= {"single_chunk", "single_chunk_encoder", "step", "strides"}
    files = machinery | {"bytes", "sharding_indexed"}
    found = {module.rpartition(".")[2] for module in begin_with(modules, ("gpuzarr.codecs.",))}
    assert found <= files | ({compressor} if compressor else set())
    if compressor is None:  # numcodecs, which has zstd, loads these itself
        assert not begin_with(
            modules, ("numcodecs", "importlib.metadata", "asyncio", "urllib.request", "email", "subprocess")
        )


def test_every_public_name_is_there() -> None:
    assert set(gpuzarr.__all__) <= set(dir(gpuzarr)) and gpuzarr.__all__ == sorted(gpuzarr.__all__)
    for name in gpuzarr.__all__:
        assert getattr(gpuzarr, name).__name__ == name
    with pytest.raises(AttributeError, match="'gpuzarr' has no attribute 'nothing'"):
        gpuzarr.nothing  # noqa: B018
    with pytest.raises(ImportError):
        exec("from gpuzarr import nothing")


@pytest.mark.parametrize("name", ["DirectoryStore", "MemoryStore", "ZipStore", "Blosc", "AsyncArray", "hierarchy"])
def test_names_of_zarr_python_that_are_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'gpuzarr' has no attribute '{name}': (give|take|use|public)"):
        getattr(gpuzarr, name)


def test_completion_shows_public_names_only() -> None:
    names = [name for name in dir(gpuzarr) if not name.startswith("__")]
    assert names == sorted([*gpuzarr.__all__, *SUBMODULES])


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(gpuzarr.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    names = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(names) == sorted([*gpuzarr.__all__, *SUBMODULES])
    assert (Path(gpuzarr.__file__).parent / "py.typed").is_file()


def test_public_names_pickle() -> None:
    for name in gpuzarr.__all__:
        assert pickle.loads(pickle.dumps(getattr(gpuzarr, name))) is getattr(gpuzarr, name)


def test_many_threads_load_at_once() -> None:
    assert python(AT_ONCE) == ["8"]


def test_a_codec_is_found_by_its_file_as_by_the_registry() -> None:
    for (zarr_format, name), codec in codecs.registry().items():
        assert codecs.class_of(zarr_format, name) is codec, name
