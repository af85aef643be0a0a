"""msgpack2: Python objects as MessagePack. Source: numcodecs. Needs the package msgpack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import ElementsDecoder, ElementsEncoder
from gpuzarr.cpu.chunkwise import each, pack, stacked
from gpuzarr.cpu.objects import document, flat, of_documents, row
from gpuzarr.cpu.packages import missing
from gpuzarr.devices.contract import Device


@dataclass(frozen=True)
class MsgPack2:
    names = ("numcodecs.msgpack2", "msgpack2")
    ids = ("msgpack2",)
    kind: ClassVar[Kind] = "array->bytes"

    use_single_float: bool = False
    use_bin_type: bool = True
    raw: bool = False

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return of_documents(spec)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no Python objects"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("msgpack2", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        unpackb = _library().unpackb

        def fill(chunk: np.ndarray, target: np.ndarray) -> None:
            target.reshape(-1)[...] = row(unpackb(chunk.tobytes(), raw=self.raw), spec)

        return fill

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return pack(each("msgpack2", flat(chunks), self.elements_encoder(spec)), device)

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        packb = _library().packb

        def encode(chunk: np.ndarray) -> Any:
            made = document(chunk, spec.shape)
            return packb(made, use_bin_type=self.use_bin_type, use_single_float=self.use_single_float)

        return encode


def _library() -> Any:
    try:
        import msgpack
    except ImportError as error:
        raise missing("msgpack2", "msgpack") from error
    return msgpack


CODEC = MsgPack2
