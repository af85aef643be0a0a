"""Streams on a device, decoded by one bare call of nvCOMP: its statuses, sizes and bytes, and the bytes beside them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cramjam
import numcodecs
import numpy as np

from benchmarks.harness.bare import Bare, decompression
from benchmarks.questions.calibrate import sample
from gpuzarr.batch import packed
from gpuzarr.cpu.gdeflate_library import Encoder, decode_page
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.nvcomp.decompress import Options
from gpuzarr.gpu.algorithms import ALGORITHMS

GUARD, BESIDE, BEFORE = 256, 0x5A, 0xA5  # bytes between targets; what lies there; what lies in them

ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: bytes(numcodecs.zstd.compress(data, 3)),
    "lz4": lambda data: bytes(numcodecs.lz4.compress(data))[4:],
    "deflate": lambda data: zlib.compress(data, 4)[2:-4],
    "gzip": lambda data: gzip.compress(data, 4, mtime=0),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "gdeflate": lambda data: Encoder(6).encode(np.frombuffer(data, np.uint8)),
}
DECODE: dict[str, Callable[[bytes, int], bytes]] = {
    "zstd": lambda data, nbytes: bytes(numcodecs.zstd.decompress(data)),
    "lz4": lambda data, nbytes: bytes(numcodecs.lz4.decompress(nbytes.to_bytes(4, "little") + data)),
    "deflate": lambda data, nbytes: zlib.decompress(data, -15),
    "gzip": lambda data, nbytes: gzip.decompress(data),
    "snappy": lambda data, nbytes: bytes(cramjam.snappy.decompress_raw(data)),
    "gdeflate": lambda data, nbytes: inflated_page(data, nbytes),
}


def inflated_page(data: bytes, nbytes: int) -> bytes:
    target = np.empty(nbytes, np.uint8)
    decode_page(np.frombuffer(data, np.uint8), target)
    return target.tobytes()


def plain(nbytes: int, kind: str = "smooth", seed: int = 0) -> bytes:
    """`smooth` floats, `noise` that no codec makes smaller, or `zeros`."""
    if kind == "smooth":
        return sample(nbytes + 3, seed)[:nbytes].tobytes()
    return np.random.default_rng(seed).bytes(nbytes) if kind == "noise" else bytes(nbytes)


@dataclass(frozen=True)
class Batch:
    """`launch` decodes all streams, as often as one likes; `look` waits, and says what became of them."""

    bare: Bare
    target: Any
    starts: np.ndarray
    capacities: np.ndarray
    source: Any

    @property
    def device(self) -> Device:
        return self.bare.device

    @property
    def actual(self) -> Any:
        return self.bare.actual

    @property
    def status(self) -> Any:
        return self.bare.status

    def launch(self) -> None:
        self.bare.launch()

    def look(self) -> Result:
        data = self.device.download(self.target)
        within = np.zeros(len(data), bool)
        for start, capacity in zip(self.starts.tolist(), self.capacities.tolist(), strict=True):
            within[start : start + capacity] = True
        pairs = zip(self.starts.tolist(), self.capacities.tolist(), strict=True)
        return Result(
            self.device.download(self.status).view(np.int32).tolist(),
            self.device.download(self.actual).view(np.int64).tolist(),
            [data[start : start + capacity] for start, capacity in pairs],
            bool((data[~within] == BESIDE).all()),
        )


@dataclass(frozen=True)
class Result:
    """Of each stream its status, nvCOMP's size, and what lies in its target; whether all beside them is whole."""

    statuses: list[int]
    sizes: list[int]
    targets: list[np.ndarray]
    guards: bool

    def verdict(self, i: int, want: bytes) -> str:
        if not self.guards:
            return "wrote beside its target"
        if self.statuses[i]:
            return f"status {self.statuses[i]}"
        if self.sizes[i] != len(want):
            return f"says {self.sizes[i]} bytes, not {len(want)}"
        return "decoded" if self.targets[i][: len(want)].tobytes() == want else "wrong bytes, no error"


def prepare(
    device: Device,
    algorithm: str,
    streams: Sequence[bytes],
    capacities: Sequence[int] | np.ndarray,
    *,
    which: np.ndarray | None = None,
    skew: int = 0,
    algorithm_option: int = 0,
    guarded: bool = True,
) -> Batch:
    """Stream i of the batch is streams[which[i]], `skew` bytes behind a multiple of 256. `algorithm_option`: gzip's.

    Where it is not `guarded`, nothing marks what lies beside the targets: marks take long where they are many.
    """
    form, which = ALGORITHMS[algorithm], np.arange(len(streams)) if which is None else which
    options = Options(nvcomp.BACKEND_CUDA, bytes([algorithm_option]))
    begins, sizes, total = packed([len(each) + skew for each in streams])
    host = np.zeros(total + 64, np.uint8)
    for begin, each in zip(begins.tolist(), streams, strict=True):
        host[begin + skew : begin + skew + len(each)] = np.frombuffer(each, np.uint8)
    source, rooms = device.upload(host), np.asarray(capacities, np.int64)
    if len(rooms) != len(which):
        raise ValueError(f"{len(which)} streams and {len(rooms)} targets")
    starts, _, room = packed(rooms + GUARD)
    target = device.empty(room + GUARD)
    target.fill(BESIDE if guarded else BEFORE)
    for start, capacity in zip((starts + GUARD).tolist(), rooms.tolist(), strict=True) if guarded else ():
        target[start : start + capacity] = np.uint8(BEFORE)
    sources = device.address(source) + begins[which] + skew
    targets = device.address(target) + starts + GUARD
    call = decompression(device, form, sources, (sizes - skew)[which], targets, rooms, options)
    return Batch(call, target, starts + GUARD, rooms, source)
