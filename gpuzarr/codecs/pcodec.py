"""pcodec: lossless compression of numbers by their distribution. Source: numcodecs; pco. Needs the package pcodec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import ElementsDecoder, ElementsEncoder
from gpuzarr.cpu import pco_library
from gpuzarr.cpu.chunkwise import each, pack, stacked
from gpuzarr.cpu.elements import part, rows
from gpuzarr.cpu.packages import missing
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError

_TAKES = ("uint16", "int16", "float16", "uint32", "int32", "float32", "uint64", "int64", "float64")


@dataclass(frozen=True)
class PCodec:
    """The fields are used for writing only."""

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
        _numbers(spec.dtype)
        return BytesSpec(spec.nbytes).compressed()

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "pcodec has no GPU decoder"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("pcodec", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        _library()
        of = _numbers(spec.dtype)[0]
        return lambda chunk, target: _decode(chunk, target.reshape(-1).view(of))

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return pack(each("pcodec", np.ascontiguousarray(rows(chunks)), self.elements_encoder(spec)), device)

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
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
        of = _numbers(spec.dtype)[0]
        return lambda chunk: codec.encode(chunk.reshape(-1).view(of))


def _numbers(dtype: np.dtype) -> tuple[np.dtype, int]:
    """The dtype that pco compresses, and how many an element has: two floats of a complex number, int64 of a time."""
    of, parts = part(dtype)
    of = np.dtype(np.int64) if of.kind in "mM" else of
    if of.name not in _TAKES:
        raise MetadataError(f"codec 'pcodec' does not take {dtype}")
    return of, parts


def _decode(chunk: np.ndarray, out: np.ndarray) -> None:
    """Decode to exactly `out`. CodecError if the data are damaged, or something follows them.

    pcodec's function for whole files ignores trailing bytes: there are some if the data decode without the last byte.
    """
    if pco_library.decode_exactly(chunk, out):
        return
    data = chunk.tobytes()
    if not _filled(data, out):
        raise CodecError(f"not {len(out)} elements")
    try:
        needless = _filled(data[:-1], np.empty_like(out))
    except CodecError:
        needless = False
    if needless:
        raise CodecError("something follows the data")


def _filled(data: bytes, out: np.ndarray) -> bool:
    """Decode `data` to `out`; whether it has as many elements. CodecError for bad bytes."""
    from pcodec.standalone import simple_decompress_into

    try:
        progress = simple_decompress_into(data, out)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # a panic of pco is no Exception
        raise CodecError(str(error)) from error
    return bool(progress.n_processed == len(out) and progress.finished)


def _library() -> Any:
    try:
        import pcodec
    except ImportError as error:
        raise missing("pcodec", "pcodec") from error
    return pcodec


CODEC = PCodec
