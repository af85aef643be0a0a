"""pickle: Python objects as pickles, which can run arbitrary code when they are read. Source: numcodecs.

Reading is refused unless the caller allows it, by `ALLOW`, for the data at hand.
"""

from __future__ import annotations

import pickle as _pickle
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu.chunkwise import each, pack, stacked
from gpuzarr.cpu.objects import flat, of_documents
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, UnsupportedError

ALLOW: ContextVar[bool] = ContextVar("gpuzarr.codecs.pickle.ALLOW", default=False)


@dataclass(frozen=True)
class Pickle:
    names = ("numcodecs.pickle", "pickle")
    ids = ("pickle",)
    kind: ClassVar[Kind] = "array->bytes"

    protocol: int = 5

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return of_documents(spec)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no Python objects"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        if not ALLOW.get():
            raise UnsupportedError("codec 'pickle' runs code in the data; it is read only where that is allowed")

        def fill(chunk: np.ndarray, target: np.ndarray) -> None:
            elements = _pickle.loads(chunk.tobytes())
            if not isinstance(elements, np.ndarray) or elements.size != np.prod(spec.shape):
                raise CodecError(f"the pickle is no array of {spec.shape}")
            target.reshape(-1)[...] = elements.reshape(-1)

        return stacked("pickle", chunks, spec, fill)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        def encode(chunk: np.ndarray) -> bytes:
            return _pickle.dumps(chunk.reshape(spec.shape), self.protocol)

        return pack(each("pickle", flat(chunks), encode), device)


CODEC = Pickle
