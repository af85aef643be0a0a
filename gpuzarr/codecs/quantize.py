"""quantize: floats rounded to a number of decimal digits, by a power of two. Source: numcodecs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import Direction
from gpuzarr.codecs.element_wise import why_host
from gpuzarr.cpu.elements import cast_fill, native, reinterpreted, viewed, with_dtypes
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import Program, runs_on
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class Quantize:
    """`dtype` of the decoded elements (None: the array's), `astype` of the stored ones (None: `dtype`)."""

    names = ("numcodecs.quantize", "quantize")
    ids = ("quantize",)
    kind: ClassVar[Kind] = "array->array"

    digits: int
    dtype: np.dtype | None = None
    astype: np.dtype | None = None

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> Quantize:
        return cls(**with_dtypes(configuration, "quantize", "dtype", "astype"))

    from_v2 = from_v3

    def __post_init__(self) -> None:
        if type(self.digits) is not int or abs(self.digits) > 300:
            raise MetadataError(f"codec 'quantize': digits must be a whole number, not {self.digits!r}")
        for dtype in (self.dtype, self.astype):
            if dtype is not None and dtype.kind != "f":
                raise MetadataError(f"codec 'quantize' takes floats, not {dtype}")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        elements = self._elements(spec)
        astype = self._astype(elements)
        return ChunkSpec(elements.shape, astype, cast_fill(elements.fill_value, astype))

    def why_host(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "decode")

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "encode")

    def program(self, spec: ChunkSpec, direction: Direction) -> Program | None:
        stored = self._astype(self._elements(spec))
        if not (runs_on(spec.dtype) and runs_on(stored) and self._elements(spec).dtype == spec.dtype):
            return None
        if direction == "decode":
            return Program.of(stored).converted(spec.dtype)
        made = Program.of(spec.dtype).computed(np.multiply, self._scale)
        made = made and made.rounded().computed(np.true_divide, self._scale)
        return made and made.converted(stored)

    @property
    def _scale(self) -> float:
        """The power of two that elements are multiples of, inverted."""
        exponent = math.log10(10.0**-self.digits)
        exponent = math.floor(exponent) if exponent < 0 else math.ceil(exponent)
        return float(2.0 ** math.ceil(math.log2(10.0**-exponent)))

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "decode"))
        with np.errstate(all="ignore"):
            values = native(chunks).astype(self._elements(spec).dtype, copy=False)
        return viewed(values, spec.dtype, spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "encode"))
        elements = self._elements(spec)
        scale = self._scale
        with np.errstate(all="ignore"):
            values = np.around(scale * native(viewed(chunks, elements.dtype, elements.shape))) / scale
            return values.astype(self._astype(elements), copy=False)

    def _elements(self, spec: ChunkSpec) -> ChunkSpec:
        elements = spec if self.dtype is None else reinterpreted(spec, self.dtype, "quantize")
        if elements.dtype.kind != "f":
            raise MetadataError(f"codec 'quantize' takes floats, not {elements.dtype}")
        return elements

    def _astype(self, elements: ChunkSpec) -> np.dtype:
        return elements.dtype if self.astype is None else self.astype.newbyteorder("=")


CODEC = Quantize
