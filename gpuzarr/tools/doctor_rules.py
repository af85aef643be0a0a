"""Which versions of packages fit together, with each other and with the driver."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping

from gpuzarr.devices.cuda.driver import Driver
from gpuzarr.tools.doctor_report import Examined

NEEDED = {  # least versions of what gpuzarr cannot do without
    "numpy": "2.0",
    "numcodecs": "0.15",
    "ml_dtypes": "0.5",
    "google-crc32c": "1.5",
    "isal": "1.7",
    "cramjam": "2.9",
}
OPTIONAL = {  # what brings them: an extra of gpuzarr, or nothing but pip
    **dict.fromkeys(("obstore", "fsspec"), "remote"),
    "icechunk": "icechunk",
    **dict.fromkeys(("h5py", "hdf5plugin", "pyarrow", "kerchunk", "scipy", "tifffile"), "references"),
    **dict.fromkeys(("imagecodecs", "pcodec", "zfpy", "msgpack"), "codecs"),
    **dict.fromkeys(("cfgrib", "eccodes"), "grib"),
    "xarray": "xarray",
    **dict.fromkeys(("dask", "distributed"), "dask"),
    **dict.fromkeys(("zarr", "tensorstore", "zarrs"), "peers"),
    "torch": "torch",
    "jax": "jax",
    "rich": "tools",
    **dict.fromkeys(("crc32c", "tqdm", "virtualizarr"), ""),
}
LEAST = {  # of optional packages
    "zarr": "3.1",
    "icechunk": "1.1",
    "obstore": "0.12",
    "fsspec": "2024.10",
    "xarray": "2025.12",
    "dask": "2024.8",
    "distributed": "2024.8",
    "torch": "2.4",
    "h5py": "3.12",
}
GPU_PACKAGES = ("cupy-cuda{}x", "nvidia-libnvcomp-cu{}", "kvikio-cu{}")
CUDAS = (13, 12)
OF_GPU = tuple(name.format(cuda) for name in GPU_PACKAGES for cuda in CUDAS)
OTHER_CUPYS = ("cupy", "cupy-cuda11x")
LEAST_PYTHON = 3, 11
LEAST_CUPY, BROKEN_CUPYS = "14.0.1", ("14.1.0",)
NVCOMP_MAJOR = 6
TOPIC = "packages"


def mismatches(installed: Mapping[str, str], driver: Driver) -> Iterator[Examined]:
    """What does not fit together. `installed`: versions by the names of packages."""
    if sys.version_info < LEAST_PYTHON:
        text = f"Python {sys.version_info.major}.{sys.version_info.minor}, and gpuzarr needs 3.11 or newer"
        yield Examined("Python", "version", "problem", text, "uv venv --python 3.12")
    for name, least in NEEDED.items():
        if name not in installed:
            yield _problem(name, "it is missing, and gpuzarr needs it", f"pip install '{name}>={least}'")
        elif _older(installed[name], least):
            text = f"version {installed[name]}, and gpuzarr needs {least} or newer"
            yield _problem(name, text, f"pip install '{name}>={least}'")
    for name, least in LEAST.items():
        if name in installed and _older(installed[name], least):
            text = f"version {installed[name]}: it is used from {least} on"
            yield Examined(TOPIC, name, "warning", text, f"pip install '{name}>={least}'")
    if "post" in installed.get("zfpy", ""):
        text = f"version {installed['zfpy']}, with which numcodecs cannot be imported"
        yield _problem("zfpy", text, "pip install zfpy==1.0.1")
    yield from _of_gpu(installed, driver)


def _of_gpu(installed: Mapping[str, str], driver: Driver) -> Iterator[Examined]:
    """What does not fit among the packages that use a GPU."""
    cudas = [cuda for cuda in CUDAS if any(name.format(cuda) in installed for name in GPU_PACKAGES)]
    extra = _extra(driver)
    some = [name for name in (*OF_GPU, *OTHER_CUPYS) if name in installed]
    again = f"pip uninstall -y {' '.join(some)} && pip install 'gpuzarr[{extra}]'"
    cupys = [name for name in ("cupy-cuda13x", "cupy-cuda12x", *OTHER_CUPYS) if name in installed]
    if len(cupys) > 1:
        text = f"it is installed more than once, and the files of one replace those of the other: {cupys}"
        yield _problem("CuPy", text, again)
    elif len(cudas) > 1:
        yield _problem("CUDA", f"packages for CUDA 12 and CUDA 13 are mixed: {some}", again)
    if driver.cuda is not None and cudas and max(cudas) > driver.cuda[0]:
        text = f"packages for CUDA {max(cudas)}, and the driver runs CUDA {driver.cuda[0]}.{driver.cuda[1]} at most"
        yield _problem("CUDA", text, again)
    for name in cupys:
        version = installed[name]
        if version in BROKEN_CUPYS or _older(version, LEAST_CUPY):
            why = "has a fault" if version in BROKEN_CUPYS else "is too old"
            wanted = f"{name}[ctk]>={LEAST_CUPY}," + ",".join(f"!={each}" for each in BROKEN_CUPYS)
            yield _problem(name, f"version {version} {why}", f"pip install --upgrade '{wanted}'")
    for cuda in CUDAS:
        name = f"nvidia-libnvcomp-cu{cuda}"
        if name in installed and _numbers(installed[name])[:1] != [NVCOMP_MAJOR]:
            text = f"version {installed[name]}, and gpuzarr needs {NVCOMP_MAJOR}"
            yield _problem(name, text, f"pip install '{name}=={NVCOMP_MAJOR}.0.*'")
        if (kvikio := f"kvikio-cu{cuda}") in installed and driver.cuda is None:
            text = "it is installed, and there is no driver: gpuzarr leaves it alone, and other programs fail with it"
            yield Examined(TOPIC, kvikio, "warning", text, f"pip uninstall -y {kvikio}")


def _extra(driver: Driver) -> str:
    """The extra of gpuzarr for a driver."""
    return "cuda12" if driver.cuda is not None and driver.cuda[0] < 13 else "cuda13"


def _problem(name: str, text: str, mend: str) -> Examined:
    return Examined(TOPIC, name, "problem", text, mend)


def _older(version: str, least: str) -> bool:
    return _numbers(version) < _numbers(least)


def _numbers(version: str) -> list[int]:
    """The numbers at the beginning of a version: [14, 0, 1] of "14.0.1rc1"."""
    found = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in found[0].split(".")] if found else []
