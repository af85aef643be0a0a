"""transpose: the axes of a chunk in another order. Source: Zarr v3 `transpose` codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class Transpose:
    """Axis i of the encoded chunk is axis `order[i]` of the decoded one; "C" and "F" come from early v3 drafts."""

    names = ("transpose",)
    ids = ()
    kind: ClassVar[Kind] = "array->array"

    order: tuple[int, ...] | str

    def __post_init__(self) -> None:
        if isinstance(self.order, list):
            object.__setattr__(self, "order", tuple(self.order))
        if self.order in ("C", "F"):
            return
        whole = isinstance(self.order, tuple) and all(type(axis) is int for axis in self.order)
        if not whole or sorted(self.order) != list(range(len(self.order))):
            raise MetadataError(f"codec 'transpose': order {self.order!r} is not a permutation of the axes")

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The order as a permutation of `ndim` axes. MetadataError where it has another number of axes."""
        if isinstance(self.order, str):
            return tuple(range(ndim)) if self.order == "C" else tuple(range(ndim))[::-1]
        if len(self.order) != ndim:
            raise MetadataError(f"codec 'transpose': order {self.order} for a chunk of {ndim} axes")
        return self.order

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        return ChunkSpec(tuple(spec.shape[i] for i in self.axes(len(spec.shape))), spec.dtype, spec.fill_value)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None

    def memory_order(self, spec: ChunkSpec) -> tuple[tuple[int, ...], int]:
        return self.axes(len(spec.shape)), 1

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        order = self.axes(len(spec.shape))
        back = sorted(range(len(order)), key=order.__getitem__)
        return chunks.transpose(0, *(axis + 1 for axis in back))

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        return chunks.transpose(0, *(axis + 1 for axis in self.axes(len(spec.shape))))


CODEC = Transpose
