"""scale_offset: (x - offset) * scale, in the arithmetic of the array's dtype. Source: Zarr extension `scale_offset`.

Integers that overflow, or divide with a remainder, are an error, as the extension demands.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import Direction
from gpuzarr.codecs.element_wise import why_host
from gpuzarr.cpu.elements import native
from gpuzarr.cpu.scalars import scalar
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import SCALE_DOWN, SCALE_UP, Program, runs_on, word_of
from gpuzarr.errors import CodecError, MetadataError


@dataclass(frozen=True)
class ScaleOffset:
    """`offset` and `scale`: JSON scalars, spelled like fill values of the array's dtype."""

    names = ("scale_offset",)
    ids = ()
    kind: ClassVar[Kind] = "array->array"

    offset: float | str = 0
    scale: float | str = 1

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        offset, scale = self._scalars(spec.dtype)
        fill = spec.fill_value
        if fill is not None:
            try:
                fill = _encode(np.array([[fill]], spec.dtype), offset, scale)[0, 0]
            except CodecError:
                fill = None
        return ChunkSpec(spec.shape, spec.dtype, fill)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "decode")

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "encode")

    def program(self, spec: ChunkSpec, direction: Direction) -> Program | None:
        made, (offset, scale) = Program.of(spec.dtype) if runs_on(spec.dtype) else None, self._scalars(spec.dtype)
        if made is None:
            return None
        if spec.dtype.kind not in "iu":
            steps = ((np.subtract, offset), (np.multiply, scale))
            for ufunc, number in steps if direction == "encode" else ((np.true_divide, scale), (np.add, offset)):
                made = made and made.computed(ufunc, number)
            return made
        first, second = word_of(offset, spec.dtype), word_of(scale, spec.dtype)
        beyond = f"scale_offset: out of the range of {spec.dtype}"
        if direction == "encode":
            return made.adding(SCALE_UP, first=first, second=second, problem=beyond)
        if scale == -1 and spec.dtype.itemsize == 8:
            return None  # the quotient of the least number has 65 bits
        made = made.adding(SCALE_DOWN, second=second, problem=f"scale_offset: not a multiple of {scale}")
        return made.adding(SCALE_DOWN, first=first, problem=beyond)

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "decode"))
        offset, scale = self._scalars(spec.dtype)
        batch = native(chunks)
        if spec.dtype.kind not in "iu":
            with np.errstate(all="ignore"):
                return (batch / scale + offset).astype(spec.dtype, copy=False)
        wide = object if spec.dtype.itemsize == 8 else np.int64  # no sum overflows in these
        values = batch.astype(wide)  # np.divmod takes no objects
        _refuse(values % int(scale) != 0, f"scale_offset: not a multiple of {scale}")
        return _narrow(values // int(scale) + int(offset), spec.dtype)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "encode"))
        return _encode(native(chunks), *self._scalars(spec.dtype))

    def _scalars(self, dtype: np.dtype) -> tuple[Any, Any]:
        of_ml_dtypes = dtype.kind == "V" and dtype.type is not np.void and "complex" not in dtype.name
        if dtype.kind not in "iuf" and not of_ml_dtypes:
            raise MetadataError(f"codec 'scale_offset' takes integers and floats, not {dtype}")
        offset, scale = (scalar(value, dtype, "scale_offset") for value in (self.offset, self.scale))
        if scale == 0:
            raise MetadataError(f"codec 'scale_offset': scale {self.scale!r} is 0 as {dtype}: nothing could be decoded")
        return offset, scale


def _encode(batch: np.ndarray, offset: Any, scale: Any) -> np.ndarray:
    if batch.dtype.kind not in "iu":
        with np.errstate(all="ignore"):
            return ((batch - offset) * scale).astype(batch.dtype, copy=False)
    values = batch.astype(object)  # Python's numbers do not overflow
    return _narrow((values - int(offset)) * int(scale), batch.dtype)


def _narrow(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    info = np.iinfo(dtype)
    _refuse((values < int(info.min)) | (values > int(info.max)), f"scale_offset: out of the range of {dtype}")
    return values.astype(dtype)


def _refuse(bad: np.ndarray, message: str) -> None:
    """Raise CodecError for the first chunk with a bad element."""
    rows = bad.reshape(len(bad), prod(bad.shape[1:])).any(axis=1)
    if rows.any():
        raise CodecError(message, int(np.argmax(rows)))


CODEC = ScaleOffset
