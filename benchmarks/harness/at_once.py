"""Reads that let nvCOMP decode several batches at once: the switch, and a trial of it.

Nothing says yet that nvCOMP bears that. What it breaks may be its process, so the trial is for one of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gpuzarr
from benchmarks.harness import gpu
from benchmarks.harness.layouts import Layout, sample, write, zarr_codec
from gpuzarr.devices.contract import Device

SIDE, CHUNKS, READS = 192, (16, 32, 32), 20  # 27 MiB of float32 in chunks of 64 KiB
TINY = 48
MEMORY = "16MiB"  # so that a read has several batches


@contextmanager
def batches(device: Device, number: int) -> Iterator[None]:
    """Let nvCOMP decode so many batches of a read at once."""
    switch: Any = device
    before = getattr(device, "concurrent_batches", 1)
    switch.concurrent_batches = number
    try:
        yield
    finally:
        switch.concurrent_batches = before


def trial(name: str, number: int) -> None:
    """Read an array of zstd and one of blosc-lz4 again and again. SystemExit where values are wrong."""
    device, emulated = gpu.device(name), name == "emulated"
    values = sample("f4", TINY if emulated else SIDE)
    codecs = {"ZstdCodec": {"level": 3}, "BloscCodec": {"cname": "lz4", "shuffle": "shuffle", "typesize": 4}}
    device.cost = replace(device.cost, where="gpu")
    with tempfile.TemporaryDirectory() as folder, device.on(), batches(device, number):
        truth = device.upload(values)
        for codec, configuration in codecs.items():
            path = Path(folder, codec)
            write(path, Layout(codec, 3, CHUNKS, zarr_codec(codec, **configuration)), values)
            array = gpuzarr.open_array(path, device=device, memory_limit=MEMORY)
            wrong = sum(not same(array[...], truth) for _ in range(2 if emulated else READS))
            if wrong:
                raise SystemExit(f"{codec}: {wrong} of {READS} reads are wrong")


def same(values: Any, truth: Any) -> bool:
    """Compared on the device."""
    return values.shape == truth.shape and bool((values == truth).all())
