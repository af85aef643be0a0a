"""Compile our unmodified .cu files by g++, behind `cuda_on_host.h`, and launch their kernels."""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gpuzarr.devices.kernels import KERNELS
from tests.emulator import sanitizer
from tests.emulator.arrays import DeviceArray, address_of

SHIM = Path(__file__).with_name("cuda_on_host.h")
FLAGS = (
    *("-std=c++20", "-O1", "-shared", "-fPIC", "-Wall", "-Wno-unknown-pragmas"),
    *("-fno-strict-aliasing", "-fno-gnu-unique", "-ffp-contract=off"),
    *("-fsanitize=alignment", "-fno-sanitize-recover", "-static-libubsan"),
    *(("-g", *sanitizer.FLAGS) if sanitizer.ON else ()),
)
DTYPES = {"u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8", "i32": "i4", "i64": "i8", "float": "f4", "double": "f8"}
_C_TYPES = {name: np.ctypeslib.as_ctypes_type(np.dtype(name)) for name in DTYPES.values()}
_DECLARED = r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?"
_one_at_a_time = threading.Lock()


def compiler() -> str | None:
    return shutil.which("g++")


def _macros(width: int | None) -> list[str]:
    return [] if width is None else [f"-DELEMENT_BYTES={width}"]


@cache
def _expanded(file: str, width: int | None) -> str:
    """Text of a .cu file after the preprocessor, because macros make some of the kernels."""
    command = ["g++", "-x", "c++", "-E", "-P", *_macros(width), "-I", str(KERNELS), str(KERNELS / file)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


@cache
def _library(file: str, width: int | None) -> ctypes.CDLL:
    text = _expanded(file, width)
    kernels = re.findall(_DECLARED + r"(\w+)\s*\(", text)
    unit = f'#include "{SHIM}"\n#include "{KERNELS / file}"\n' + "".join(f"HOST_EXPORT({k})\n" for k in kernels)
    key = hashlib.sha256("".join([*kernels, text, SHIM.read_text(), *FLAGS]).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuzarr-tests"
    built = folder / f"{Path(file).name}-{key}.so"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / "made.so"
            command = ["g++", "-x", "c++", "-", *FLAGS, *_macros(width), "-I", str(KERNELS), "-o", str(made)]
            subprocess.run(command, input=unit, text=True, check=True)
            os.replace(made, built)
    return ctypes.CDLL(str(built))


@cache
def _parameters(file: str, name: str, width: int | None) -> list[tuple[str, str, bool]]:
    """Name, NumPy type, and True for a pointer, of each parameter as the .cu file declares it."""
    declared = re.search(rf"{_DECLARED}{name}\s*\(([^)]*)\)", _expanded(file, width))
    assert declared, f"no kernel {name} in {file}"
    words = [re.sub(r"\bconst\b|__restrict__", "", p).replace("*", " * ").split() for p in declared[1].split(",")]
    return [(w[-1], DTYPES[w[0]], "*" in w) for w in words]


class Kernel:
    """One kernel. `seed` picks the order of blocks, warps and lanes. `width`: see `Device.kernel`."""

    def __init__(self, file: str, name: str, seed: int, width: int | None = None) -> None:
        self._launch, self._seed, self._name = getattr(_library(file, width), f"host_{name}"), seed, name
        self._launch.restype = ctypes.c_char_p
        self._parameters = _parameters(file, name, width)

    def __call__(self, grid: tuple, block: tuple, args: tuple) -> None:
        assert len(args) == len(self._parameters), f"{self._name}: {len(args)} arguments for {len(self._parameters)}"
        for (name, dtype, pointer), arg in zip(self._parameters, args, strict=True):
            if not isinstance(arg, DeviceArray if pointer else np.generic) or arg.dtype != dtype:
                got = f"{type(arg).__name__} of {getattr(arg, 'dtype', '?')}"
                raise TypeError(f"{self._name}: parameter {name} takes {dtype}{'[]' if pointer else ''}, not {got}")
        self._check_sizes(grid, block)
        sizes = [(ctypes.c_uint * 3)(*d, *[1] * (3 - len(d))) for d in (grid, block)]
        cells = [self._cell(a) for a in args]
        pointers = (ctypes.c_void_p * len(cells))(*map(ctypes.addressof, cells))
        with _one_at_a_time:
            wrong = self._launch(*sizes, pointers, self._seed)
        if wrong:
            raise RuntimeError(f"{self._name}: {wrong.decode()}")

    def _check_sizes(self, grid: tuple, block: tuple) -> None:
        limits = (2**31 - 1, 65535, 65535)
        assert all(0 < g <= limit for g, limit in zip(grid, limits, strict=False)), f"{self._name}: no such grid {grid}"
        assert 0 < math.prod(block) <= 1024, f"{self._name}: no such block {block}"

    @staticmethod
    def _cell(arg: Any) -> Any:
        if isinstance(arg, np.ndarray):
            return ctypes.c_void_p(address_of(arg))
        return _C_TYPES[arg.dtype.str[1:]](arg.item())
