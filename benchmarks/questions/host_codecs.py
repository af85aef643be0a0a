"""How long does a CPU take to decode and to encode a chunk, beside numcodecs, for each codec that both have?

Chunks of 1 MiB, on one thread, from stored bytes to a result that is there, and back; ours go through a chain, as reads
and writes do. Values are checked first: each must decode what the other has encoded. Goal: nowhere more than a tenth
slower than numcodecs. (Ours also finds chunks that are cut short, or have something behind them, which numcodecs takes
for whole.)
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numcodecs
import numpy as np

from benchmarks.harness import timing
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.single_chunk import ChunkDecoder
from gpuzarr.metadata import codecs_v2

PEER = "numcodecs"
MOST = 1.1  # times the seconds of numcodecs
MIB = 1 << 20
OBJECTS = 1 << 12  # elements of a chunk of strings
# id: dtype of the chunk, configuration
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: ("<i2", {}) for name in ("zlib", "gzip", "bz2", "lzma", "lz4", "zstd", "base64")},
    **{f"blosc {name}": ("<i2", {"cname": name}) for name in ("lz4", "zstd", "blosclz", "zlib")},
    **{name: ("<i2", {}) for name in ("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3")},
    "shuffle": ("<f4", {"elementsize": 4}),
    "delta": ("<i4", {"dtype": "<i4"}),
    "fixedscaleoffset": ("<f4", {"offset": 0, "scale": 10, "dtype": "<f4", "astype": "<i2"}),
    "quantize": ("<f4", {"digits": 2, "dtype": "<f4"}),
    "bitround": ("<f4", {"keepbits": 8}),
    "astype": ("<f4", {"encode_dtype": "<f8", "decode_dtype": "<f4"}),
    "packbits": ("|b1", {}),
    "pcodec": ("<f4", {}),
    "zfpy": ("<f4", {"mode": 4, "tolerance": 0.01}),
    **{name: ("|O", {}) for name in ("vlen-utf8", "json2", "msgpack2")},
}


def chunk_of(dtype: str, nbytes: int) -> np.ndarray:
    """A noisy walk, as measurements are; or some of few words."""
    rng, of = np.random.default_rng(5), np.dtype(dtype)
    if of.hasobject:
        count = OBJECTS * nbytes // MIB or 1
        return np.array([f"station {number}" for number in rng.integers(0, 300, count)], object)
    walk = np.cumsum(rng.normal(size=nbytes // of.itemsize))
    if of.kind == "b":
        return walk > 0
    return (walk + rng.normal(size=walk.size) / 4).astype(of) if of.kind == "f" else (walk * 4).astype(of)


def chain_of(codec_id: str, configuration: dict[str, Any], chunk: np.ndarray) -> Chain:
    """The chain of a v2 array with this codec alone."""
    spec = ChunkSpec(chunk.shape, chunk.dtype, None if chunk.dtype.hasobject else chunk.dtype.type(0))
    return Chain.build(codecs_v2.chain([{"id": codec_id, **configuration}], spec, chunk.dtype, "C"), spec)


def runs_of(name: str, nbytes: int) -> tuple[dict[str, dict[str, Callable[[], Any]]], int, int]:
    """What is timed: "decode" and "encode", of ours and of numcodecs; bytes of the chunk, and of it stored."""
    (codec_id, *_), (dtype, configuration) = name.split(), CASES[name]
    chunk = chunk_of(dtype, nbytes)
    peer = numcodecs.get_codec({"id": codec_id, **configuration})
    chain = chain_of(codec_id, configuration, chunk)
    stored = bytes(np.ascontiguousarray(peer.encode(chunk)).view(np.uint8))
    encode, decode = chain.encoder(), chain.chunk_decoder()
    out = np.empty(chunk.shape, chunk.dtype)
    read = reader(decode, stored, out)
    expected, target = theirs(peer, stored, chunk).copy(), np.empty_like(out)
    assert np.array_equal(read(), expected), f"{name}: other values than numcodecs"
    ours = bytes(encode(chunk))
    assert np.array_equal(theirs(peer, ours, chunk), expected), f"{name}: numcodecs reads other values"
    runs = {
        "decode": {timing.OURS: read, PEER: lambda: np.copyto(target, theirs(peer, stored, chunk))},
        "encode": {timing.OURS: lambda: encode(chunk), PEER: lambda: peer.encode(chunk)},
    }
    return runs, chunk.nbytes, len(stored)


def reader(decode: ChunkDecoder, stored: bytes, out: np.ndarray) -> Callable[[], np.ndarray]:
    """Read the chunk to `out`."""
    memory, last = memoryview(stored), out.size - 1

    def read() -> np.ndarray:
        made = decode(memory, out, 0, last)
        if made is not None:
            out[...] = made
        return out

    return read


def theirs(peer: Any, stored: bytes, chunk: np.ndarray) -> np.ndarray:
    """Decode as zarr-python does, which then copies to the result."""
    made = peer.decode(stored)
    flat = made if isinstance(made, np.ndarray) else np.frombuffer(made, np.uint8)
    return np.reshape(flat if flat.dtype == chunk.dtype else flat.view(chunk.dtype), chunk.shape)


def seconds(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The median of `repeats` rounds, in which each has its turn; as many calls a round as take 5 ms."""
    calls = {}
    for name, run in runs.items():
        began = time.perf_counter()
        run()
        calls[name] = max(1, int(0.005 / max(1e-6, time.perf_counter() - began)))
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            for _ in range(calls[name]):
                run()
            taken[name].append((time.perf_counter() - began) / calls[name])
    return {name: statistics.median(found) for name, found in taken.items()}


def measure(name: str, nbytes: int, repeats: int) -> list[dict[str, Any]]:
    runs, size, stored = runs_of(name, nbytes)
    return [
        {"row": f"{name}, {what}", "nbytes": size, "stored": stored, "seconds": seconds(each, repeats)}
        for what, each in runs.items()
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("host_codecs", __doc__)
    parser.add_argument("--kib", type=int, default=MIB >> 10, help="size of a chunk (default 1024)")
    parser.add_argument("--codecs", default="", help="only those whose name begins with one of these (a,b)")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    numcodecs.blosc.use_threads = False
    chosen = [name for name in CASES if name.startswith(tuple(options.codecs.split(",")))]
    rows = [row for name in chosen for row in measure(name, options.kib << 10, options.repeats)]
    lines = [
        [row["row"], *(f"{s * 1e6:.0f}" for s in row["seconds"].values()), f"{timing.ratio(row):.2f}"] for row in rows
    ]
    print(timing.table(["microseconds", timing.OURS, PEER, "times as fast"], lines))
    slow = [f"{row['row']}: {timing.ratio(row):.2f} times as fast" for row in rows if timing.ratio(row) * MOST < 1]
    timing.finish("host_codecs", options, slow, rows=rows)


if __name__ == "__main__":
    main()
