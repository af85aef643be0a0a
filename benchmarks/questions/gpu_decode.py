"""How fast are encoded batches that lie on the GPU already decoded, beside nvCOMP's own rate on the same streams?

Goals: 0.9 of nvCOMP's own rate; blosc-lz4 of 4-byte floats in chunks of 16 MiB at 100 GB/s decoded. Batches are decoded
as reads decode them, one after another: the host parses the frames of one while the GPU decodes the one before. The
rate is that of the steady state, from the end of one batch to the end of the next; what the host takes for each batch
(parsing, tables, launches) stands beside it. nvCOMP's rate is that of one bare call for the streams of a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu, kept, timing
from benchmarks.harness.layouts import sample
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.devices.contract import Device
from gpuzarr.devices.pipeline import Complete
from gpuzarr.devices.select import device as device_of
from gpuzarr.devices.trace import Trace

KIB = 1 << 10
WARM = 2  # batches that do not count: the first ones allocate, and nothing overlaps with them
CODECS: dict[str, tuple[str, dict[str, Any]]] = {
    "zstd": ("zstd", {"level": 3}),
    "lz4": ("lz4", {}),
    "zlib": ("zlib", {"level": 4}),
    "gzip": ("gzip", {"level": 4}),
    "blosc-lz4": ("blosc", {"cname": "lz4", "typesize": 4}),
    "blosc-zstd": ("blosc", {"cname": "zstd", "typesize": 4}),
    "blosc-zstd-bits": ("blosc", {"cname": "zstd", "typesize": 4, "shuffle": 2}),
}


def encoded(codec: Any, nbytes: int, chunk: int) -> tuple[EncodedBatch, np.ndarray]:
    """Chunks of realistic floats, encoded, in host memory. A few, which are returned too, are encoded, and repeated."""
    count = max(1, nbytes // chunk)
    distinct = min(count, max(1, (16 << 20) // chunk))
    side = max(8, round((distinct * chunk / 4) ** (1 / 3)) + 1)
    values = np.resize(sample("f4", side).reshape(-1), distinct * chunk // 4).view(np.uint8)
    plain = EncodedBatch(values, np.arange(distinct) * chunk, np.full(distinct, chunk))
    some = codec.encode(plain, BytesSpec(chunk), device_of("cpu"))
    which = np.arange(count) % distinct
    whole = device_of("cpu").encoded_batch(some.sizes[which])
    for i, j in enumerate(which.tolist()):
        whole[i][:] = some[j]
    return whole, values


def check(device: Device, name: str, into: EncodedBatch, values: np.ndarray) -> None:
    """SystemExit where what was decoded is not `values`, again and again. Chunks are a multiple of 256 bytes."""
    truth = device.upload(values)
    for begin in range(0, len(into.data), len(truth)):
        some = into.data[begin : begin + len(truth)]
        if not bool((some == truth[: len(some)]).all()):
            raise SystemExit(f"{name} is decoded to wrong values")


class Steady:
    """Batches decoded in turn as a read does it, and when each of them ended."""

    def __init__(self, device: Device, decode: Callable[[EncodedBatch, EncodedBatch], Any]) -> None:
        self._device, self._decode = device, decode
        self._ends: list[Any] = []
        self.host: list[float] = []  # seconds of the host for each batch
        self.trace = Trace()

    def run(self, pairs: list[tuple[EncodedBatch, EncodedBatch]], repeats: int, limit: float) -> None:
        """Decode each of `pairs` (a batch, and where its chunks go) in turn; fewer times where `limit` seconds end."""
        self._device.run(lambda pair: pair, self._launch, self._turns(pairs, repeats, limit), self.trace)

    def _turns(self, pairs: list[Any], repeats: int, limit: float) -> Iterator[Any]:
        end = time.perf_counter() + limit
        for i in range(repeats + WARM):
            if i < WARM + 1 or time.perf_counter() < end:
                yield pairs[i % len(pairs)]

    def _launch(self, pair: tuple[EncodedBatch, EncodedBatch]) -> Complete | None:
        begin = time.perf_counter()
        self._decode(*pair)
        self._ends.append(self._device.timestamp())
        complete = self._device.checked()
        self.host.append(time.perf_counter() - begin)
        return complete

    def seconds(self) -> list[float]:
        """Seconds from the end of one batch to that of the next, without the first ones."""
        return [self._device.seconds(*ends) for ends in pairwise(self._ends[WARM - 1 :])]


def measure(device: Device, name: str, nbytes: int, chunk: int, repeats: int, limit: float) -> dict[str, Any]:
    identifier, configuration = CODECS[name]
    codec, spec = find(identifier, configuration, 2), BytesSpec(chunk)
    host, values = encoded(codec, nbytes, chunk)
    pairs = [
        (EncodedBatch(device.upload(host.data), host.starts, host.sizes, host.data), target(device, len(host), chunk))
        for _ in range(2)
    ]
    steady = Steady(device, lambda batch, into: codec.decode(batch, spec, device, into))
    steady.run(pairs, repeats, limit / 2)
    for _, into in pairs:
        check(device, name, into, values)
    alone = kept.decoding(device, codec, pairs[0][0], spec, pairs[0][1], repeats, limit / 2)
    seconds = {"ours": steady.seconds(), "nvCOMP": alone.seconds}
    ours, decoded = median(seconds["ours"]), chunk * len(host)
    return {
        "codec": name,
        "chunk": chunk,
        "chunks": len(host),
        "streams": alone.streams,
        "on nvCOMP": sum(steady.trace.streams.values()) // len(steady.host),
        "ratio": decoded / int(host.sizes.sum()),
        "GB/s": decoded / ours / 1e9,
        "host ms": median(steady.host[WARM:]) * 1e3,
        "of nvCOMP": median(alone.seconds) / ours if alone.seconds else float("nan"),
        "why": alone.why,
        "seconds": seconds,
        "host seconds": steady.host,
    }


def target(device: Device, count: int, chunk: int) -> EncodedBatch:
    """Memory to decode a batch into. It holds zeros, which are not what is decoded."""
    into = device.encoded_batch(np.full(count, chunk))
    into.data.fill(0)
    return into


def missed(rows: list[dict[str, Any]]) -> list[str]:
    found = [
        f"{r['codec']}, {r['chunk'] >> 10} KiB: {r['of nvCOMP']:.2f} of nvCOMP"
        for r in rows
        if not r["of nvCOMP"] >= 0.9
    ]
    large = [r for r in rows if r["codec"] == "blosc-lz4" and r["chunk"] == 16 << 20]
    return found + [f"blosc-lz4, 16 MiB: {r['GB/s']:.0f} GB/s" for r in large if r["GB/s"] < 100]


def main(arguments: list[str] | None = None) -> None:
    parser = gpu.parser("gpu_decode", __doc__, 1024, 120)
    parser.add_argument("--kib", default="64,256,1024,16384", help="sizes of chunks (64,256,1024,16384)")
    options = parser.parse_args(arguments)
    device = gpu.device(options.device)
    nbytes, rows, failed, begun = int(options.mib * 2**20), [], [], 0
    points = [(name, int(kib) * KIB) for kib in options.kib.split(",") for name in CODECS]
    budget = timing.Budget.of(options.seconds)
    with device.on():
        copy = gpu.device_copy(device, nbytes, options.repeats)
        for i, (name, chunk) in enumerate(points):
            if limit := budget.share(len(points) - i):
                begun, one = i + 1, partial(measure, device, name, nbytes, chunk, options.repeats, limit)
                rows += filter(None, [timing.tried(f"{name}, {chunk >> 10} KiB", failed, one)])
                timing.record("gpu_decode", options.output, settings={"unfinished": True}, rows=rows)
    left_out = [f"{name}, {chunk >> 10} KiB: no time was left" for name, chunk in points[begun:]]
    whole, rates = ("chunks", "streams", "on nvCOMP"), ("ratio", "GB/s", "host ms", "of nvCOMP")
    lines = [
        [r["codec"], str(r["chunk"] >> 10), *(str(r[key]) for key in whole), *(f"{r[key]:.2f}" for key in rates)]
        for r in rows
    ]
    print(timing.table(["codec", "KiB a chunk", *whole, *rates], lines))
    print("\n".join(f"{r['codec']}, {r['chunk'] >> 10} KiB, nvCOMP alone: {r['why']}" for r in rows if r["why"]))
    print(f"a copy on the device: {copy:.1f} GB/s")
    goals, ceilings = missed(rows) + left_out, {"device copy": copy}
    timing.finish("gpu_decode", options, goals, failed, rows=rows, left_out=left_out, ceilings=ceilings)


if __name__ == "__main__":
    main()
