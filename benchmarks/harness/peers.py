"""The same read by gpuzarr and by everything else that reads Zarr from Python."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    *("gpuzarr", "numpy", "zarr", "numcodecs", "zarrs", "tensorstore", "cupy-cuda13x", "cupy-cuda12x"),
    *("nvidia-libnvcomp-cu13", "nvidia-libnvcomp-cu12", "kvikio-cu13", "kvikio-cu12"),
)


@dataclass(frozen=True)
class Reader:
    """`open(path)` is not timed; `read(array, selection)` is, and returns when the values are there.

    `host` copies a result to the host, to check it. `around()` surrounds both (a peer's configuration). `trial`: ours,
    with what is not known to work: it may fail, as a peer may.
    """

    name: str
    open: Callable[[Path], Any]
    read: Callable[[Any, Any], Any]
    host: Callable[[Any], Any] = lambda values: values
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    trial: bool = False

    @property
    def ours(self) -> bool:
        return self.name.startswith("gpuzarr")


def gpuzarr_cpu() -> Reader:
    import gpuzarr

    return Reader("gpuzarr cpu", lambda path: gpuzarr.open_array(path, device="cpu"), lambda array, key: array[key])


def gpuzarr_cuda() -> Reader | None:
    """None where CuPy or a GPU is missing."""
    if importlib.util.find_spec("cupy") is None:
        return None
    import cupy

    import gpuzarr

    if not cupy.cuda.is_available():
        return None

    def read(array: Any, key: Any) -> Any:
        values = array[key]
        cupy.cuda.get_current_stream().synchronize()
        return values

    return Reader("gpuzarr cuda", lambda path: gpuzarr.open_array(path, device="cuda"), read, cupy.asnumpy)


def zarr_python(name: str, **settings: Any) -> Reader:
    import zarr

    configuration = {key.replace("__", "."): value for key, value in settings.items()}
    return Reader(
        name,
        lambda path: zarr.open_array(str(path), mode="r"),
        lambda array, key: array[key],
        around=lambda: zarr.config.set(configuration),
    )


def zarr_default() -> Reader:
    return zarr_python("zarr-python")


def zarr_fused(**settings: Any) -> Reader | None:
    """None where zarr-python is too old to have it (before 3.3)."""
    import zarr.core.codec_pipeline as pipelines

    if not hasattr(pipelines, "FusedCodecPipeline"):
        return None
    return zarr_python("zarr fused", codec_pipeline__path="zarr.core.codec_pipeline.FusedCodecPipeline", **settings)


def zarrs(strict: bool = True) -> Reader | None:
    """`strict`: what it cannot do is refused, not handed to zarr-python."""
    if importlib.util.find_spec("zarrs") is None:
        return None
    import zarrs  # noqa: F401 (registers the pipeline)

    return zarr_python("zarrs", codec_pipeline__path="zarrs.ZarrsCodecPipeline", codec_pipeline__strict=strict)


def tensorstore() -> Reader | None:
    if importlib.util.find_spec("tensorstore") is None:
        return None
    import tensorstore as ts

    def open_array(path: Path) -> Any:
        of = {"zarr.json": "zarr3", ".zarray": "zarr", "attributes.json": "n5"}
        driver = next(driver for name, driver in of.items() if (path / name).exists())
        return ts.open({"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}}, read=True).result()

    return Reader("tensorstore", open_array, lambda array, key: array[key].read().result())


MAKERS = (gpuzarr_cpu, gpuzarr_cuda, zarr_default, zarr_fused, zarrs, tensorstore)


def readers(names: str = "") -> list[Reader]:
    """All that can run here, or those whose name begins with one of the comma-separated `names`."""
    found = [reader for make in MAKERS if (reader := make()) is not None]
    return [reader for reader in found if reader.name.startswith(tuple(names.split(",")))]


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
