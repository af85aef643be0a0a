"""Who reads an array: this library on each device, and other libraries that are installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.select import device as device_of
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.parts import parts
from gpuzarr.stores.local.store import LocalStore

Selection = tuple[slice, ...]
DRIVERS = {2: "zarr", 3: "zarr3"}  # of TensorStore, by the version of Zarr
FUSED = "zarr.core.codec_pipeline.FusedCodecPipeline"


@dataclass(frozen=True)
class Reader:
    """A way to read an array.

    `open()` is not timed. `read(opened, selection)` is, and returns when the values are there; `on_host(values)` has
    them as an array of NumPy. `around()` surrounds all of them: a configuration. `missing`: why it cannot read at all.
    """

    name: str
    open: Callable[[], Any] = lambda: None
    read: Callable[[Any, Selection], Any] = lambda opened, selection: opened[selection]
    on_host: Callable[[Any], Any] = np.asarray
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    missing: str = ""
    is_ours: bool = False


def readers(array: Array, with_peers: bool = True) -> list[Reader]:
    """This library on the device of the array and on the CPU; then the others."""
    chosen = device_of("auto")
    devices = [chosen] if chosen.name == CPU.name else [chosen, CPU]
    if array.device.name not in [device.name for device in devices]:
        devices.insert(0, array.device)
    return [*(ours(array, device) for device in devices), *(peers(array) if with_peers else [])]


def ours(array: Array, device: Any) -> Reader:
    """This library on a device."""

    def read(opened: Array, selection: Selection) -> Any:
        values = opened[selection]
        device.seconds(*(device.timestamp(),) * 2)  # waits for the stream
        return values

    opened = Array(*parts(array, device=device))
    if opened.device.name != device.name:
        return Reader(f"gpuzarr {device.name}", missing=f"the device has no dtype {array.dtype}", is_ours=True)
    on_host = device.download if device.gpu else np.asarray
    return Reader(f"gpuzarr {device.name}", lambda: opened, read, on_host, is_ours=True)


def peers(array: Array) -> list[Reader]:
    """The other libraries; each one that cannot read the array says why."""
    names = {"zarr-python": "zarr", "zarr-python fused": "zarr", "zarrs": "zarrs", "tensorstore": "tensorstore"}
    why = _why_ours_alone(array)
    found = []
    for name, package in names.items():
        missing = why or ("" if find_spec(package) else "not installed")
        found.append(Reader(name, missing=missing) if missing else _peer(name, array))
    return found


def _why_ours_alone(array: Array) -> str:
    """Why no other library can be asked to read an array; "" if they can."""
    if array.metadata.foreign:
        return f"only Zarr is compared, not {array.metadata.foreign}"
    return "" if isinstance(array.store, LocalStore) else "only folders of this machine are compared"


def _peer(name: str, array: Array) -> Reader:
    folder = os.path.join(array.store.folder, array.path).rstrip("/")  # type: ignore[attr-defined]
    if name == "tensorstore":
        return Reader(name, lambda: _tensorstore(folder, array.zarr_format), _read_tensorstore)
    settings: dict[str, Any] = {}
    if name == "zarr-python fused":
        from zarr.core import codec_pipeline

        if not hasattr(codec_pipeline, FUSED.rpartition(".")[2]):
            return Reader(name, missing="this version of zarr-python does not have it")
        settings = {"codec_pipeline.path": FUSED}
    elif name == "zarrs":
        settings = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True}
    return Reader(name, lambda: _zarr_python(name, folder), around=lambda: _configured(settings))


def _zarr_python(name: str, folder: str) -> Any:
    import zarr

    if name == "zarrs":
        import zarrs  # noqa: F401 (registers the pipeline)
    return zarr.open_array(folder, mode="r")


def _configured(settings: dict[str, Any]) -> AbstractContextManager[Any]:
    import zarr

    return zarr.config.set(settings)


def _tensorstore(folder: str, zarr_format: int) -> Any:
    import tensorstore

    spec = {"driver": DRIVERS[zarr_format], "kvstore": {"driver": "file", "path": f"{folder}/"}}
    return tensorstore.open(spec, read=True).result()


def _read_tensorstore(opened: Any, selection: Selection) -> Any:
    return opened[selection].read().result()
