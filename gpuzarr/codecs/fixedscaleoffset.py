"""fixedscaleoffset: (x - offset) * scale, rounded to integers. Source: numcodecs, with the same arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import Direction
from gpuzarr.codecs.element_wise import why_host
from gpuzarr.cpu.elements import cast_fill, converted, native, reinterpreted, viewed, with_dtypes
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import Program, runs_on
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class FixedScaleOffset:
    """`dtype` of the decoded elements (None: the array's), `astype` of the stored ones (None: `dtype`)."""

    names = ("numcodecs.fixedscaleoffset", "fixedscaleoffset")
    ids = ("fixedscaleoffset",)
    kind: ClassVar[Kind] = "array->array"

    offset: float
    scale: float
    dtype: np.dtype | None = None
    astype: np.dtype | None = None

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> FixedScaleOffset:
        return cls(**with_dtypes(configuration, "fixedscaleoffset", "dtype", "astype"))

    from_v2 = from_v3

    def __post_init__(self) -> None:
        for name, number in (("offset", self.offset), ("scale", self.scale)):
            if not isinstance(number, int | float) or isinstance(number, bool):
                raise MetadataError(f"codec 'fixedscaleoffset': {name} must be a number, not {number!r}")
        for dtype in (self.dtype, self.astype):
            if dtype is not None and dtype.kind not in "biufc":
                raise MetadataError(f"codec 'fixedscaleoffset' takes numbers, not {dtype}")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        spec = self._elements(spec)
        astype = self._astype(spec)
        return ChunkSpec(spec.shape, astype, cast_fill(spec.fill_value, astype))

    def why_host(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "decode")

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "encode")

    def program(self, spec: ChunkSpec, direction: Direction) -> Program | None:
        stored = self._astype(self._elements(spec))
        if not (runs_on(spec.dtype) and runs_on(stored) and self._elements(spec).dtype == spec.dtype):
            return None
        if direction == "decode":
            made = Program.of(stored).computed(np.true_divide, self.scale)
            made = made and made.computed(np.add, self.offset)
            return made and made.converted(spec.dtype)
        made = Program.of(spec.dtype).computed(np.subtract, self.offset)
        made = made and made.computed(np.multiply, self.scale)
        return made and made.rounded().converted(stored)

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "decode"))
        elements = self._elements(spec)
        with np.errstate(all="ignore"):
            values = converted((native(chunks) / self.scale) + self.offset, elements.dtype)
        return viewed(values, spec.dtype, spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "encode"))
        elements = self._elements(spec)
        values = viewed(chunks, elements.dtype, elements.shape)
        with np.errstate(all="ignore"):
            return converted(np.around((native(values) - self.offset) * self.scale), self._astype(elements))

    def _elements(self, spec: ChunkSpec) -> ChunkSpec:
        if self.dtype is None and spec.dtype.kind not in "biufc":
            raise MetadataError(f"codec 'fixedscaleoffset' takes numbers, not {spec.dtype}")
        return spec if self.dtype is None else reinterpreted(spec, self.dtype, "fixedscaleoffset")

    def _astype(self, elements: ChunkSpec) -> np.dtype:
        return elements.dtype if self.astype is None else self.astype.newbyteorder("=")


CODEC = FixedScaleOffset
