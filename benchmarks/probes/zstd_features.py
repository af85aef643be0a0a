"""Which features of zstd does nvCOMP decode, which does it refuse, and which does it not survive?

Each in a batch of its own, in a process that may die. Frames come from libzstd, or are put together by hand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cramjam
import numpy as np
from numcodecs import zstd

from benchmarks.probes import child, report
from benchmarks.probes.batch import plain, prepare
from gpuzarr.devices.contract import Device

MIB = 1 << 20
Case = Callable[[int], tuple[bytes, bytes]]  # of a size: the stream and what it holds


def by_level(level: int, checksum: bool = False) -> Case:
    return lambda size: (bytes(zstd.compress(data := plain(size), level, checksum)), data)


def spoiled_checksum(size: int) -> tuple[bytes, bytes]:
    stream = bytearray(zstd.compress(data := plain(size), 3, True))
    stream[-1] ^= 255
    return bytes(stream), data


def streamed(size: int) -> tuple[bytes, bytes]:
    """The decoded size is not in the header."""
    compressor = cramjam.zstd.Compressor(level=1)
    compressor.compress(data := plain(size))
    return bytes(compressor.finish()), data


def two_frames(size: int) -> tuple[bytes, bytes]:
    data = plain(size)
    return b"".join(bytes(zstd.compress(part, 3)) for part in (data[: size // 3], data[size // 3 :])), data


SKIPPABLE = struct.pack("<II", 0x184D2A50, 3) + b"abc"


def skippable(before: bool) -> Case:
    def made(size: int) -> tuple[bytes, bytes]:
        stream, data = by_level(3)(size)
        return (SKIPPABLE + stream if before else stream + SKIPPABLE), data

    return made


def by_hand(*, raw: bool = True, window: int = 0, dictionary: bool = False) -> Case:
    """Blocks of 128 KiB, raw or one byte repeated (RFC 8878, 3.1.1). `window`: its log2, 0 for a single segment."""

    def made(size: int) -> tuple[bytes, bytes]:
        data = plain(size, "noise") if raw else b"\x2a" * size
        descriptor = bytes([(0xC0 if window else 0xE0) | int(dictionary)])
        header = b"\x28\xb5\x2f\xfd" + descriptor + (bytes([(window - 10) << 3]) if window else b"")
        header += (b"\x07" if dictionary else b"") + size.to_bytes(8, "little")
        parts = []
        for begin in range(0, size, 1 << 17):
            part = data[begin : begin + (1 << 17)]
            last = begin + len(part) == size
            parts += [(last | (not raw) << 1 | len(part) << 3).to_bytes(3, "little"), part if raw else part[:1]]
        return header + b"".join(parts), data

    return made


def far(size: int) -> tuple[bytes, bytes]:
    """Noise, and again the same noise: matches lie half of it behind."""
    data = plain(size // 2, "noise") * 2
    return bytes(zstd.compress(data, 22)), data


CASES: dict[str, tuple[Case, int]] = {
    **{f"level {level}": (by_level(level), MIB) for level in (-5, 1, 3, 9, 19, 22)},
    "empty": (by_level(3), 0),
    "one byte": (by_level(3), 1),
    "checksum": (by_level(3, True), MIB),
    "checksum that is wrong": (spoiled_checksum, MIB),
    "no content size": (streamed, MIB),
    "two frames": (two_frames, MIB),
    "skippable frame before": (skippable(True), MIB),
    "skippable frame behind": (skippable(False), MIB),
    "raw blocks": (by_hand(), MIB),
    "repeated bytes": (by_hand(raw=False), MIB),
    "window of 8 MiB": (by_hand(window=23), MIB),
    "window of 128 MiB": (by_hand(window=27), MIB),
    "window of 2 GiB": (by_hand(window=31), MIB),
    "a dictionary's id": (by_hand(dictionary=True), MIB),
    "level 22, 4 MiB behind": (far, 8 * MIB),
    "level 22, 16 MiB behind": (far, 32 * MIB),
    "17 MiB": (by_level(1), 17 * MIB),
    "160 MiB": (by_level(1), 160 * MIB),
}


def case(device: Device, name: str, tiny: bool) -> dict[str, Any]:
    make, size = CASES[name]
    stream, data = make(min(size, 3000) if tiny else size)
    good = bytes(zstd.compress(data[:1000], 3))
    batch = prepare(device, "zstd", [good, stream, good], np.array([len(data[:1000]), len(data), len(data[:1000])]))
    batch.launch()
    result = batch.look()
    others = {result.verdict(i, data[:1000]) for i in (0, 2)} - {"decoded"}
    return {"verdict": result.verdict(1, data)} | ({"those beside it": sorted(others)} if others else {})


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("zstd_features", __doc__).parse_args(arguments)
    found = child.each(__spec__.name, list(CASES), options.device, options.tiny, total=options.seconds)
    report.cases("zstd_features", options, found)


if __name__ == "__main__":
    main()
