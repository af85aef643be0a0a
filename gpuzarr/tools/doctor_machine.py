"""Examine this machine: Python, packages, the C library, the driver, GPUs, GPUDirect Storage; and try them."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from gpuzarr import native
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cuda.available import why_not_cuda
from gpuzarr.devices.cuda.driver import Driver, driver, gpus
from gpuzarr.devices.select import device as device_of
from gpuzarr.read.memory import bytes_text
from gpuzarr.stores.local import gds
from gpuzarr.tools.doctor_report import Diagnosis, Examined, Status
from gpuzarr.tools.doctor_rules import NEEDED, OF_GPU, OPTIONAL, OTHER_CUPYS, mismatches

TRIAL_BYTES = 64 << 20  # copied to measure the rate of pinned memory
TRIAL_COPIES = 5
MIN_OPEN_FILES = 256
NATIVE = Path(native.__file__).parent


def doctor(device: str | Device = "auto", folder: str | os.PathLike[str] = ".") -> Diagnosis:
    """Examine what gpuzarr needs on this machine, and try it: versions, the driver, GPUs, GPUDirect Storage.

    Without a GPU it says so, which is no problem.

    Parameters
    ----------
    device
        The device that is tried, as for `gpuzarr.open`.
    folder
        A folder of which is told whether its files can be read straight into the memory of a GPU.

    Returns
    -------
    Diagnosis
        What was examined; with each problem the command that mends it.

    Raises
    ------
    DeviceError
        There is no device of this name.

    Examples
    --------
    >>> found = gpuzarr.tools.doctor("cpu")
    >>> [one.status for one in found.examined if one.name == "round trip on cpu"]
    ['ok']
    """
    host = driver()
    installed = {name: each for name in (*NEEDED, *OPTIONAL, *OF_GPU, *OTHER_CUPYS) if (each := _version(name))}
    why = why_not_cuda(0)
    found = [*_python(), *_packages(installed), *mismatches(installed, host), *_library()]
    found += [*_gpu(host, why, installed), *_storage(os.fspath(folder), why)]
    found += _trials(device_of(device))
    return Diagnosis(tuple(found))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _python() -> Iterator[Examined]:
    text = f"{platform.python_version()} on {platform.platform()}"
    yield Examined("Python", "Python", "fact", text)
    yield Examined("Python", "gpuzarr", "fact", f"{sys.modules['gpuzarr'].__version__} in {NATIVE.parent}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Examined("Python", "cores", "fact", f"{cores} that this process may use")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= limit < MIN_OPEN_FILES:
        text = f"this process may open {limit} files: reads of many chunks are slower"
        yield Examined("Python", "open files", "warning", text, "ulimit -n 4096")


def _packages(installed: dict[str, str]) -> Iterator[Examined]:
    for name in NEEDED:
        if name in installed:
            yield Examined("packages", name, "ok", installed[name])
    for name, extra in OPTIONAL.items():
        how = f"pip install 'gpuzarr[{extra}]'" if extra else f"pip install {name}"
        text = installed.get(name) or f"not installed: {how}"
        yield Examined("packages", name, "ok" if name in installed else "fact", text)
    yield from (Examined("packages", name, "ok", installed[name]) for name in OF_GPU if name in installed)
    try:
        import numcodecs  # noqa: F401
    except Exception as error:  # whatever a broken package raises
        text = f"it cannot be imported: {type(error).__name__}: {error}"
        yield Examined("packages", "numcodecs", "problem", text, "pip install --upgrade --force-reinstall numcodecs")


def _library() -> Iterator[Examined]:
    """The C library of gpuzarr."""
    if native.library() is not None:
        yield Examined("C library", "gpuzarr_native", "ok", f"version {native.VERSION}")
        return
    is_there = (NATIVE / "gpuzarr_native.so").exists()
    has_compiler = shutil.which(os.environ.get("CC", "cc").split()[0]) is not None
    what = "it was compiled from other sources" if is_there else "it was not compiled"
    slow = "reads of many small chunks and regions are slower"
    text = f"{what}: {slow}" + ("" if has_compiler else "; there is no C compiler")
    build = f"{sys.executable} {NATIVE / 'build.py'}"
    mend = build if has_compiler else f"apt install gcc && {build}"
    yield Examined("C library", "gpuzarr_native", "warning", text, mend)


def _gpu(host: Driver, why: str | None, installed: dict[str, str]) -> Iterator[Examined]:
    if host.cuda is None and host.module is None:
        yield Examined("GPU", "driver", "fact", "there is no NVIDIA driver: everything works on the CPU")
        return
    if host.cuda is None:
        text = f"its kernel module {host.module} is loaded, but libcuda.so.1 is missing, as in a container without GPUs"
        yield Examined("GPU", "driver", "problem", text, "docker run --gpus all ...")
        return
    module = f", kernel module {host.module}" if host.module else ""
    yield Examined("GPU", "driver", "ok", f"runs CUDA {host.cuda[0]}.{host.cuda[1]}{module}")
    if why is not None:
        extra = "cuda13" if host.cuda[0] >= 13 else "cuda12"
        status: Status = "problem" if any(name in installed for name in OF_GPU) else "warning"
        yield Examined("GPU", "use of the GPU", status, why, f"pip install 'gpuzarr[{extra}]'")
        return
    for ordinal, gpu in enumerate(gpus()):
        memory = f"{bytes_text(gpu.free_bytes)} of {bytes_text(gpu.total_bytes)} free"
        runtime = f"CUDA runtime {gpu.runtime[0]}.{gpu.runtime[1]}"
        text = f"{gpu.name}, compute capability {gpu.compute_capability}, {memory}, {runtime}"
        yield Examined("GPU", f"cuda:{ordinal}", "ok", text)


def _storage(folder: str, why: str | None) -> Iterator[Examined]:
    """GPUDirect Storage."""
    if why is not None:
        yield Examined("GDS", "GPUDirect Storage", "fact", "not used: there is no GPU that can be used")
    elif (problem := gds.why_not(os.path.abspath(folder))) is None:
        text = f"files of {folder!r} can be read straight into the memory of the GPU (io='gds')"
        yield Examined("GDS", "GPUDirect Storage", "ok", text)
    else:
        yield Examined("GDS", "GPUDirect Storage", "fact", f"not used: {problem}; files are read into pinned memory")


def _trials(device: Device) -> Iterator[Examined]:
    if device.gpu:
        yield _tried(f"warm-up of {device.name}", lambda: _warm_up(device))
        yield _tried("pinned memory", lambda: _pinned_rate(device))
    yield _tried(f"round trip on {device.name}", lambda: _round_trip(device))


def _tried(name: str, work: Callable[[], str]) -> Examined:
    try:
        return Examined("trial", name, "ok", work())
    except Exception as error:  # of CUDA, CuPy, a compiler, whatever is broken
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Examined("trial", name, "problem", text)


def _warm_up(device: Device) -> str:
    from gpuzarr.api.warm_up import warmup

    begin = time.perf_counter()
    warmup(device)
    return f"kernels and nvCOMP were ready after {time.perf_counter() - begin:.1f} s"


def _pinned_rate(device: Device) -> str:
    """Copy pinned memory to the device, and tell the best rate."""
    source = device.pinned_buffer(np.array([TRIAL_BYTES], np.int64))[0]
    source[...] = 1
    rates = []
    with device.on():
        for _ in range(TRIAL_COPIES):
            begin = device.timestamp()
            copy = device.upload(source)
            rates.append(TRIAL_BYTES / max(device.seconds(begin, device.timestamp()), 1e-9))
            del copy
    return f"{max(rates) / 1e9:.1f} GB/s from pinned memory to {device.name}"


def _round_trip(device: Device) -> str:
    """Write and read an array by codecs that a GPU has. RuntimeError if the values differ."""
    from gpuzarr.nodes.create import create_array  # here, as a package that it needs may be broken

    values = (np.arange(1 << 20) // 16 % 251).astype(np.uint16).reshape(1024, 1024)
    codecs = ("zstd", "blosc", "gzip", "lz4")
    begin = time.perf_counter()
    for codec in codecs:
        array = create_array({}, data=values, chunks=(256, 256), compressors=codec, device=device)
        read = array[...]
        read = device.download(read) if device.gpu else read
        if not np.array_equal(read, values):
            raise RuntimeError(f"values that were written and read by {codec!r} differ")
    return f"{', '.join(codecs)}: the same values, after {time.perf_counter() - begin:.2f} s"
