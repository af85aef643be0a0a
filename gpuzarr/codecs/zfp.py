"""zfp and zfpy: floats and integers in blocks of 4 along each axis, lossy or lossless. Needs the package zfpy.

Source: Zarr extension `zfp` (no header in the chunk); numcodecs `zfpy` (with zfp's header); zfp 1.0.
Elements that zfp does not take are promoted as in zarrs: 8 and 16 bits to the upper bits of int32 (zfp's utility
functions); uint32 and uint64 to the signed types, which hold their lower half; times to int64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import ElementsDecoder, ElementsEncoder
from gpuzarr.cpu import zfp_library
from gpuzarr.cpu.chunkwise import each, pack, stacked
from gpuzarr.cpu.elements import rows
from gpuzarr.cpu.packages import missing
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError

_WORD = 8  # bytes; zfp writes whole words
_HEADER_BYTES = 24  # of the longest header, in whole words
_PARAMETERS = {
    "reversible": (),
    "fixed_accuracy": ("tolerance",),
    "fixed_rate": ("rate",),
    "fixed_precision": ("precision",),
    "expert": ("minbits", "maxbits", "maxprec", "minexp"),
}
_HEADER_MODES = {
    "tolerance": "fixed_accuracy",
    "rate": "fixed_rate",
    "precision": "fixed_precision",
    "reversible": "reversible",
    "expert": "expert",  # also what is written with a tolerance of 0
}
_LEAST_BITS = {"int32": 1, "int64": 1, "float32": 9, "float64": 12}  # of a block, at least: zfp raises lower rates
_SHIFTS = {
    "int8": (23, 0),
    "uint8": (23, 0x80),
    "int16": (15, 0),
    "uint16": (15, 0x8000),
}  # bits, and the value that becomes 0
_MODES = {2: "fixed_rate", 3: "fixed_precision", 4: "fixed_accuracy"}  # numbers of zfp's modes in numcodecs
ModeOf = Callable[[np.ndarray, ChunkSpec], tuple[str, dict[str, Any], ChunkSpec]]


@dataclass(frozen=True)
class Zfp:
    names = ("zfp", "zarrs.zfp")
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"

    mode: str
    tolerance: float | None = None
    rate: float | None = None
    precision: int | None = None
    minbits: int | None = None
    maxbits: int | None = None
    maxprec: int | None = None
    minexp: int | None = None

    def __post_init__(self) -> None:
        wanted = _PARAMETERS.get(self.mode)
        if wanted is None:
            raise MetadataError(f"codec 'zfp': mode must be one of {list(_PARAMETERS)}, not {self.mode!r}")
        for name in wanted:
            if not isinstance(getattr(self, name), int | float):
                raise MetadataError(f"codec 'zfp': mode {self.mode!r} needs the number {name!r}")
        if self.mode == "expert":
            raise UnsupportedError("codec 'zfp': mode 'expert' is not in the package zfpy")

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return _encoded(spec, "zfp")

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "zfp has no GPU decoder"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("zfp", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        mode, options = self.mode, self._parameters()
        return _decoder(spec, lambda _, of: (mode, options, of), header=False)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return _compressed("zfp", chunks, device, self.elements_encoder(spec))

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        return _encoder("zfp", spec, write_header=False, **self._parameters())

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _PARAMETERS[self.mode]}


@dataclass(frozen=True)
class Zfpy:
    """The fields are used for writing only; `compression_kwargs` repeats one of the others."""

    names = ("numcodecs.zfpy", "zfpy")
    ids = ("zfpy",)
    kind: ClassVar[Kind] = "array->bytes"

    mode: int = 4
    tolerance: float = -1
    rate: float = -1
    precision: int = -1
    compression_kwargs: Any = None

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise MetadataError(f"codec 'zfpy': mode must be one of {list(_MODES)}, not {self.mode!r}")
        if isinstance(self.compression_kwargs, dict):
            object.__setattr__(self, "compression_kwargs", None)

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return _encoded(spec, "zfpy")

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "zfp has no GPU decoder"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("zfpy", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        return _decoder(spec, _header, header=True)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return _compressed("zfpy", chunks, device, self.elements_encoder(spec))

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        name = _PARAMETERS[_MODES[self.mode]][0]
        return _encoder("zfpy", spec, write_header=True, **{name: getattr(self, name)})


def _encoded(spec: ChunkSpec, codec: str) -> BytesSpec:
    """The spec of encoded chunks. MetadataError where zfp does not take these elements."""
    if spec.dtype.kind not in "mM" and spec.dtype.name not in (*_LEAST_BITS, *_SHIFTS, "uint32", "uint64"):
        raise MetadataError(f"codec {codec!r} takes integers, float32 and float64, not {spec.dtype}")
    if len(spec.shape) > 4:
        raise MetadataError(f"codec {codec!r} takes up to 4 axes, not {len(spec.shape)}")
    return BytesSpec(_max_bytes(_promoted(spec))).compressed()


def _promoted(spec: ChunkSpec) -> ChunkSpec:
    """The spec of a chunk after its elements are promoted to a dtype of zfp."""
    if spec.dtype.name in _LEAST_BITS:
        return spec
    return ChunkSpec(spec.shape, np.dtype(np.int32 if spec.dtype.itemsize <= 4 else np.int64))


def _demoted(batch: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert decoded elements back to `dtype`; values that lossy compression put out of range are clipped."""
    if dtype.kind in "mM":
        return batch.view(dtype)
    if dtype.name in _SHIFTS:
        shift, middle = _SHIFTS[dtype.name]
        return ((batch >> shift) + middle).astype(dtype)
    return np.maximum(batch, 0).astype(dtype) if dtype.kind == "u" else batch


def _raised(batch: np.ndarray) -> np.ndarray:
    """Promote elements to a dtype of zfp. CodecError for integers above its range."""
    dtype = batch.dtype
    if dtype.kind in "mM":
        return batch.view(np.int64)
    if dtype.name in _SHIFTS:
        shift, middle = _SHIFTS[dtype.name]
        return (batch.astype(np.int32) - middle) << shift
    if dtype.kind != "u":
        return batch
    signed = np.dtype(f"i{dtype.itemsize}")
    if batch.size and batch.max() > np.iinfo(signed).max:
        raise CodecError(f"{batch.max()} is more than the {np.iinfo(signed).max} that zfp has")
    return batch.astype(signed)


def _decoder(spec: ChunkSpec, mode_of: ModeOf, header: bool) -> ElementsDecoder:
    """Make a decoder of chunks, with or without a header.

    `mode_of(chunk, spec)`: the mode of a chunk, the mode's parameter, and the spec of the encoded elements.
    """
    _library()
    of = _promoted(spec)
    shape, is_promoted = of.shape or (1,), of.dtype != spec.dtype
    room = np.empty(0, np.uint8)

    def fill(chunk: np.ndarray, target: np.ndarray) -> None:
        nonlocal room  # of the last chunk, used again
        elements = np.empty(shape, of.dtype) if is_promoted else target.reshape(shape)
        mode, options, encoded = mode_of(chunk, of)
        needed = len(chunk) + _max_bytes(encoded) + options.get("minbits", 0) * _blocks(encoded) // 8
        if len(room) < needed:
            room = np.empty(needed, np.uint8)
        _decode(chunk, elements, encoded, mode, options, header, room[:needed])
        if is_promoted:
            target[...] = _demoted(elements, spec.dtype).reshape(spec.shape)

    return fill


def _header(chunk: np.ndarray, spec: ChunkSpec) -> tuple[str, dict[str, Any], ChunkSpec]:
    """The mode in a chunk's header, its parameter, and the spec of the encoded elements.

    CodecError, before anything is decoded, if the header does not fit `spec`. Its shape may be another one of as many
    elements, which numcodecs accepts too. Such a chunk is divided into other blocks, and zfp may read up to 26 times
    as much of it.
    """
    if len(chunk) < 2 * _WORD:
        raise CodecError("the chunk is too short for a zfp header")
    header = _library().header(chunk[:_HEADER_BYTES].tobytes() + bytes(2 * _WORD))
    sizes = [int(header[axis]) for axis in ("nw", "nz", "ny", "nx")]
    of = ChunkSpec(tuple(size for size in sizes if size), spec.dtype)
    if prod(of.shape) != max(prod(spec.shape), 1) or np.dtype(header["type"]) != spec.dtype:
        raise CodecError(f"the zfp header declares {dict(header)}, expected {spec.dtype} of shape {spec.shape}")
    mode = _HEADER_MODES.get(header["mode"])
    if mode is None:
        raise UnsupportedError(f"codec 'zfpy': a chunk of mode {header['mode']!r}")
    config = header["config"]["expert"] if mode == "expert" else header["config"]
    return mode, {name: config[name] for name in _PARAMETERS[mode]}, of


def _decode(
    chunk: np.ndarray,
    target: np.ndarray,
    spec: ChunkSpec,
    mode: str,
    options: dict[str, Any],
    header: bool,
    room: np.ndarray,
) -> None:
    """Decode a chunk of elements of `spec` to exactly `target`. CodecError if it is cut short, or something follows it.

    libzfp may read beyond its input, but tells how much it has read. So the chunk is copied to `room`, which is longer
    by as much as it may read.
    """
    size = len(chunk)
    if size % _WORD:
        raise CodecError(f"a zfp chunk of {size} bytes, expected a multiple of {_WORD}")
    bits = _header_bits(chunk) if header else 0
    if mode == "fixed_rate" and size != _rate_size(spec, options["rate"], bits):
        raise CodecError(f"{size} bytes are not a zfp chunk of rate {options['rate']}")
    zfp = zfp_library.library() if target.size else None
    if zfp is None and mode == "expert":
        raise UnsupportedError("codec 'zfpy': a chunk of mode 'expert', and the functions of libzfp cannot be called")
    if zfp is None:
        target[...] = _whole(chunk.tobytes(), spec, mode, options, header).reshape(target.shape)
        return
    room[:size] = chunk
    read = zfp_library.decode(zfp, room, target, None if header else mode, options)
    if read > size:
        raise CodecError("the zfp stream is cut short")
    if read < size:
        raise CodecError(f"{size - read} bytes follow the zfp stream")


def _whole(data: bytes, spec: ChunkSpec, mode: str, options: dict[str, Any], header: bool) -> np.ndarray:
    """Decode a chunk by zfpy, which does not tell how much it has read, and check that it is complete.

    If other padding gives other elements, the chunk is cut short. Trailing bytes are found by its size where the mode
    fixes that, else by encoding the elements again. A chunk that this reproduces needs no more checks.
    """
    library, padding = _library(), _max_bytes(spec)

    def decode(padded: bytes) -> np.ndarray:
        if header:
            return library.decompress_numpy(padded)
        return library._decompress(padded, library.dtype_to_ztype(spec.dtype), spec.shape or (1,), None, **options)

    made = decode(data + bytes(padding))
    if mode != "fixed_rate" and library.compress_numpy(made, write_header=header, **options) == data:
        return made  # exactly the chunk of these elements
    if not _same(made, decode(data + b"\xff" * padding)):
        raise CodecError("the zfp stream is cut short")
    if mode != "fixed_rate":
        size = len(library.compress_numpy(made, write_header=header, **options))
        cut, word = data[:-_WORD], bytes(_WORD)
        needless = _same(decode(cut + word + bytes(padding)), decode(cut + b"\xff" * (_WORD + padding)))
        if len(data) > size and (needless or mode == "reversible"):
            raise CodecError(f"{len(data) - size} bytes follow the zfp stream")
    return made


def _header_bits(chunk: np.ndarray) -> int:
    """Bits of zfp's header: 84, then the mode, which has 12 bits if not all are set, else 64."""
    return 96 if int.from_bytes(chunk[:12].tobytes(), "little") >> 84 != 0xFFF else 148


def _rate_size(spec: ChunkSpec, rate: float, header: int) -> int:
    """Bytes of a chunk of fixed rate, with a header of `header` bits."""
    axes = max(len(spec.shape), 1)
    bits = max(int(4**axes * rate + 0.5), _LEAST_BITS[spec.dtype.name]) * _blocks(spec)
    return -(-(bits + header) // 64) * _WORD


def _blocks(spec: ChunkSpec) -> int:
    return prod(-(-size // 4) for size in spec.shape)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()


def _max_bytes(spec: ChunkSpec) -> int:
    """Bytes that hold any chunk of this spec: the most that zfp reads."""
    return _blocks(spec) * (4 ** max(len(spec.shape), 1) * (spec.dtype.itemsize + 1) + 4 * _WORD) + 4 * _WORD


def _encoder(name: str, spec: ChunkSpec, **options: Any) -> ElementsEncoder:
    compress, shape = _library().compress_numpy, spec.shape or (1,)
    if options.get("rate", 64) * 4 ** max(len(spec.shape), 1) < _LEAST_BITS[_promoted(spec).dtype.name]:
        raise MetadataError(f"codec {name!r}: rate {options['rate']} is too low for {spec.dtype}")
    return lambda chunk: compress(_raised(chunk.reshape(shape)), **options)


def _compressed(name: str, chunks: Any, device: Device, encode: ElementsEncoder) -> EncodedBatch:
    return pack(each(name, np.ascontiguousarray(rows(chunks)), encode), device)


def _library() -> Any:
    try:
        import zfpy
    except ImportError as error:
        raise missing("zfp", "zfpy") from error
    return zfpy


CODECS = (Zfp, Zfpy)
