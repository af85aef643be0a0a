"""How near do our kernels come to the rate of a copy on the device?

Goals: 0.8 of it for unshuffle of 2, 4 and 8 bytes, and for the placement of chunks whose rows have 128 bytes or more,
shuffled ones too, and for the levels of images, of the bytes that are read and written; and for bit-shuffled ones more
than by two passes. Launches alone are timed, with their tables made before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from math import nan
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import (
    gpu,
    kernels_blocks,
    kernels_blosclz,
    kernels_elements,
    kernels_pages,
    kernels_sums,
    timing,
)
from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device, Kernel
from gpuzarr.dtypes.cast import Cast, cast_of
from gpuzarr.gpu import planes
from gpuzarr.gpu.checksums import CRC32C, crc32
from gpuzarr.gpu.place import Chunks, place
from gpuzarr.gpu.programs import program_of
from gpuzarr.gpu.shuffle import Blocks, bitunshuffle, unshuffle
from gpuzarr.gpu.tables import addresses, copy
from gpuzarr.indexing.grid import parts
from gpuzarr.indexing.selection import orthogonal
from gpuzarr.metadata import RegularAxis
from gpuzarr.pyramids.downsample import downsample

BLOCK = 128 << 10  # bytes of a shuffled block
ROWS = (32, 128, 512, 4096)  # bytes of the rows that are placed
SHUFFLED_ROWS = (128, 1000)  # the last one with ends that are no whole pieces
WIDTHS = (2, 4, 8)
DOWNSAMPLING = (("mean", "u2"), ("mode", "u8"), ("median", "u2"), ("max", "u2"))
BIT_WIDTHS, BIT_ROWS = (1, 2, 4, 8), (256, 1000)


@dataclass
class Launches:
    """A device that remembers what was launched, to launch it again."""

    device: Any
    done: list[tuple[Kernel, Any, Any, Any]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def kernel(self, file: str, name: str, width: int | None = None) -> Kernel:
        found = self.device.kernel(file, name, width)

        def launch(grid: Any, block: Any, args: Any) -> None:
            self.done.append((found, grid, block, args))
            found(grid, block, args)

        return launch

    def again(self) -> None:
        for kernel, grid, block, args in self.done:
            kernel(grid, block, args)


@dataclass(frozen=True)
class Clock:
    """How often a row is measured, for at most so many seconds."""

    device: Device
    repeats: int
    limit: float

    def rates(self, nbytes: int, *runs: Any) -> list[float]:
        """GB/s of the kernels that the functions `runs` launch on the device that they are given, of each time."""
        launches = Launches(self.device)
        held = [run(launches) for run in runs]
        found = [nbytes / seconds / 1e9 for seconds in gpu.times(self.device, launches.again, self.repeats, self.limit)]
        del held
        return found


def shuffles(clock: Clock, nbytes: int) -> dict[str, list[float]]:
    """GB/s of decoded bytes, of each run."""
    device = clock.device
    count = max(1, nbytes // BLOCK)
    source, target = (device.encoded_batch(np.full(count, BLOCK)) for _ in range(2))
    source.data.fill(3)
    measure = partial(clock.rates, count * BLOCK)
    found = {}
    for width in WIDTHS:
        blocks = _blocks(device, source, target, width)
        found[f"unshuffle {width}"] = measure(partial(unshuffle, blocks=blocks))
        found[f"bitunshuffle {width}"] = measure(partial(bitunshuffle, blocks=blocks))
    where, to = addresses(source, device), addresses(target, device)
    found["copy of ranges"] = measure(partial(copy, sources=where, targets=to, sizes=source.sizes))
    return found | {"crc32c": measure(partial(crc32, places=where, sizes=source.sizes, polynomial=CRC32C))}


def _blocks(device: Device, source: EncodedBatch, target: EncodedBatch, width: int) -> Blocks:
    count = len(source)
    each, first = np.full(count, width), np.arange(count)
    places = addresses(target, device), source.sizes
    return Blocks(*places, each, first, np.zeros(count, bool), addresses(source, device))


@dataclass(frozen=True)
class Grid:
    """Chunks of 16 x 16 rows of `row` bytes, side by side along every axis of a result."""

    row: int
    width: int  # bytes of an element
    edge: int  # chunks along the first axis; two along the others

    @classmethod
    def of(cls, nbytes: int, row: int, width: int) -> Grid:
        return cls(row, width, max(1, round(nbytes / (1024 * row))))

    @property
    def chunks(self) -> tuple[int, int, int]:
        return 16, 16, self.row // self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        return 16 * self.edge, 32, 2 * self.chunks[2]

    @property
    def sizes(self) -> np.ndarray:
        return np.full(4 * self.edge, 256 * self.row)

    def place(self, device: Device, chunks: Chunks, out: Any, cast: Cast | None = None) -> None:
        axes = tuple(RegularAxis(n, m) for n, m in zip(self.shape, self.chunks, strict=True))
        found = list(parts(orthogonal((...,), self.shape), axes, (0,) * 3))
        some = chunks if cast is None else replace(chunks, program=program_of(cast))
        place(device, [(found, (out,))], np.ones(len(self.sizes), bool), some, 0)

    def result(self, device: Device) -> Any:
        return device.array(self.shape, np.dtype(f"u{self.width}"))

    def lying(self, device: Device, encoded: EncodedBatch) -> Chunks:
        return Chunks(addresses(encoded, device), (16 * self.row, self.row, self.width), 1, encoded.data)


def placement(clock: Clock, nbytes: int, row: int) -> dict[str, list[float]]:
    """GB/s at which decoded chunks with rows of so many bytes come to their place."""
    device = clock.device
    grid = Grid.of(nbytes, row, 4)
    encoded, out = device.encoded_batch(grid.sizes), grid.result(device)
    encoded.data.fill(3)
    return {f"place {row}": clock.rates(out.nbytes, partial(grid.place, chunks=grid.lying(device, encoded), out=out))}


def cast_placement(clock: Clock, nbytes: int, row: int) -> dict[str, list[float]]:
    """GB/s, of half the bytes that are read and written, at which uint16 with rows of so many bytes are scaled to
    float32 on their way to their place."""
    device = clock.device
    grid = Grid.of(nbytes, row, 2)
    encoded, out = device.encoded_batch(grid.sizes), device.array(grid.shape, np.dtype("f4"))
    encoded.data.fill(3)
    cast = cast_of(np.dtype("u2"), 0, None, 0.1, -3, True)
    scaled = partial(grid.place, chunks=grid.lying(device, encoded), out=out, cast=cast)
    return {f"cast, place {row}": clock.rates(out.nbytes * 3 // 4, scaled)}


def shuffled_placement(clock: Clock, nbytes: int, row: int, width: int, kind: str) -> dict[str, list[float]]:
    """GB/s at which chunks of `kind` "shuffled" or "bit-shuffled" come to their place: in one pass, and in two. The
    lower half of the planes of each block lies at odd addresses, as raw streams do."""
    device = clock.device
    grid = Grid.of(nbytes, row, width)
    source, encoded, out = device.encoded_batch(grid.sizes + 256), device.encoded_batch(grid.sizes), grid.result(device)
    source.data[...] = device.xp.arange(len(source.data) // 4, dtype=np.uint32).view(np.uint8)
    left, blocks = _shuffled(device, grid, source, encoded, kind == "bit-shuffled")
    fused = Chunks(left.addresses, (16 * row, row, width), 1, source.data, left)
    measure = partial(clock.rates, out.nbytes)
    placed = partial(grid.place, chunks=grid.lying(device, encoded), out=out)
    two = measure(partial(bitunshuffle if left.bits.any() else unshuffle, blocks=blocks), placed)
    want = out.copy()
    one = measure(partial(grid.place, chunks=fused, out=out))
    assert bool((out == want).all()), "one pass and two do not give the same"
    return {f"{kind} {width}, place {row}": one, f"{kind} {width}, {row}, in two passes": two}


def _shuffled(
    device: Device, grid: Grid, source: EncodedBatch, encoded: EncodedBatch, bits: bool
) -> tuple[planes.Planes, Blocks]:
    width, nbytes, count = grid.width, int(grid.sizes[0]), len(grid.sizes)
    begins = np.arange(0, nbytes, BLOCK)
    size = np.minimum(nbytes - begins, BLOCK)
    lane = np.arange(width)
    offset = (begins[:, None] + lane * (size[:, None] // width) + (lane < width // 2)).reshape(-1)
    streams = (addresses(source, device)[:, None] + offset.astype(np.uint64)).reshape(-1)
    first = np.arange(count) * len(offset)
    places, cut, of_bits = np.zeros(count, np.uint64), np.full(count, BLOCK), grid.sizes * bits
    left = planes.Planes(width, places, cut, first, streams, of_bits, source.data)
    targets = (addresses(encoded, device)[:, None] + begins.astype(np.uint64)).reshape(-1)
    blocks = len(targets)
    own = np.ones(blocks, bool)
    return left, Blocks(targets, np.tile(size, count), np.full(blocks, width), np.arange(blocks) * width, own, streams)


def downsampling(clock: Clock, nbytes: int, method: str, dtype: str) -> dict[str, list[float]]:
    """GB/s, of half the bytes that are read and written, at which windows of 2 x 2 x 2 become an element each."""
    device, kind = clock.device, np.dtype(dtype)
    side = max(8, round((nbytes / kind.itemsize) ** (1 / 3)) // 8 * 8)
    values = (device.xp.arange(side**3, dtype=np.uint32) % 251 // 12).astype(kind).reshape((side,) * 3)
    reduced = partial(downsample, values, (2, 2, 2), method)
    return {f"{method} of {kind.name}": clock.rates(values.nbytes * 9 // 16, reduced)}


def missed(rates: dict[str, float], ceiling: float) -> list[str]:
    """Of what could be measured."""
    judged = [f"unshuffle {width}" for width in WIDTHS] + [f"place {row}" for row in ROWS if row >= 128]
    judged += [f"shuffled {width}, place {row}" for width in WIDTHS for row in SHUFFLED_ROWS]
    judged += [f"{method} of {np.dtype(dtype).name}" for method, dtype in DOWNSAMPLING]
    found = [
        f"{name}: {rates[name] / ceiling:.2f} of a copy"
        for name in judged
        if name in rates and rates[name] < 0.8 * ceiling
    ]
    for name in (f"bit-shuffled {width}" for width in BIT_WIDTHS):
        for row in BIT_ROWS:
            gain = rates.get(f"{name}, place {row}", nan) / rates.get(f"{name}, {row}, in two passes", nan)
            found += [f"{name}, place {row}: {gain:.2f} of two passes"] if gain < 1 else []
    return found


def measurements(clock: Clock, nbytes: int) -> dict[str, Callable[[], dict[str, list[float]]]]:
    """All that is measured, piece by piece: first what is judged, at last what the host prepares longest."""
    found = {"shuffles": partial(shuffles, clock, nbytes)}
    found |= {f"place {row}": partial(placement, clock, nbytes, row) for row in ROWS}
    for kind, widths, rows in (("shuffled", WIDTHS, SHUFFLED_ROWS), ("bit-shuffled", BIT_WIDTHS, BIT_ROWS)):
        for width, row in product(widths, rows):
            found[f"{kind} {width}, {row}"] = partial(shuffled_placement, clock, nbytes, row, width, kind)
    for method, dtype in DOWNSAMPLING:
        found[f"{method} of {dtype}"] = partial(downsampling, clock, nbytes, method, dtype)
    found |= {f"cast, place {row}": partial(cast_placement, clock, nbytes, row) for row in ROWS}
    found["blosclz"] = partial(kernels_blosclz.streams, clock, nbytes)
    found["checksums"] = partial(kernels_sums.sums, clock, nbytes)
    found["blocks"] = partial(kernels_blocks.chunks, clock, nbytes)
    found["gdeflate"] = partial(kernels_pages.chunks, clock, nbytes)
    found |= {name: partial(kernels_elements.programs, clock, nbytes, name) for name in kernels_elements.CODECS}
    found |= {f"delta {a} as {b}": partial(kernels_sums.deltas, clock, nbytes, a, b) for a, b in kernels_sums.DELTAS}
    return found | {"packbits": partial(kernels_sums.bits, clock, nbytes)}


def main(arguments: list[str] | None = None) -> None:
    options = gpu.parser("gpu_kernels", __doc__, 1024, 60).parse_args(arguments)
    device, budget = gpu.device(options.device), timing.Budget.of(options.seconds)
    nbytes, runs, failed, left_out = int(options.mib * 2**20), {}, [], []
    clock = Clock(device, options.repeats, options.seconds / 88)
    with device.on():
        ceiling = gpu.device_copy(device, nbytes, options.repeats)
        for name, measure in measurements(clock, nbytes).items():
            if not budget.share(1):
                left_out.append(f"{name}: no time was left")
                continue
            runs |= timing.tried(name, failed, measure) or {}
            timing.record("gpu_kernels", options.output, settings={"unfinished": True}, runs=runs)
    rates = {name: median(each) for name, each in runs.items()}
    print(
        timing.table(["kernel", "GB/s", "of a copy"], [[k, f"{v:.2f}", f"{v / ceiling:.2f}"] for k, v in rates.items()])
    )
    print(f"a copy on the device: {ceiling:.1f} GB/s")
    goals, ceilings = missed(rates, ceiling) + left_out, {"device copy": ceiling}
    found = {"rates": rates, "runs": runs, "left_out": left_out, "ceilings": ceilings}
    timing.finish("gpu_kernels", options, goals, failed, **found)


if __name__ == "__main__":
    main()
