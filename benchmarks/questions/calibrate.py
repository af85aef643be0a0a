"""How fast does this machine decode each algorithm: one stream on the GPU, a GPU full of them, one core of the host?

A core is measured while all of them decode, as they do beside a GPU: they share caches, memory and power, so that each
is slower than one alone. Also the rate of the bus to the GPU, and what a batch of nvCOMP costs however small it is. The
numbers are kept in the user's cache folder, where gpuzarr's cost model finds them (devices/cost.py).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import gpu, timing
from gpuzarr.batch import ALIGNMENT, BytesSpec, EncodedBatch, packed
from gpuzarr.codecs import find
from gpuzarr.devices import cost
from gpuzarr.devices.algorithm import Rate
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cpu import CPU
from gpuzarr.gpu import blosclz
from gpuzarr.gpu.algorithms import ALGORITHMS, BLOSCLZ

CODECS = {  # of each algorithm: the codec's name in Zarr v3, and the bytes of its chunk before and behind the stream
    "zstd": ("zstd", 0, 0),
    "lz4": ("numcodecs.lz4", 4, 0),
    "snappy": ("imagecodecs_snappy", 0, 0),
    "deflate": ("numcodecs.zlib", 2, 4),
    "gzip": ("gzip", 0, 0),
    "gdeflate": ("zarrs.gdeflate", 24, 0),
    "blosclz": ("blosc", 24, 0),
}
STREAM = 256 << 10  # decoded bytes, at most
MANY = 4096  # streams that fill a GPU
FEW = 64  # different streams among them
TINY = 64  # decoded bytes of a stream that costs nothing but its launch


def sample(nbytes: int, seed: int) -> np.ndarray:
    """Floats of a smooth curve with noise in their lowest bits, as measurements are."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=nbytes // 4).cumsum() + 100
    return (np.round(steps * 64) / 64).astype("<f4").view(np.uint8)


def planes(nbytes: int, seed: int) -> np.ndarray:
    """The upper bytes of such floats, as a shuffle puts them together: what blosclz is made for."""
    return sample(2 * nbytes, seed).reshape(-1, 4).T[2:].reshape(-1)


def encoded(algorithm: str, nbytes: int, count: int) -> EncodedBatch:
    """Streams on the host, as the codec stores them; those of blosclz in frames of one block."""
    is_blosclz = algorithm == BLOSCLZ.name
    options = {"cname": BLOSCLZ.name, "shuffle": 0, "blocksize": nbytes} if is_blosclz else {}
    codec, make = find(CODECS[algorithm][0], options), planes if is_blosclz else sample
    data = np.concatenate([make(nbytes, seed) for seed in range(count)])
    return codec.encode(EncodedBatch(data, np.arange(count) * nbytes, np.full(count, nbytes)), BytesSpec(nbytes), CPU)


def seconds(run: Callable[[], Any], repeats: int) -> float:
    run()
    found = []
    for _ in range(repeats):
        before = time.perf_counter()
        run()
        found.append(time.perf_counter() - before)
    return median(found)


def gpu_seconds(
    device: Any, algorithm: str, encoded_batch: EncodedBatch, nbytes: int, count: int, repeats: int
) -> float:
    """Seconds of one batch of `count` streams, those of `encoded` again and again, to where each has its own room."""
    _, skip, trim = CODECS[algorithm]
    which = np.arange(count) % len(encoded_batch)
    sizes = encoded_batch.sizes[which] - skip - trim
    starts, _, total = packed(encoded_batch.sizes - skip - trim, ALIGNMENT)
    host = np.zeros(total, np.uint8)
    for i, start in enumerate(starts.tolist()):
        piece = encoded_batch[i][skip : len(encoded_batch[i]) - trim]
        host[start : start + len(piece)] = piece
    source, target = device.upload(host), device.encoded_batch(np.full(count, nbytes))
    sources = np.uint64(device.address(source)) + starts[which].astype(np.uint64)
    targets = np.uint64(device.address(target.data)) + target.starts.astype(np.uint64)

    def run() -> None:
        streams = sources, sizes, targets, target.sizes, np.arange(count)
        if algorithm == BLOSCLZ.name:
            blosclz.decode(device, *streams)
        else:
            device.decompress(ALGORITHMS[algorithm], *streams)
        device.checked()()

    return seconds(run, repeats)


def core_rate(algorithm: str, encoded_batch: EncodedBatch, nbytes: int, repeats: int) -> float:
    """Decoded bytes per second of a core, while all cores decode all streams, each to memory of its own."""
    codec, sizes = find(CODECS[algorithm][0], {}), np.full(len(encoded_batch), nbytes)
    targets = [CPU.encoded_batch(sizes) for _ in range(CPU.threads)]

    def run() -> None:
        CPU.each(lambda target: codec.decode(encoded_batch, BytesSpec(nbytes), CPU, target), targets)

    return len(encoded_batch) * nbytes / seconds(run, repeats)


def bus_rate(device: Any, nbytes: int, repeats: int) -> float:
    staged = device.pinned_buffer(np.full(1, nbytes)).data
    staged[:] = 1

    def run() -> None:
        device.download(device.upload(staged)[-1:])

    return nbytes / seconds(run, repeats)


def measure(device: Any, *, stream: int = STREAM, many: int = MANY, repeats: int = 5) -> Costs:
    """The constants of this machine; `stream` and `many` as above. Algorithms that are not measured stay guesses."""
    tiny = encoded("lz4", TINY, 1)
    launch = gpu_seconds(device, "lz4", tiny, TINY, 1, repeats)
    rates = {}
    for algorithm in CODECS:
        nbytes = min(stream, (ALGORITHMS | {BLOSCLZ.name: BLOSCLZ})[algorithm].max_decoded_bytes)
        encoded_batch = encoded(algorithm, nbytes, min(FEW, many))
        one = gpu_seconds(device, algorithm, encoded_batch, nbytes, 1, repeats) - launch
        full = gpu_seconds(device, algorithm, encoded_batch, nbytes, many, repeats) - launch
        core = core_rate(algorithm, encoded_batch, nbytes, repeats)
        rates[algorithm] = Rate(nbytes / max(one, 1e-9), many * nbytes / max(full, 1e-9), core)
    return Costs(rates, bus_rate(device, 64 * stream, repeats), launch)


def shown(costs: Costs) -> str:
    rows = [
        [name, f"{r.stream / 1e6:.0f} MB/s", f"{r.full / 1e9:.1f} GB/s", f"{r.core / 1e9:.2f} GB/s"]
        for name, r in costs.rates.items()
    ]
    table = timing.table(["decoded", "one stream", "full GPU", "one core"], rows)
    return f"{table}\nbus {costs.bus / 1e9:.1f} GB/s, {costs.launch * 1e6:.0f} microseconds a batch"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: the user's cache folder)")
    parser.add_argument("--if-missing", action="store_true", help="only where no constants are kept yet")
    parser.add_argument("--tiny", action="store_true", help="small enough for the emulated device; means nothing")
    options = parser.parse_args(arguments)
    if options.if_missing and (costs := cost.calibrated()) != Costs():
        print(f"{shown(costs)}\nkept already")
        return
    size = {"stream": 4 << 10, "many": 4} if options.tiny else {}
    costs = measure(gpu.device(options.device), repeats=options.repeats, **size)
    print(f"{shown(costs)}\nkept in {cost.save(costs, options.output)}")


if __name__ == "__main__":
    main()
