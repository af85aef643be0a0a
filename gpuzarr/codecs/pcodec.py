"""pcodec: numbers by their distribution. Source: numcodecs; pco. Needs the package pcodec."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, Slab
from gpuzarr.chunkwise import blamed, each, pack
from gpuzarr.codecs import Kind
from gpuzarr.devices import Device
from gpuzarr.elements import rows
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError

_TAKES = ("uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32", "uint64", "int64", "float64")


@dataclass(frozen=True)
class PCodec:
    """Only writing asks for the fields."""

    names = ("numcodecs.pcodec", "pcodec")
    ids = ("pcodec",)
    kind: ClassVar[Kind] = "array->bytes"

    level: int = 8
    mode_spec: str = "auto"
    delta_spec: str = "auto"
    paging_spec: str = "equal_pages_up_to"
    delta_encoding_order: int | None = None
    equal_pages_up_to: int = 1 << 18

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        if spec.dtype.name not in _TAKES:
            raise MetadataError(f"codec 'pcodec' does not take {spec.dtype}")
        return BytesSpec(None)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "pcodec has no GPU decoder"

    def decode(self, chunks: Slab, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        _library()
        from pcodec.standalone import simple_decompress_into

        out, i = np.empty((len(chunks), prod(spec.shape)), spec.dtype), 0
        try:
            for i in range(len(chunks)):
                progress = simple_decompress_into(chunks[i].tobytes(), out[i])
                if progress.n_processed != out.shape[1] or not progress.finished:
                    raise CodecError(f"not {out.shape[1]} elements")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise blamed("pcodec", CodecError(str(error)), i) from error
        return out.reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Slab:
        _library()
        from numcodecs.pcodec import PCodec as library

        codec = library(
            self.level,
            mode_spec=self.mode_spec,
            delta_spec=self.delta_spec,
            paging_spec=self.paging_spec,
            delta_encoding_order=self.delta_encoding_order,
            equal_pages_up_to=self.equal_pages_up_to,
        )
        return pack(each("pcodec", np.ascontiguousarray(rows(chunks)), codec.encode), device)


def _library() -> Any:
    try:
        import pcodec
    except ImportError as error:
        raise UnsupportedError("codec 'pcodec' needs the package pcodec: pip install pcodec") from error
    return pcodec


CODEC = PCodec
