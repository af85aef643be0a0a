"""astype: elements converted to another dtype, as NumPy converts. Source: numcodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import Direction
from gpuzarr.codecs.element_wise import why_host
from gpuzarr.cpu.chunkwise import blamed
from gpuzarr.cpu.elements import cast_fill, converted, native, numpy_dtype, reinterpreted, viewed
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import Program, runs_on
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class AsType:
    """`encode_dtype`: of the stored elements, with byte order. `decode_dtype`: of decoded ones (None: the array's)."""

    names = ("numcodecs.astype", "astype")
    ids = ("astype",)
    kind: ClassVar[Kind] = "array->array"

    encode_dtype: np.dtype
    decode_dtype: np.dtype | None = None

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> AsType:
        given = {key: text for key, text in configuration.items() if text is not None}
        return cls(**{key: numpy_dtype(text, "astype") for key, text in given.items()})

    from_v2 = from_v3

    def __post_init__(self) -> None:
        if self.encode_dtype.hasobject or (self.decode_dtype is not None and self.decode_dtype.hasobject):
            raise MetadataError("codec 'astype' does not take Python objects")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        elements = self._elements(spec)
        stored = self.encode_dtype.newbyteorder("=")
        return ChunkSpec(elements.shape, stored, cast_fill(elements.fill_value, stored))

    def why_host(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "decode")

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "encode")

    def program(self, spec: ChunkSpec, direction: Direction) -> Program | None:
        stored = self.encode_dtype.newbyteorder("=")
        if not (runs_on(spec.dtype) and runs_on(stored) and self._elements(spec).dtype == spec.dtype):
            return None
        before, after = (stored, spec.dtype) if direction == "decode" else (spec.dtype, stored)
        return Program.of(before).converted(after)

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "decode"))
        return viewed(_cast(native(chunks), self._elements(spec).dtype), spec.dtype, spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "encode"))
        elements = self._elements(spec)
        return _cast(viewed(chunks, elements.dtype, elements.shape), self.encode_dtype.newbyteorder("="))

    def _elements(self, spec: ChunkSpec) -> ChunkSpec:
        if self.decode_dtype is None:
            return spec
        return reinterpreted(spec, self.decode_dtype, "astype")


def _cast(batch: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert a batch to `dtype`. CodecError for the first chunk with an element that cannot be converted."""
    made, i = np.empty(batch.shape, dtype), 0
    try:
        with np.errstate(all="ignore"):
            for i in range(len(batch)):
                chunk = batch[i].real if batch.dtype.kind == "c" and dtype.kind != "c" else batch[i]
                made[i] = chunk if dtype != np.uint32 else converted(chunk, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise blamed("astype", error, i) from error
    return made


CODEC = AsType
