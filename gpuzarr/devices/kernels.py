"""Find our .cu files and compile them with NVRTC, which needs neither a GPU nor a driver.

NVRTC is that of CuPy if it is installed, else that of the package `nvidia-cuda-nvrtc`. Compiled kernels are kept in the
user's cache folder, under a key of everything that they depend on.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpuzarr.errors import DeviceError

_HERE = Path(__file__).parents[1]
KERNELS = next((p for p in (_HERE / "_kernels", _HERE.parent / "kernels") if p.is_dir()), _HERE / "_kernels")
WIDTHS = {
    "place_planes.cu": (1, 2, 4, 8, 16),
    "place_cast.cu": (1, 2, 4, 8),
    "downsample.cu": (1, 2, 4, 8),
}  # bytes of an element, for each of which a file is compiled by itself
_MAGIC = b"\x7fELF", b"//"  # first bytes of a cubin, and of PTX


def sources() -> list[str]:
    """Names of all .cu files."""
    return sorted(p.name for p in KERNELS.glob("*.cu"))


def variants() -> list[tuple[str, int | None]]:
    """All that can be compiled: names of .cu files, each with the width (bytes) that it is compiled for, if any."""
    return [(file, width) for file in sources() for width in WIDTHS.get(file, (None,))]


@cache
def cubin(file: str, arch: str, width: int | None = None) -> bytes:
    """Compiled kernels of `file` for GPUs of `arch` ("sm_90"), from the cache on disk or compiled now.

    `file`: the name of one of ours, or the path of another, which may include our headers. `width`: bytes of an
    element, for a file that is compiled for each by itself; its macro ELEMENT_BYTES. For a GPU that is newer than the
    compiler the result is PTX, which the driver compiles further. DeviceError for code that does not compile.
    """
    compiler = nvrtc()
    arch = known(arch, compiler.archs())
    place = cache_folder() / f"{_key(file, arch, compiler.version(), width)}.cubin"
    kept = _read(place)
    if kept.startswith(_MAGIC):
        return kept
    made: bytes = compiler.compile((KERNELS / file).read_text(), file, _options(arch, width))
    _keep(place, made)
    return made


def known(arch: str, archs: Sequence[int]) -> str:
    """`arch` if the compiler knows it, else the newest virtual architecture ("compute_120") of its older `archs`."""
    number = int(arch.removeprefix("sm_"))
    older = [a for a in archs if a < number]
    return f"compute_{max(older)}" if older and number not in archs else arch


def compile_strictly(file: str, arch: str, width: int | None = None) -> bytes:
    """Compile past the cache; DeviceError where the compiler says anything, a warning too. CI does it for each GPU that
    we name."""
    made: bytes = nvrtc().compile((KERNELS / file).read_text(), file, _options(arch, width), strict=True)
    return made


def _options(arch: str, width: int | None) -> tuple[str, ...]:
    """Options of the compiler. The last one, a folder, changes nothing in what is compiled."""
    macros = () if width is None else (f"--define-macro=ELEMENT_BYTES={width}",)
    return (f"--gpu-architecture={arch}", "--std=c++17", *macros, f"--include-path={KERNELS}")


def _virtual(options: tuple[str, ...]) -> bool:
    return "compute_" in options[0]


def _key(file: str, arch: str, version: tuple[int, int], width: int | None) -> str:
    texts = [(KERNELS / file).read_bytes(), *(p.read_bytes() for p in sorted(KERNELS.glob("*.cuh")))]
    digest = hashlib.sha256(repr((file, _options(arch, width)[:-1], version)).encode())
    for text in texts:
        digest.update(hashlib.sha256(text).digest())
    name = Path(file).stem if width is None else f"{Path(file).stem}-{width}"
    return f"{name}-{arch}-{digest.hexdigest()[:24]}"


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuzarr"


def _read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError:
        return b""


def _keep(place: Path, made: bytes) -> None:
    """Write to the cache in one step, so that no reader sees half a file. Failing to write is no error."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(made)
        os.replace(name, place)
    except OSError:
        return


@cache
def nvrtc() -> Any:
    """The compiler: `version()`, `archs()`, and `compile(source, name, options, strict=False)` -> cubin or PTX.

    DeviceError if there is none. NVRTC 13.0 does not know -Werror, so `strict` demands an empty log instead.
    """
    return _CupyNvrtc() if find_spec("cupy") else _PackagedNvrtc()


def _silent(name: str, log: str) -> None:
    """DeviceError where a compiler's log holds anything."""
    if log.strip("\0 \n"):
        raise DeviceError(f"{name} compiles with warnings:\n{log}")


class _CupyNvrtc:
    """NVRTC as CuPy wraps it."""

    def __init__(self) -> None:
        from cupy.cuda import nvrtc

        self._nvrtc = nvrtc

    def version(self) -> tuple[int, int]:
        major, minor = self._nvrtc.getVersion()
        return major, minor

    def archs(self) -> tuple[int, ...]:
        return tuple(self._nvrtc.getSupportedArchs())

    def compile(self, source: str, name: str, options: tuple[str, ...], strict: bool = False) -> bytes:
        program = self._nvrtc.createProgram(source, name, (), ())
        try:
            self._nvrtc.compileProgram(program, options)
            if strict:
                _silent(name, self._nvrtc.getProgramLog(program))
            if not _virtual(options):
                return bytes(self._nvrtc.getCUBIN(program))
            text = self._nvrtc.getPTX(program)
            return text.encode() if isinstance(text, str) else bytes(text)
        except self._nvrtc.NVRTCError as error:
            raise DeviceError(f"{name} does not compile ({options}):\n{self._nvrtc.getProgramLog(program)}") from error
        finally:
            self._nvrtc.destroyProgram(program)


class _PackagedNvrtc:
    """NVRTC of the package nvidia-cuda-nvrtc, by ctypes."""

    def __init__(self) -> None:
        spec = find_spec("nvidia")
        folders = [Path(p) for p in spec.submodule_search_locations or ()] if spec else []
        found = sorted(p for folder in folders for p in folder.glob("*/lib/libnvrtc.so.*") if "alt" not in p.name)
        if not found:
            raise DeviceError("no NVRTC to compile kernels with: pip install nvidia-cuda-nvrtc, or gpuzarr[cuda13]")
        for builtins in found[-1].parent.glob("libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins))  # which NVRTC opens by its name alone: 13.0 looks for it nowhere near itself
        self._library = ctypes.CDLL(str(found[-1]))

    def version(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def archs(self) -> tuple[int, ...]:
        count = ctypes.c_int()
        self._call("GetNumSupportedArchs", ctypes.byref(count))
        found = (ctypes.c_int * count.value)()
        self._call("GetSupportedArchs", found)
        return tuple(found)

    def compile(self, source: str, name: str, options: tuple[str, ...], strict: bool = False) -> bytes:
        program = ctypes.c_void_p()
        self._call("CreateProgram", ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
        try:
            words = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
            failed = self._library.nvrtcCompileProgram(program, len(options), words)
            log = self._get("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
            if failed:
                raise DeviceError(f"{name} does not compile ({options}):\n{log}")
            if strict:
                _silent(name, log)
            return self._get("PTX" if _virtual(options) else "CUBIN", program)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _get(self, what: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"Get{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"Get{what}", program, text)
        return text.raw

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, f"nvrtc{name}")(*arguments)
        if status:
            raise DeviceError(f"nvrtc{name} failed with status {status}")
