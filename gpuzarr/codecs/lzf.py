"""imagecodecs_lzf: LZF, also as HDF5's filter 32000 (h5py's "lzf") stores it. Source: imagecodecs; `formats/lzf.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.cpu.functions import LZF_DECODE, LZF_ENCODE, Call, Function
from gpuzarr.cpu.native_codec import NativeCodec, OwnedCall
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats import lzf

_HEADER = 4  # bytes of the decoded size before a stream, little-endian


@dataclass(frozen=True)
class Lzf:
    """`header`: whether the decoded size (4 bytes) is stored before each stream. In HDF5 it is not."""

    names = (lzf.NAME, f"numcodecs.{lzf.NAME}")
    ids = (lzf.NAME,)
    kind: ClassVar[Kind] = "bytes->bytes"

    header: bool = True

    def __post_init__(self) -> None:
        if type(self.header) is not bool:
            raise MetadataError(f"codec {lzf.NAME!r}: header must be true or false, not {self.header!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        """Other encoders may spend a token on each byte."""
        return spec.resized(lambda nbytes: 2 * nbytes + _HEADER).compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return "lzf has no GPU decoder"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return self._on_cpu.decode(chunks, spec, device, into)

    def chunk_decoder(self) -> AddressDecoder | None:
        return self._on_cpu.chunk_decoder()

    def decode_function(self) -> Function | None:
        return self._on_cpu.decode_function()

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return self._on_cpu.encode(chunks, device)

    def chunk_encoder(self) -> Encoder | None:
        return self._on_cpu.encoder()

    @property
    def _on_cpu(self) -> NativeCodec:
        header_bytes = self._header_bytes
        return NativeCodec(
            "lzf",
            lambda: OwnedCall(Call(kind=LZF_DECODE, exact=1, element=header_bytes)),
            lambda: OwnedCall(Call(kind=LZF_ENCODE, element=header_bytes)),
            lambda nbytes: nbytes + nbytes // 32 + 1 + header_bytes,
            self._declared,
            self._fill,
            self._encoded,
        )

    @property
    def _header_bytes(self) -> int:
        return _HEADER if self.header else 0

    def _declared(self, chunk: np.ndarray) -> int:
        if not self.header:
            return lzf.decoded_size(chunk.tobytes())
        if len(chunk) < _HEADER:
            raise CodecError(f"a chunk of {len(chunk)} bytes is too short for its header")
        return int.from_bytes(chunk[:_HEADER].tobytes(), "little")

    def _encoded(self, chunk: np.ndarray) -> bytes:
        header = len(chunk).to_bytes(_HEADER, "little") if self.header else b""
        return header + lzf.encoded(chunk)

    def _fill(self, chunk: np.ndarray, target: np.ndarray) -> None:
        if self.header and (declared := self._declared(chunk)) != len(target):
            raise CodecError(f"the header declares {declared} bytes, expected {len(target)}")
        target[:] = np.frombuffer(lzf.decoded(chunk[self._header_bytes :].tobytes(), len(target)), np.uint8)


CODEC = Lzf
