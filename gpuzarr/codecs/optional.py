"""optional: a mask of the present elements, and the values of these alone. Experimental in zarrs.

Source: https://codec.zarrs.dev/array_to_bytes/optional. A chunk is: the sizes of mask and data in bytes, each
a little-endian uint64; the mask, a bool array of the chunk's shape through `mask_codecs`; the data, a 1-d array of the
present values, in C order, through `data_codecs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from gpuzarr import codecs
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.checks import known, required
from gpuzarr.codecs import Codec, Kind
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.objects import zeros
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError

_HEADER = 16  # bytes


@dataclass(frozen=True)
class Optional:
    """Elements are records of a bool `valid` and a `value`, see `dtypes.DataType`; missing values are zero."""

    names: ClassVar[tuple[str, ...]] = ("optional", "zarrs.optional")
    ids: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[Kind] = "array->bytes"

    mask_codecs: tuple[Codec, ...]
    data_codecs: tuple[Codec, ...]

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> Optional:
        known(configuration, "configuration", ("mask_codecs", "data_codecs"))
        return cls(
            codecs.parse(required(configuration, "mask_codecs")), codecs.parse(required(configuration, "data_codecs"))
        )

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        if spec.dtype.names != ("valid", "value"):
            raise MetadataError(f"codec 'optional' takes elements of data type 'optional', not {spec.dtype}")
        mask = _specs(self.mask_codecs, ChunkSpec(spec.shape, np.dtype(bool)))[-1].bound
        values = ChunkSpec((prod(spec.shape),), spec.dtype["value"], None, spec.allowed)
        data = _specs(self.data_codecs, values)[-1]
        at_most = None if mask is None or data.bound is None else _HEADER + mask + data.bound
        return BytesSpec(None, at_most, data.allowed)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "optional is not written for the GPU"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        result = zeros((len(chunks), *spec.shape), spec.dtype)
        for i in range(len(chunks)):
            try:
                self._decode_one(np.asarray(chunks.on_host(i)), result[i], device, spec.allowed)
            except UnsupportedError:
                raise
            except (CodecError, MetadataError) as error:
                raise CodecError(str(error), i) from error
        return result

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        pieces = [self._encode_one(chunk, device) for chunk in chunks]
        encoded_batch = device.encoded_batch(np.array([len(piece) for piece in pieces], np.int64))
        for i, piece in enumerate(pieces):
            encoded_batch.on_host(i)[:] = np.frombuffer(piece, np.uint8)
        return encoded_batch

    def _decode_one(self, raw: np.ndarray[Any, Any], out: np.ndarray[Any, Any], device: Device, allowed: int) -> None:
        if raw.size < _HEADER:
            raise CodecError(f"{raw.size} bytes are too few for the header")
        mask_size, data_size = (int(size) for size in np.frombuffer(raw[:_HEADER].tobytes(), "<u8"))
        if _HEADER + mask_size + data_size != raw.size:
            raise CodecError(f"mask of {mask_size} and data of {data_size} bytes in a chunk of {raw.size}")
        mask, data = raw[_HEADER : _HEADER + mask_size], raw[_HEADER + mask_size :]
        out["valid"] = _decoded(self.mask_codecs, mask, ChunkSpec(out.shape, np.dtype(bool)), device)
        count = int(np.count_nonzero(out["valid"]))
        if count == 0 and data_size:
            raise CodecError(f"{data_size} bytes of data, but no element is present")
        if count:
            spec = ChunkSpec((count,), out.dtype["value"], None, allowed)
            out["value"][out["valid"]] = _decoded(self.data_codecs, data, spec, device)

    def _encode_one(self, chunk: np.ndarray[Any, Any], device: Device) -> bytes:
        valid = np.ascontiguousarray(chunk["valid"])
        mask = _encoded(self.mask_codecs, valid, device)
        data = _encoded(self.data_codecs, chunk["value"][valid], device) if valid.any() else b""
        return np.array([len(mask), len(data)], "<u8").tobytes() + mask + data


def _specs(chain: Sequence[Codec], spec: Any) -> list[Any]:
    """The spec in front of each codec of the chain, and after the last."""
    specs = [spec]
    for codec in chain:
        if (codec.kind == "bytes->bytes") != isinstance(specs[-1], BytesSpec):
            raise MetadataError(f"codec {codec.names[0]!r} of 'optional' stands in a wrong place")
        specs.append(codec.encoded(specs[-1]))
    if not isinstance(specs[-1], BytesSpec):
        raise MetadataError("the codecs of 'optional' make no bytes")
    return specs


def _decoded(chain: Sequence[Codec], raw: np.ndarray[Any, Any], spec: ChunkSpec, device: Device) -> Any:
    """Decode one chunk by a chain."""
    specs = _specs(chain, spec)
    batch: Any = EncodedBatch(np.ascontiguousarray(raw), np.zeros(1, np.int64), np.array([raw.size], np.int64))
    for codec, before in zip(reversed(chain), reversed(specs[:-1]), strict=True):
        batch = codec.decode(batch, before, device)
    return batch[0]


def _encoded(chain: Sequence[Codec], chunk: np.ndarray[Any, Any], device: Device) -> bytes:
    """Encode one chunk by a chain."""
    batch: Any = chunk[None]
    for codec, before in zip(chain, _specs(chain, ChunkSpec(chunk.shape, chunk.dtype)), strict=False):
        batch = codec.encode(batch, before, device)
    return bytes(batch.on_host(0))


CODEC = Optional
