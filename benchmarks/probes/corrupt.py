"""What does nvCOMP do with damaged streams, format by format: a status, wrong bytes, writing elsewhere, death, a hang?

A case is a batch of 32 streams, every second one damaged in one way; what was good must be decoded nevertheless.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.probes import child, report
from benchmarks.probes.batch import ENCODE, plain, prepare
from gpuzarr.devices.contract import Device

COUNT = 32
Damage = Callable[[bytes, np.random.Generator], bytes]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    spoiled = bytearray(data)
    for at in rng.integers(0, len(data), 3):
        spoiled[at] ^= 1 << int(rng.integers(8))
    return bytes(spoiled)


def overwritten(data: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(data) // 2))
    return data[:at] + rng.bytes(len(data) - at)


DAMAGES: dict[str, Damage] = {
    "bits flipped": flipped,
    "cut": lambda data, rng: data[: int(rng.integers(1, len(data)))],
    "last byte cut": lambda data, rng: data[:-1],
    "empty": lambda data, rng: b"",
    "zeros": lambda data, rng: bytes(len(data)),
    "ones": lambda data, rng: b"\xff" * len(data),
    "noise": lambda data, rng: rng.bytes(len(data)),
    "noise behind a good begin": overwritten,
    "junk behind": lambda data, rng: data + rng.bytes(64),
}
ROOM = ("too little room", "too much room")  # the stream is good; its target is not as large as it decodes to


def case(device: Device, name: str, tiny: bool) -> dict[str, Any]:
    algorithm, _, how = name.partition(" ")
    nbytes, rng = 4000 if tiny else 64 << 10, np.random.default_rng(len(name))
    values = [plain(nbytes, "smooth", seed) for seed in range(COUNT)]
    streams, rooms = [ENCODE[algorithm](value) for value in values], np.full(COUNT, nbytes)
    bad = np.arange(COUNT) % 2 == 1
    if how in ROOM:
        rooms = rooms + np.where(bad, -100 if how == ROOM[0] else 100, 0)
    else:
        streams = [DAMAGES[how](s, rng) if spoiled else s for s, spoiled in zip(streams, bad, strict=True)]
    batch = prepare(device, algorithm, streams, rooms)
    batch.launch()
    result = batch.look()
    verdicts = [result.verdict(i, value) for i, value in enumerate(values)]
    found = {"damaged": dict(Counter(v for v, b in zip(verdicts, bad, strict=True) if b))}
    others = Counter(v for v, b in zip(verdicts, bad, strict=True) if not b and v != "decoded")
    return found | ({"good ones": dict(others)} if others else {})


def main(arguments: list[str] | None = None) -> None:
    options = report.parser("corrupt", __doc__).parse_args(arguments)
    names = [f"{algorithm} {how}" for algorithm in ENCODE for how in (*DAMAGES, *ROOM)]
    found = child.each(__spec__.name, names, options.device, options.tiny, seconds=30, total=options.seconds)
    report.cases("corrupt", options, found)


if __name__ == "__main__":
    main()
