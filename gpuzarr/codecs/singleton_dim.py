"""singleton_dim: axes of length 1 are inserted and removed. Source: Zarr extension `singleton_dim`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpuzarr.batch import ChunkSpec
from gpuzarr.checks import NDIM_MAX, shown
from gpuzarr.codecs import Kind
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class SingletonDim:
    """`operations`, in encode order: {"insert": axis} or {"remove": axis}, in a shape as those before have left it."""

    names = ("singleton_dim",)
    ids = ()
    kind: ClassVar[Kind] = "array->array"
    changes_only_shape: ClassVar[bool] = True

    operations: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        given = self.operations
        if not isinstance(given, list | tuple) or len(given) > NDIM_MAX:
            raise MetadataError(f"codec 'singleton_dim': operations must be a list of few objects, not {shown(given)}")
        object.__setattr__(self, "operations", tuple(map(_parsed, given)))

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        return ChunkSpec(self._shape(spec.shape), spec.dtype, spec.fill_value, spec.allowed)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return chunks.reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        return chunks.reshape(len(chunks), *self._shape(spec.shape))

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        made = list(shape)
        for what, axis in self.operations:
            if axis > len(made) or (what == "remove" and made[axis : axis + 1] != [1]):
                raise MetadataError(f"codec 'singleton_dim': it cannot {what} axis {axis} of {tuple(made)}")
            if what == "insert":
                made.insert(axis, 1)
            else:
                del made[axis]
        if len(made) > NDIM_MAX:
            raise MetadataError(f"codec 'singleton_dim': {len(made)} axes, and at most {NDIM_MAX} are possible")
        return tuple(made)


def _parsed(operation: Any) -> tuple[str, int]:
    pairs = list(operation.items()) if isinstance(operation, dict) else [operation]
    if len(pairs) != 1 or not isinstance(pairs[0], tuple) or len(pairs[0]) != 2:
        raise MetadataError(f"codec 'singleton_dim': an operation is {{'insert': axis}}, not {shown(operation)}")
    what, axis = pairs[0]
    if what not in ("insert", "remove") or type(axis) is not int or axis < 0:
        raise MetadataError(
            f"codec 'singleton_dim': an operation is insert or remove of an axis, not {shown(operation)}"
        )
    return what, axis


CODEC = SingletonDim
