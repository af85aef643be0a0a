"""Everything else that brings a Zarr array to a GPU from Python, or from there to files: by itself, or on the CPU.

What runs on the CPU has a copy between it and the GPU, which counts.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import at_once, peers
from benchmarks.harness.peers import Reader
from benchmarks.harness.writers import writer
from gpuzarr.devices.contract import Device


def ours(device: Device, number: int = 1, trial: bool = False) -> Reader:
    """gpuzarr, which lets nvCOMP decode so many batches at once."""
    import gpuzarr

    def read(array: Any, key: Any) -> Any:
        values = array[key]
        device.seconds(*(device.timestamp(),) * 2)  # waits for the stream
        return values

    around = partial(at_once.batches, device, number)
    opened = partial(gpuzarr.open_array, device=device)
    return Reader(our_name(device, number), opened, read, device.download, around, trial)


def our_name(device: Device, number: int = 1) -> str:
    return f"gpuzarr {device.name.partition(':')[0]}" + (f", {number} at once" if number > 1 else "")


def copied(reader: Reader, device: Device) -> Reader:
    """A CPU reader, and a copy of its result to the device."""

    def read(array: Any, key: Any) -> Any:
        values = device.upload(np.asarray(reader.read(array, key)))
        device.seconds(*(device.timestamp(),) * 2)
        return values

    return replace(reader, name=f"{reader.name} + copy", read=read, host=device.download)


def enable_gpu(device: Device) -> Reader | None:
    """zarr-python with its buffers on the GPU. None without CuPy."""
    if importlib.util.find_spec("cupy") is None:
        return None
    return _on_gpu("zarr enable_gpu", lambda path: str(path), device)


ROOT = Path(__file__).parents[2]
TRIAL = """
import sys, tempfile, numpy, zarr
from kvikio.zarr import GDSStore
with tempfile.TemporaryDirectory() as folder:
    zarr.create_array(folder, data=numpy.ones(1000, "f4"), chunks=100)
    with zarr.config.set({"buffer": "zarr.buffer.gpu.Buffer", "ndbuffer": "zarr.buffer.gpu.NDBuffer"}):
        zarr.open_array(GDSStore(folder), mode="r")[...]
"""


def fails(code: str, seconds: float) -> str:
    """Why a program does not come to its end in time; "" where it does."""
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"it takes more than {seconds:.0f} seconds"
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1] if done.returncode else ""


@cache
def why_not_at_once(device: str, number: int) -> str:
    """Reason why reads may not have so many batches decoded at once, found in another process; "" where they may."""
    return fails(f"from benchmarks.harness import at_once; at_once.trial({device!r}, {number})", 40)


def unfit(device: Device, numbers: Sequence[int]) -> dict[str, str]:
    """Readers with several batches at once that cannot be tried here, lest they take CUDA from all others; and why."""
    name = device.name.partition(":")[0]
    found = {our_name(device, number): why_not_at_once(name, number) for number in numbers if number > 1}
    return {reader: f"tried in another process: {why}" for reader, why in found.items() if why}


@cache
def gds_store_works() -> bool:
    """Tried in another process: it may hang, and must not hold up all the others."""
    if why := fails(TRIAL, 40):
        print(f"kvikio GDSStore is left out: {why}")
    return not why


def gds_store(device: Device) -> Reader | None:
    """kvikio's store for zarr-python. None without CuPy or kvikio, and where it does not work."""
    there = all(importlib.util.find_spec(name) for name in ("cupy", "kvikio"))
    if not there or not gds_store_works():
        return None
    from kvikio.zarr import GDSStore

    return _on_gpu("kvikio GDSStore", GDSStore, device)


def _on_gpu(name: str, store: Callable[[Path], Any], device: Device) -> Reader:
    import zarr

    def read(array: Any, key: Any) -> Any:
        values = array[key]
        device.seconds(*(device.timestamp(),) * 2)
        return values

    def around() -> Any:
        return zarr.config.set({"buffer": "zarr.buffer.gpu.Buffer", "ndbuffer": "zarr.buffer.gpu.NDBuffer"})

    return Reader(name, lambda path: zarr.open_array(store(path), mode="r"), read, device.xp.asnumpy, around)


def readers(device: Device, numbers: Sequence[int] = (1,)) -> list[Reader]:
    """Ours first, once for each number of batches at once, on trial but for the first; then those that can run here."""
    hosts = (peers.zarr_fused(), peers.zarrs(), peers.tensorstore())
    on_gpu = (enable_gpu(device), gds_store(device))
    found = [*on_gpu, *(copied(reader, device) for reader in (peers.gpuzarr_cpu(), *hosts) if reader is not None)]
    first, *others = numbers
    us = [ours(device, first), *(ours(device, number, trial=True) for number in others)]
    return [*us, *(reader for reader in found if reader is not None)]


def writers(device: Device) -> dict[str, Callable[[Path], Callable[[Any], Any]]]:
    """By name: of the path of an array that is there, what writes a value of the device to all of it. Ours first."""
    hosts = (peers.gpuzarr_cpu(), peers.zarr_fused() or peers.zarr_default(), peers.zarrs(), peers.tensorstore())
    found = {f"gpuzarr {device.name.partition(':')[0]}": lambda path: _write(path, device)}
    return found | {f"{peer.name} + copy": partial(_copied_write, peer, device) for peer in hosts if peer is not None}


def _write(path: Path, device: Device) -> Callable[[Any], Any]:
    import gpuzarr

    return partial(gpuzarr.open_array(path, mode="r+", device=device).set, ...)


def _copied_write(peer: Reader, device: Device, path: Path) -> Callable[[Any], Any]:
    write = writer(peer, path)
    return lambda value: write(device.download(value))
