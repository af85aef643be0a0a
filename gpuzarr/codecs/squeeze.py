"""zarrs.squeeze: the chunk without its axes of length 1. Source: https://docs.rs/zarrs, array_to_array::squeeze."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.devices.contract import Device


@dataclass(frozen=True)
class Squeeze:
    """A chunk of one element keeps one axis."""

    names = ("zarrs.squeeze",)
    ids = ()
    kind: ClassVar[Kind] = "array->array"
    changes_only_shape: ClassVar[bool] = True

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        return ChunkSpec(_squeezed(spec.shape), spec.dtype, spec.fill_value)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return chunks.reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        return chunks.reshape(len(chunks), *_squeezed(spec.shape))


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1) or (1,)


CODEC = Squeeze
