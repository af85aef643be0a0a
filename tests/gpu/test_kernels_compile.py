"""Every kernel compiles, without a warning, for every GPU that we name. Needs NVRTC, no GPU."""

import re
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpuzarr.devices import kernels
from gpuzarr.errors import DeviceError
from tests.cubins import local_memory, registers


@pytest.fixture(scope="module", autouse=True)
def _needs_nvrtc():
    try:
        kernels.nvrtc()
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("file, width", kernels.variants())
def test_compiles(file, width, arch):
    """But what this compiler has compiled from the same text without a warning before, it does not compile again."""
    with _first_time(file, arch, width) as first:
        if first:
            assert kernels.compile_strictly(file, arch, width)[:4] == b"\x7fELF"


@contextmanager
def _first_time(file, arch, width):
    """Whether this text was not yet compiled for this GPU, by this compiler, in a block that did not fail."""
    key = kernels._key(file, arch, kernels.nvrtc().version(), width)
    known = kernels.cache_folder().with_name("gpuzarr-tests") / key
    yield not known.exists()
    known.parent.mkdir(parents=True, exist_ok=True)
    known.touch()


# Of loads and stores that could reach any kind of memory: entries of lists, and the words of programs and their flags.
_OF_ANY_MEMORY = {"place_listed.cu": {"ld.u64"}, "place_cast.cu": {"ld.u64", "atom.min.u32"}}


@pytest.mark.parametrize("file, width", kernels.variants())
def test_the_compiler_knows_which_memory_is_read_and_written(file, width):
    """An address from a table is a pointer to global memory, by `global` of common.cuh: else each load looks first
    whether it is one to shared or local memory."""
    with _first_time(file, "compute_90", width) as first:
        found = (
            _memory_instructions(kernels.compile_strictly(file, "compute_90", width).decode())
            if first
            else ["ld.global"]
        )
    of_any = {each for each in found if not re.search(r"\.(global|shared|param|const|local)\b", each)}
    assert found and of_any <= _OF_ANY_MEMORY.get(file, set())


def _memory_instructions(ptx):
    return re.findall(r"^\s+(?:@\S+ )?((?:ld|st|atom|red)\.[\w.]+)", ptx, re.MULTILINE)


@pytest.mark.parametrize("file, width", kernels.variants())
def test_registers_hold_all(file, width):
    """On the GPUs that we name first, no kernel spills; those that move most let three blocks of 256 run at once."""
    for arch in ("sm_80", "sm_90"):
        made = kernels.cubin(file, arch, width)
        frames, used = local_memory(made), registers(made)
        assert used and not any(frames.values()), frames
        assert file not in ("place.cu", "place_planes.cu", "shuffle.cu") or max(used.values()) <= 80


def test_what_was_compiled_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels.cubin.cache_clear()
    first = kernels.cubin("check.cu", "sm_90")
    kernels.cubin.cache_clear()
    monkeypatch.setattr(type(kernels.nvrtc()), "compile", None)  # must not be asked again
    assert kernels.cubin("check.cu", "sm_90") == first
    (kept,) = (tmp_path / "gpuzarr").iterdir()
    assert kept.name.startswith("check-sm_90-")
    kernels.cubin.cache_clear()


def test_each_width_is_kept_by_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels.cubin.cache_clear()
    for width in (1, 16):
        assert list(registers(kernels.cubin("place_planes.cu", "sm_90", width))) == [f"place_planes_{width}"]
    assert len(list((tmp_path / "gpuzarr").iterdir())) == 2
    with pytest.raises(DeviceError, match="ELEMENT_BYTES must be"):
        kernels.cubin("place_planes.cu", "sm_90", 3)
    kernels.cubin.cache_clear()


def test_a_kernel_that_does_not_compile_says_why():
    with pytest.raises(DeviceError, match="undefined"):
        kernels.nvrtc().compile("__global__ void f() { nonsense(); }", "f.cu", ("--gpu-architecture=sm_90",))


def test_a_warning_is_an_error_where_it_is_strict():
    source, options = "__global__ void f() { int unused; }", ("--gpu-architecture=sm_90",)
    assert kernels.nvrtc().compile(source, "f.cu", options)[:4] == b"\x7fELF"
    with pytest.raises(DeviceError, match="unused"):
        kernels.nvrtc().compile(source, "f.cu", options, strict=True)


def test_a_gpu_that_is_newer_than_the_compiler_gets_ptx(tmp_path, monkeypatch):
    assert kernels.known("sm_90", (80, 90, 100)) == "sm_90"
    assert kernels.known("sm_75", (80, 90)) == "sm_75"  # which will not compile, and says so
    archs = kernels.nvrtc().archs()
    assert {80, 90, 100} <= set(archs) and kernels.known("sm_999", archs) == f"compute_{max(archs)}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        made = kernels.cubin("place.cu", "sm_999")
        assert made.startswith(b"//") and b".visible .entry place(" in made
        kernels.cubin.cache_clear()


def test_nvrtc_is_opened_after_what_it_asks_for_by_name(tmp_path, monkeypatch):
    """As the package of 13.0 has no path in it: without its built-ins it compiles nothing."""
    (tmp_path / "cu13/lib").mkdir(parents=True)
    for name in ("libnvrtc-builtins.alt.so.13.0", "libnvrtc-builtins.so.13.0", "libnvrtc.alt.so.13", "libnvrtc.so.13"):
        (tmp_path / "cu13/lib" / name).touch()
    opened = []
    monkeypatch.setattr(kernels, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    monkeypatch.setattr(kernels.ctypes, "CDLL", lambda path: opened.append(Path(path).name))
    kernels._PackagedNvrtc()
    assert opened == ["libnvrtc-builtins.so.13.0", "libnvrtc.so.13"]
