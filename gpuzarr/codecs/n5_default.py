"""n5_default: N5 blocks in their default mode. Source: Zarr extension `n5_default`; N5 4.0.

A block is its mode (uint16), the number of its axes (uint16) and their sizes (uint32 each), all big-endian, then its
elements by a chain of `transpose`, `bytes` and maybe a compressor. Blocks at the end of an array may be cut to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Codec, Kind, parse
from gpuzarr.cpu.chunkwise import each, pack
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError


@dataclass(frozen=True)
class N5Default:
    names = ("n5_default",)
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"

    codecs: tuple[Codec, ...]

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> N5Default:
        if set(configuration) != {"codecs"}:
            raise MetadataError(f"codec 'n5_default' takes codecs, not {sorted(configuration)}")
        return cls(parse(configuration["codecs"]))

    def __post_init__(self) -> None:
        names = [codec.names[0] for codec in self.codecs]
        if names[:2] != ["transpose", "bytes"] or len(names) > 3 or self.codecs[-1].kind == "array->array":
            raise MetadataError(f"codec 'n5_default' takes transpose, bytes and at most one more codec, not {names}")
        if getattr(self.codecs[1], "endian", None) == "little":
            raise MetadataError("codec 'n5_default': N5 blocks are big-endian")

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        """A block has at most the size of the chunk."""
        specs = self._specs(spec)
        body: BytesSpec = self.codecs[-1].encoded(specs[-1])
        return BytesSpec(None, None if body.bound is None else 4 + 4 * len(spec.shape) + body.bound, body.allowed)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "n5_default is not written for the GPU"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        blocks = each("n5_default", chunks, lambda chunk: self._decode(chunk, spec, device))
        batch = np.full((len(chunks), *spec.shape), 0 if spec.fill_value is None else spec.fill_value, spec.dtype)
        for i, block in enumerate(blocks):
            batch[i][tuple(map(slice, block.shape))] = block
        return batch

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        specs, made = self._specs(spec), chunks
        for codec, each_spec in zip(self.codecs, specs, strict=True):
            made = codec.encode(made, each_spec, device)
        header = struct.pack(f">HH{len(spec.shape)}I", 0, len(spec.shape), *spec.shape)
        return pack([header + made[i].tobytes() for i in range(len(chunks))], device)

    def _specs(self, spec: ChunkSpec) -> list[Any]:
        """The specs on the decoded side of the inner codecs."""
        specs: list[Any] = [spec]
        for codec in self.codecs:
            specs.append(codec.encoded(specs[-1]))
        return specs[:-1]

    def _decode(self, chunk: np.ndarray, spec: ChunkSpec, device: Device) -> np.ndarray:
        """Decode one block, of the shape that its header declares."""
        ndim = len(spec.shape)
        length = 4 + 4 * ndim
        if len(chunk) < length:
            raise CodecError(f"a block of {len(chunk)} bytes is shorter than its header")
        mode, found, *shape = struct.unpack(f">HH{ndim}I", chunk[:length].tobytes())
        if mode != 0 or found != ndim:
            raise CodecError(f"a block of mode {mode} with {found} axes, expected mode 0 with {ndim}")
        if any(size > whole for size, whole in zip(shape, spec.shape, strict=True)):
            raise CodecError(f"a block of shape {tuple(shape)} is larger than a chunk, which has {spec.shape}")
        body = np.ascontiguousarray(chunk[length:])
        made: Any = EncodedBatch(body, np.zeros(1, np.int64), np.array([len(body)], np.int64))
        specs = self._specs(ChunkSpec(tuple(shape), spec.dtype, spec.fill_value))
        for codec, each_spec in zip(reversed(self.codecs), reversed(specs), strict=True):
            made = codec.decode(made, each_spec, device)
        return np.asarray(made[0])


CODEC = N5Default
