"""How fast are encoded batches that lie on the GPU already decoded, beside nvCOMP's own rate on the same streams?

Goals: 0.9 of nvCOMP's own batch rate; blosc-lz4 of 4-byte floats in chunks of 16 MiB at 100 GB/s decoded. nvCOMP's
rate is that of the very calls that the codec made, made again alone.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu, timing
from benchmarks.harness.kept import Kept
from benchmarks.harness.layouts import sample
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of

KIB = 1 << 10
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


def measure(device: Device, name: str, nbytes: int, chunk: int, repeats: int, limit: float) -> dict[str, Any]:
    identifier, configuration = CODECS[name]
    codec, spec = find(identifier, configuration, 2), BytesSpec(chunk)
    host, values = encoded(codec, nbytes, chunk)
    encoded_batch = EncodedBatch(device.upload(host.data), host.starts, host.sizes, host.data)
    into = device.encoded_batch(np.full(len(encoded_batch), chunk))
    kept = Kept.of(device, codec, encoded_batch, spec, into)
    check(device, name, into, values)
    seconds = {
        "ours": gpu.times(device, partial(codec.decode, encoded_batch, spec, device, into), repeats, limit / 2),
        "nvCOMP": kept.times(repeats, limit / 2),
    }
    ours, alone = map(median, seconds.values())
    decoded = chunk * len(encoded_batch)
    return {
        "codec": name,
        "chunk": chunk,
        "chunks": len(encoded_batch),
        "streams": sum(len(streams[1]) for streams in kept.batches),
        "ratio": decoded / int(host.sizes.sum()),
        "GB/s": decoded / ours / 1e9,
        "of nvCOMP": alone / ours,
        "seconds": seconds,
    }


def missed(rows: list[dict[str, Any]]) -> list[str]:
    found = [
        f"{r['codec']}, {r['chunk'] >> 10} KiB: {r['of nvCOMP']:.2f} of nvCOMP" for r in rows if r["of nvCOMP"] < 0.9
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
    heads = ["codec", "KiB a chunk", "chunks", "streams", "ratio", "GB/s", "of nvCOMP"]
    lines = [
        [r["codec"], str(r["chunk"] >> 10), str(r["chunks"]), str(r["streams"])]
        + [f"{r[key]:.2f}" for key in ("ratio", "GB/s", "of nvCOMP")]
        for r in rows
    ]
    print(timing.table(heads, lines))
    print(f"a copy on the device: {copy:.1f} GB/s")
    goals, ceilings = missed(rows) + left_out, {"device copy": copy}
    timing.finish("gpu_decode", options, goals, failed, rows=rows, left_out=left_out, ceilings=ceilings)


if __name__ == "__main__":
    main()
