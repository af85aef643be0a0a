"""delta: differences of successive elements, in C order. Source: numcodecs.

Floats are added one after another, in the larger of both sizes. Integers wrap. (numcodecs sums signed differences of
uint64, and unsigned ones of signed integers, as float64, and so loses large values.) The difference of bools is their
exclusive or. (numcodecs writes that, and decodes it as a running "or".)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu, native
from gpuzarr.batch import ChunkSpec, address
from gpuzarr.codecs import Kind
from gpuzarr.cpu.elements import cast_fill, numpy_dtype, reinterpreted, rows, viewed
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
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
        return gpu.delta.why_host(self.dtype, self.astype) if fits_gpu(spec.dtype) else f"the GPU has no {spec.dtype}"

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        if device.gpu:
            made = gpu.delta.decode(chunks, self.dtype.newbyteorder("="), device)
            return made.view(spec.dtype).reshape(len(chunks), *spec.shape)
        shape = reinterpreted(spec, self.dtype, "delta").shape
        if self.dtype.kind == "b":
            sums = np.logical_xor.accumulate(rows(chunks) != 0, axis=1)
        else:
            sums = self._sums(rows(chunks))
        return viewed(sums.reshape(len(chunks), *shape), spec.dtype, spec.shape)

    def _sums(self, differences: np.ndarray) -> np.ndarray:
        dtype = self.dtype.newbyteorder("=")
        if (made := running_sums(differences, dtype)) is not None:
            return made
        with np.errstate(all="ignore"):
            if dtype.kind in "iu" and differences.dtype.kind in "biu":
                return np.cumsum(differences, axis=1, dtype=dtype)
            return np.cumsum(differences, axis=1, out=np.empty(differences.shape, dtype))

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        elements, astype = reinterpreted(spec, self.dtype, "delta"), self.astype.newbyteorder("=")
        if device.gpu:
            made = gpu.delta.encode(chunks, elements.dtype, astype, device)
            return made.view(astype).reshape(len(chunks), *elements.shape)
        values = rows(viewed(chunks, elements.dtype, elements.shape))
        made = np.empty(values.shape, astype)
        with np.errstate(all="ignore"):
            made[:, :1] = values[:, :1]
            if values.dtype == astype and values.dtype.kind != "b":
                np.subtract(values[:, 1:], values[:, :-1], out=made[:, 1:])
            else:
                made[:, 1:] = np.diff(values, axis=1)
        return made.reshape(len(chunks), *elements.shape)


def running_sums(values: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """Running sums along each row of integers of `dtype`, by the C library; None where it cannot make them."""
    library = native.library()
    if (
        library is None
        or values.dtype != dtype
        or dtype.kind not in "iu"
        or not (values.flags.c_contiguous and values.flags.aligned)
    ):
        return None
    made = np.empty_like(values)
    library.gpuzarr_sums(dtype.itemsize, address(values), address(made), *values.shape)
    return made


def _dtypes(dtype: Any, astype: Any = None) -> dict[str, np.dtype]:
    of = numpy_dtype(dtype, "delta")
    return {"dtype": of, "astype": of if astype is None else numpy_dtype(astype, "delta")}


CODEC = Delta
