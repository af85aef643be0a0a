"""delta: differences of successive elements, in C order. Source: numcodecs.

The difference of bools is their exclusive or. (numcodecs writes that, and decodes it as a running "or".)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.cpu.elements import cast_fill, numpy_dtype, reinterpreted, rows, viewed
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class Delta:
    """`dtype` of the elements and `astype` of the differences, as stored: with byte order."""

    names = ("numcodecs.delta", "delta")
    ids = ("delta",)
    kind: ClassVar[Kind] = "array->array"

    dtype: np.dtype
    astype: np.dtype

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> Delta:
        return cls(**_dtypes(**configuration))

    from_v2 = from_v3

    def __post_init__(self) -> None:
        for dtype in (self.dtype, self.astype):
            if dtype.kind not in "biufcmM":
                raise MetadataError(f"codec 'delta' takes numbers, not {dtype}")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        spec = reinterpreted(spec, self.dtype, "delta")
        astype = self.astype.newbyteorder("=")
        return ChunkSpec(spec.shape, astype, cast_fill(spec.fill_value, astype))

    def why_host(self, spec: ChunkSpec) -> str | None:
        if spec.dtype != self.dtype or spec.dtype.kind not in "iu":
            return "delta of other than integers is summed sequentially"
        return None

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        shape = reinterpreted(spec, self.dtype, "delta").shape
        if self.dtype.kind == "b":
            sums = np.logical_xor.accumulate(rows(chunks), axis=1)
        else:
            sums = device.xp.cumsum(rows(chunks), axis=1, dtype=self.dtype.newbyteorder("="))
        return viewed(sums.reshape(len(chunks), *shape), spec.dtype, spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        elements = reinterpreted(spec, self.dtype, "delta")
        values = rows(viewed(chunks, elements.dtype, elements.shape))
        made = device.xp.empty(values.shape, self.astype.newbyteorder("="))
        with np.errstate(all="ignore"):
            made[:, :1] = values[:, :1]
            made[:, 1:] = device.xp.diff(values, axis=1)
        return made.reshape(len(chunks), *elements.shape)


def _dtypes(dtype: Any, astype: Any = None) -> dict[str, np.dtype]:
    of = numpy_dtype(dtype, "delta")
    return {"dtype": of, "astype": of if astype is None else numpy_dtype(astype, "delta")}


CODEC = Delta
