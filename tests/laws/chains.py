"""Random arrays with random chains of codecs, and a plain model of what is read of them.

The laws: what is written on one device is read on each as NumPy and numcodecs have it, step by step; zarr-python reads
the same of the same store, where it knows all codecs; and where numbers do not fit, each device tells the same.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numcodecs
import numpy as np
import zarr
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.codecs import find
from tests.attack.rounds import tried
from tests.hardware import host_array
from tests.laws.cases import SMALL
from tests.laws.filters import Chunk, Filter, drawn

DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
DTYPES += ("float16", "float32", "float64", "complex64")
IN_V2 = {"delta", "fixedscaleoffset", "quantize", "bitround", "astype", "zstd", "gzip", "blosc", "zlib", "bz2", "lzma"}
IN_V2 |= {"lz4", "crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3", "shuffle", "base64"}
ZERO = str.maketrans("", "", "c/.0")  # deletes the key of the first chunk
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True)
class Coder:
    """A codec of bytes. `codec`: as documents have it; `peer`: numcodecs' codec; None: it has none."""

    codec: Any
    peer: Any = None
    in_zarr_python: bool = False


def numcodec(id: str, **configuration: Any) -> Coder:
    peer = numcodecs.get_codec({"id": id, **configuration})
    return Coder({"name": f"numcodecs.{id}", "configuration": configuration}, peer, True)


def blosc(cname: str, shuffle: str, typesize: int, blocksize: int) -> Coder:
    given = {"cname": cname, "clevel": 5, "shuffle": shuffle, "typesize": typesize, "blocksize": blocksize}
    return Coder(
        {"name": "blosc", "configuration": given}, numcodecs.Blosc(cname, 5, SHUFFLES[shuffle], blocksize), True
    )


def others() -> list[str]:
    """Names of the other codecs of bytes that have a row of the laws, and need no configuration."""
    found = {case.codec.names[0] for case in SMALL.values() if case.is_of_bytes and case.codec.names}
    named = {name.removeprefix("numcodecs.") for name in found} - set(IN_V2) - {"gpuzarr.n5_lz4"}
    return sorted(name for name in named if takes_nothing(name))


def takes_nothing(name: str) -> bool:
    try:
        find(name, {})
    except gpuzarr.GpuZarrError:
        return False
    return True


CODERS: dict[str, Callable[[Any], Coder]] = {  # each draws a codec of bytes
    "zstd": lambda draw: Coder(
        {"name": "zstd", "configuration": {"level": 1, "checksum": draw(st.booleans())}}, numcodecs.Zstd(1), True
    ),
    "gzip": lambda draw: Coder({"name": "gzip", "configuration": {"level": 1}}, numcodecs.GZip(1), True),
    "blosc": lambda draw: blosc(
        draw(st.sampled_from(["lz4", "lz4hc", "blosclz", "zstd", "zlib"])),
        *(draw(st.sampled_from(some)) for some in (list(SHUFFLES), [1, 2, 4, 8, 3], [0, 0, 256, 1024])),
    ),
    "crc32c": lambda draw: Coder({"name": "crc32c"}, numcodecs.CRC32C(), True),
    **{
        id: (lambda draw, id=id: numcodec(id))
        for id in ("zlib", "bz2", "lzma", "lz4", "crc32", "adler32", "fletcher32", "jenkins_lookup3")
    },
    "crc32 behind": lambda draw: numcodec("crc32", location="end"),
    "adler32 behind": lambda draw: numcodec("adler32", location="end"),
    "base64": lambda draw: Coder({"name": "numcodecs.base64", "configuration": {}}, numcodecs.Base64()),
    "n5_lz4": lambda draw: Coder({"name": "gpuzarr.n5_lz4", "configuration": {"block_bytes": 64}}),
    **{name: (lambda draw, name=name: Coder({"name": name, "configuration": {}})) for name in others()},
    "shuffle": lambda draw: numcodec("shuffle", elementsize=draw(st.sampled_from([1, 2, 4, 8]))),
}


@dataclass(frozen=True)
class Example:
    """An array: its document, the filters and coders of its chain, and values to write.

    `serializer`: makes bytes of a chunk; None where there is no model. `absent`: the first chunk is never written.
    """

    document: dict[str, Any]
    values: Chunk
    filters: tuple[Filter, ...]
    coders: tuple[Coder, ...]
    endian: str | None
    absent: bool

    def __repr__(self) -> str:
        return f"{json.dumps(self.document)}\nvalues={self.values.tolist()!r:.600} absent={self.absent}"

    @property
    def chunks(self) -> tuple[int, ...]:
        return tuple(self.document["chunk_grid"]["configuration"]["chunk_shape"])

    @property
    def in_zarr_python(self) -> bool:
        if any("numcodecs" in each.codec["name"] for each in self.filters) and self.endian != "little":
            return False
        return all(each.in_zarr_python for each in (*self.filters, *self.coders)) and self.endian is not None

    def store(self, zarr_format: int = 3) -> dict[str, bytes]:
        """A store with the document alone."""
        key, document = ("zarr.json", self.document) if zarr_format == 3 else (".zarray", self.in_v2())
        return {key: json.dumps(document).encode()}

    def in_v2(self) -> dict[str, Any] | None:
        """The same array as Zarr v2 has it; None where it cannot: no filter moves elements there."""
        steps = [each.codec for each in (*self.filters, *self.coders)]
        named = [step["name"].removeprefix("numcodecs.") for step in steps]
        if self.endian != "little" or ">" in str(steps) or not set(named) <= IN_V2:
            return None
        codecs = [{"id": name, **step.get("configuration", {})} for name, step in zip(named, steps, strict=True)]
        for codec in codecs:
            if codec["id"] == "blosc":
                codec["shuffle"] = SHUFFLES[codec["shuffle"]]
                del codec["typesize"]
        is_compressed = bool(self.coders)
        return {
            "zarr_format": 2,
            "shape": self.document["shape"],
            "chunks": list(self.chunks),
            "dtype": self.values.dtype.newbyteorder("<").str,
            "fill_value": self.document["fill_value"],
            "order": "C",
            "filters": codecs[: len(codecs) - is_compressed] or None,
            "compressor": codecs[-1] if is_compressed else None,
        }

    def stored(self, chunk: Chunk) -> Chunk:
        """One chunk after all filters."""
        with np.errstate(over="ignore", divide="ignore", invalid="raise"):
            return reduce(lambda made, each: each.encode(made), self.filters, chunk)

    def decoded(self, chunk: Chunk) -> Chunk:
        with np.errstate(over="ignore", divide="ignore", invalid="raise"):
            return reduce(lambda made, each: each.decode(made), reversed(self.filters), chunk)

    def expected(self) -> Chunk | None:
        """What is read; None where a conversion is not defined, or numcodecs refuses the numbers."""
        fill = self.document["fill_value"]
        fill = complex(*fill) if isinstance(fill, list) else fill
        grid = [-(-n // c) for n, c in zip(self.values.shape, self.chunks, strict=True)]
        padded = np.full([n * c for n, c in zip(grid, self.chunks, strict=True)], fill, self.values.dtype)
        padded[tuple(map(slice, self.values.shape))] = self.values
        try:
            for place in product(*map(range, grid)):
                box = tuple(slice(i * c, i * c + c) for i, c in zip(place, self.chunks, strict=True))
                is_absent = self.absent and not any(place)
                padded[box] = fill if is_absent else self.decoded(self.stored(padded[box]))
        except (FloatingPointError, OverflowError):
            return None
        return padded[tuple(map(slice, self.values.shape))]


def numbers(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> Chunk:
    """Values: mostly such as all conversions are defined for, seldom any bits at all."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    kind = draw(st.sampled_from(["smooth", "small", "zeros", "any"]))
    if kind == "any":
        return (
            np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape).copy()
            if (dtype.kind != "b")
            else rng.integers(0, 2, shape).astype(bool)
        )
    if kind == "zeros":
        return np.zeros(shape, dtype)
    made = np.cumsum(rng.integers(0, 3, shape), axis=-1) % 100 if kind == "smooth" else rng.integers(0, 60, shape)
    return (made / 8).astype(dtype) if dtype.kind in "fc" else made.astype(dtype)


@st.composite
def chains(draw: Any, most: int = 5) -> Example:
    """Arrays of 1 to 3 axes, with 0 to `most` filters and 0 to 3 codecs of bytes."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    ndim = draw(st.integers(1, 3))
    chunks = tuple(draw(st.lists(st.integers(1, 6), min_size=ndim, max_size=ndim)))
    if draw(st.integers(0, 5)) == 0:
        chunks = (*chunks[:-1], draw(st.sampled_from([129, 700, 2000, 9000])) // max(1, int(np.prod(chunks[:-1]))) + 1)
    shape = tuple(draw(st.integers(1, 3 * c)) for c in chunks)
    spec, filters = (chunks, dtype), []
    for _ in range(draw(st.integers(0, most))):
        filters.append(drawn(draw, *spec))
        spec = filters[-1].shape, filters[-1].dtype
    first, endian = serializer(draw, *spec)
    coders = [CODERS[draw(st.sampled_from(sorted(CODERS)))](draw) for _ in range(draw(st.integers(0, 3)))]
    if draw(st.integers(0, 4)) == 0 and not filters:
        inner, chunks, endian = chunks, tuple(c * draw(st.integers(1, 2)) for c in chunks), None
        given = {"chunk_shape": list(inner), "codecs": [first, *(coder.codec for coder in coders)]}
        given |= {"index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, "crc32c"]}
        given |= {"index_location": draw(st.sampled_from(["start", "end"]))}
        codecs = [{"name": "sharding_indexed", "configuration": given}]
    else:
        codecs = [*(each.codec for each in filters), first, *(coder.codec for coder in coders)]
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": fill_of(draw, dtype),
        "codecs": codecs,
    }
    return Example(document, numbers(draw, shape, dtype), tuple(filters), tuple(coders), endian, draw(st.booleans()))


def serializer(draw: Any, shape: tuple[int, ...], dtype: np.dtype) -> tuple[dict[str, Any], str | None]:
    """A codec that makes bytes of chunks without loss, and its byte order, if it is the codec `bytes`."""
    if draw(st.integers(0, 2)) == 0:
        fitting = [codec for codec, takes in serializers(draw, len(shape)) if dtype.name in takes]
        if fitting:
            return draw(st.sampled_from(fitting)), None
    endian = draw(st.sampled_from(["little", "big"]))
    return {"name": "bytes", "configuration": {"endian": endian}}, endian


def serializers(draw: Any, ndim: int) -> list[tuple[dict[str, Any], str]]:
    """Codecs, with the dtypes that each takes."""
    wide = "int16 uint16 int32 uint32 int64 uint64 float16 float32 float64"
    turned = {"name": "transpose", "configuration": {"order": list(range(ndim))[::-1]}}
    blocks = [turned, {"name": "bytes", "configuration": {"endian": "big"}}]
    inner = [[], [{"name": "gzip", "configuration": {"level": 1}}], [{"name": "numcodecs.zlib", "configuration": {}}]]
    padding = draw(st.sampled_from(["none", "first_byte", "last_byte"]))
    given: list[tuple[str, dict[str, Any], str]] = [
        ("packbits", {"padding_encoding": padding}, "bool int8 uint8 int16 int32 uint64"),
        ("numcodecs.pcodec", {"level": 1}, wide),
        ("zfp", {"mode": "reversible"}, "int32 int64 float32 float64"),
        ("n5_default", {"codecs": [*blocks, *draw(st.sampled_from(inner))]}, f"{wide} int8 uint8"),
    ]
    return [({"name": name, "configuration": configuration}, takes) for name, configuration, takes in given]


def fill_of(draw: Any, dtype: np.dtype) -> Any:
    number = draw(st.sampled_from([0, 0, 1, 5]))
    return bool(number) if dtype.kind == "b" else [float(number), 0.0] if dtype.kind == "c" else number


@dataclass(frozen=True)
class Outcome:
    """What came of a call: values, or the kind of error, its chunk and its codec."""

    values: Chunk | None
    error: str = ""
    chunk: tuple[int, ...] | None = None
    codec: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome) or (self.values is None) != (other.values is None):
            return False
        said = (self.error, self.chunk, self.codec) == (other.error, other.chunk, other.codec)
        return said and (self.values is None or same(self.values, other.values))


def same(one: Any, other: Any) -> bool:
    """Whether values are the same to the bit, but for which NaN a NaN is."""
    one, other = np.ascontiguousarray(one), np.ascontiguousarray(other)
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")) and bool(
        one.dtype.kind not in "f" or (np.signbit(one) == np.signbit(other))[one == 0].all()
    )


def outcome(call: Callable[[], Any]) -> Outcome:
    try:
        made = call()
    except gpuzarr.ChunkError as error:
        assert error.problem
        return Outcome(None, "ChunkError", error.chunk, error.codec)
    except gpuzarr.GpuZarrError as error:
        return Outcome(None, type(error).__name__)
    return Outcome(None) if made is None else Outcome(host_array(made))


def told(document: Any) -> str:
    return json.dumps(document)


def opened(store: Any, device: Any) -> gpuzarr.Array:
    return gpuzarr.open_array(store, mode="r+", device=device, config={"write_empty_chunks": True})


def written(example: Example, device: Any, zarr_format: int = 3) -> tuple[dict[str, bytes], Outcome]:
    """The store that a device makes of the values, whole chunks at once; and what came of that."""
    store = example.store(zarr_format)
    array = opened(store, device)

    def write() -> None:
        array[...] = example.values
        if example.absent:
            array.store.delete([key for key in store if key.translate(ZERO) == "" and "0" in key])

    return store, outcome(write)


def read_everywhere(store: Any, devices: Any, selection: Any, **cast: Any) -> Outcome:
    """What each device reads of a store, which is the same. `cast`: see `Array.get`."""
    found = {
        device.name: outcome(lambda device=device: opened(store, device).get(selection, **cast)) for device in devices
    }
    first, *others = found.values()
    assert all(first == other for other in others), found
    return first


def read_by_zarr_python(store: dict[str, bytes]) -> Chunk | None:
    """What zarr-python reads; None where it refuses the chain: numcodecs' filters get elements of 1 byte from it in no
    byte order."""
    objects = {key: zarr.core.buffer.cpu.Buffer.from_bytes(data) for key, data in store.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found: Chunk = zarr.open_array(zarr.storage.MemoryStore(objects), mode="r")[...]
        except (ValueError, TypeError):
            tried("chains that zarr-python refuses")
            return None
    return found


def selections(draw: Any, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Slices with steps, backwards too."""
    made = []
    for n in shape:
        first, step = draw(st.integers(0, n - 1)), draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        made.append(slice(first, None if draw(st.booleans()) else draw(st.integers(0, n)), step))
    return tuple(made)
