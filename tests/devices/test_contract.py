"""Devices have the members that `Device` asks for: every device the first groups, a GPU all of them."""

from __future__ import annotations

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import Cpu
from gpuzarr.devices.cuda.device import Cuda

MEMBERS = {name for name in {**vars(Device), **Device.__annotations__} if not name.startswith("_")}
ONLY_GPU = {
    *("cost", "write_limit", "pinned_limit", "concurrent_batches", "current"),
    *("free_bytes", "stream_at", "holds", "filled", "decoded_buffer", "device_buffer"),
    *("scoped_scratch", "upload", "upload_target", "upload_part", "await_uploads"),
    *("download", "download_async", "copy_back"),
    *("kernel", "decompress", "compressed_capacity", "compression_scratch", "compress", "check"),
}


def test_the_cpu_has_what_every_device_has() -> None:
    assert {name for name in MEMBERS if not hasattr(Cpu(1), name)} == ONLY_GPU


def test_a_gpu_has_all(gpu: Device) -> None:
    assert not [name for name in MEMBERS if not hasattr(gpu, name)]


def test_cuda_has_all() -> None:
    """Without a GPU the class is looked at; `name`, `xp`, `cost` and `current` are made with the object."""
    assert {name for name in MEMBERS if not hasattr(Cuda, name)} == {"name", "xp", "cost", "current"}
