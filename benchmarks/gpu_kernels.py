"""How near do our kernels come to the rate of a copy on the device?

Goals: 0.8 of it for unshuffle of 2, 4 and 8 bytes, and for the placement of chunks whose rows have 128 bytes or more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import gpuzarr
from benchmarks import gpu, timing
from gpuzarr.batch import Slab
from gpuzarr.devices import Device
from gpuzarr.gpu.checksums import CRC32C, crc32
from gpuzarr.gpu.shuffle import Blocks, bitunshuffle, unshuffle
from gpuzarr.gpu.tables import addresses, copy

BLOCK = 128 << 10  # bytes of a shuffled block
ROWS = (32, 128, 512, 4096)  # bytes of the rows that are placed


def shuffles(device: Device, nbytes: int, repeats: int, limit: float) -> dict[str, list[float]]:
    """GB/s of decoded bytes, of each run."""
    count = max(1, nbytes // BLOCK)
    source, target = (device.slab(np.full(count, BLOCK)) for _ in range(2))
    source.data.fill(3)
    found = {}

    def rate(run: Callable[[], Any]) -> list[float]:
        return [count * BLOCK / seconds / 1e9 for seconds in gpu.times(device, run, repeats, limit)]

    for width in (2, 4, 8):
        for name, launch in (("unshuffle", unshuffle), ("bitunshuffle", bitunshuffle)):
            blocks = _blocks(device, source, target, width)
            found[f"{name} {width}"] = rate(partial(launch, device, blocks))
    where, to = addresses(source, device), addresses(target, device)
    found["copy of ranges"] = rate(partial(copy, device, where, to, source.sizes))
    return found | {"crc32c": rate(partial(crc32, device, where, source.sizes, CRC32C))}


def _blocks(device: Device, source: Slab, target: Slab, width: int) -> Blocks:
    count = len(source)
    each, first = np.full(count, width), np.arange(count)
    places = addresses(target, device), source.sizes
    return Blocks(*places, each, first, np.zeros(count, bool), addresses(source, device))


def placement(device: Device, nbytes: int, row: int, repeats: int, limit: float) -> list[float]:
    """GB/s at which chunks with rows of so many bytes come to their place, as a read of raw chunks reports it."""
    chunk = (16, 16, row // 4)
    edge = max(1, round(nbytes / (1024 * row)))
    shape = (16 * edge, 32, 2 * row // 4)
    stored = {"zarr.json": metadata(shape, chunk)}
    data = bytes(16 * 16 * row)
    stored |= {f"c/{i}/{j}/{k}": data for i in range(edge) for j in range(2) for k in range(2)}
    array = gpuzarr.open_array(stored, device=device, memory_limit="4GiB")
    rates: list[float] = []
    budget = timing.Budget.of(limit)
    while len(rates) < 2 or (len(rates) <= repeats and budget.share(1)):
        array[...]
        rates.append(array.nbytes / array.last_read.stages["place"] / 1e9)
    return rates[1:]


def metadata(shape: tuple[int, ...], chunk: tuple[int, ...]) -> bytes:
    """zarr.json of an uncompressed array of floats."""
    import json

    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }
    return json.dumps(document).encode()


def missed(rates: dict[str, float], ceiling: float) -> list[str]:
    judged = [f"unshuffle {width}" for width in (2, 4, 8)] + [f"place {row}" for row in ROWS if row >= 128]
    return [f"{name}: {rates[name] / ceiling:.2f} of a copy" for name in judged if rates[name] < 0.8 * ceiling]


def main(arguments: list[str] | None = None) -> None:
    options = gpu.parser("gpu_kernels", __doc__, 1024, 60).parse_args(arguments)
    device = gpu.device(options.device)
    nbytes = int(options.mib * 2**20)
    with device.on():
        ceiling = gpu.device_copy(device, nbytes, options.repeats)
        runs = shuffles(device, nbytes, options.repeats, options.seconds / 16)
        for row in ROWS:
            runs[f"place {row}"] = placement(device, nbytes, row, options.repeats, options.seconds / 8)
    rates = {name: median(each) for name, each in runs.items()}
    print(
        timing.table(["kernel", "GB/s", "of a copy"], [[k, f"{v:.2f}", f"{v / ceiling:.2f}"] for k, v in rates.items()])
    )
    print(f"a copy on the device: {ceiling:.1f} GB/s")
    timing.finish(
        "gpu_kernels", options, missed(rates, ceiling), rates=rates, runs=runs, ceilings={"device copy": ceiling}
    )


if __name__ == "__main__":
    main()
