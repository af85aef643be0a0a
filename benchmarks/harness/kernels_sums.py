"""Rows of gpu_kernels: checksums of ranges, delta and packbits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.codecs.delta import Delta
from gpuzarr.codecs.packbits import PackBits
from gpuzarr.cpu import checksums as on_host
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.gpu import checksums as on_gpu
from gpuzarr.gpu.tables import addresses, table

CHUNK = 128 << 10  # bytes
FEW = 8  # chunks that are compared with the CPU's
ONE = 256 << 20  # bytes of one chunk at most, which the CPU encodes too
DELTAS = (("i4", "i4"), ("u1", "u1"), ("i8", "i8"), ("i4", "i1"), ("f4", "f4"), ("f8", "f8"))


def sums(clock: Any, nbytes: int) -> dict[str, list[float]]:
    """GB/s of the bytes whose checksums are taken, of each run. jenkins_lookup3 takes a warp for each chunk, and one
    thread of it hashes, so it is the number of chunks that makes it fast."""
    device, count = clock.device, max(1, nbytes // CHUNK)
    sizes, host = np.full(count, CHUNK), np.random.default_rng(0).integers(0, 256, (FEW, CHUNK), np.uint8)
    data = device.upload(np.resize(host, (count, CHUNK)).reshape(-1))
    ranges = table(device, addresses(EncodedBatch(data, np.arange(count) * CHUNK, sizes), device), sizes)
    few = EncodedBatch(host.reshape(-1), np.arange(FEW) * CHUNK, np.full(FEW, CHUNK))
    rows = {
        "adler32": (partial(on_gpu.adler32_of, ranges=ranges, longest=CHUNK), on_host.adler32),
        "fletcher32": (partial(on_gpu.fletcher32_of, ranges=ranges, longest=CHUNK), on_host.fletcher32),
        "jenkins_lookup3": (
            partial(on_gpu.jenkins_lookup3_of, ranges=ranges, initval=0, prefix=b""),
            partial(on_host.jenkins_lookup3, initval=0, prefix=b""),
        ),
    }
    found = {}
    for name, (run, reference) in rows.items():
        _compare(name, device.download(run(device)[:FEW]), reference(few)[:count])
        found[name] = clock.rates(count * CHUNK, run)
    return found


def deltas(clock: Any, nbytes: int, dtype: str, astype: str) -> dict[str, list[float]]:
    """GB/s, of half the bytes that are read and written, of chunks of 128 KiB; of integers also of one chunk that
    has all of them. The sums of floats are made one after another, by a thread for each chunk."""
    codec, kept = Delta(np.dtype(dtype), np.dtype(astype)), f"delta {dtype} as {astype}"
    decode, encode = _both_ways(clock, *_differing(codec, max(1, nbytes // CHUNK), nbytes))
    found = {kept: decode, f"{kept}, encode": encode}
    if codec.dtype.kind != "f":
        found[f"{kept}, one chunk"], _ = _both_ways(clock, *_differing(codec, 1, min(nbytes, ONE)))
    return found


def _differing(codec: Delta, count: int, nbytes: int) -> tuple[Delta, np.ndarray, ChunkSpec]:
    """So many chunks of elements whose differences a byte holds."""
    elements = max(1, nbytes // count // codec.dtype.itemsize)
    values = np.resize((np.arange(elements) % 120).astype(codec.dtype), (count, elements))
    return codec, values, ChunkSpec((elements,), codec.dtype, codec.dtype.type(0))


def bits(clock: Any, nbytes: int) -> dict[str, list[float]]:
    """GB/s, of half the bytes that are read and written, of bools as bits, and of the lower 12 bits of uint16."""
    found, count = {}, max(1, nbytes // CHUNK)
    for dtype, last in (("?", None), ("u2", 11)):
        elements = CHUNK // np.dtype(dtype).itemsize
        values = np.resize((np.arange(elements) % 5 % 2).astype(dtype), (count, elements))
        spec, codec = ChunkSpec((elements,), values.dtype, values.dtype.type(0)), PackBits(last_bit=last)
        one, other = _both_ways(clock, codec, values, spec)
        name = f"packbits of {values.dtype.name}"
        found |= {name: one, f"{name}, encode": other}
    return found


def _both_ways(clock: Any, codec: Any, values: np.ndarray, spec: ChunkSpec) -> tuple[list[float], list[float]]:
    """Rates of decoding and encoding. What was made is compared first."""
    device: Device = clock.device
    given = device.upload(values)
    made = codec.encode(given, spec, device)
    few, sample = codec.encode(values[:FEW], spec, CPU), made
    if isinstance(made, EncodedBatch):
        few, sample = few[0], made[0]
    _compare(str(codec), device.download(sample[: len(few)]), few)
    _compare(str(codec), device.download(codec.decode(made, spec, device)[:FEW]), values[:FEW])
    stored = made.sizes.sum() if isinstance(made, EncodedBatch) else made.nbytes
    rates = partial(clock.rates, int(values.nbytes + stored) // 2)
    return (
        rates(lambda launches: codec.decode(made, spec, launches)),
        rates(lambda launches: codec.encode(given, spec, launches)),
    )


def _compare(name: str, made: np.ndarray, expected: np.ndarray) -> None:
    if not np.array_equal(made, expected):
        raise RuntimeError(f"{name}: the GPU makes something else than the CPU")
