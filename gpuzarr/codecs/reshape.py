"""reshape: the elements of a chunk, in C order, in another shape. Source: Zarr extension `reshape`."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from gpuzarr.batch import ChunkSpec
from gpuzarr.checks import INT64_MAX, NDIM_MAX, shown
from gpuzarr.codecs import Kind
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class Reshape:
    """Each item of `shape`: a size; a list of the decoded axes that become this one; or -1 for the rest."""

    names = ("reshape",)
    ids = ()
    kind: ClassVar[Kind] = "array->array"
    changes_only_shape: ClassVar[bool] = True

    shape: tuple[int | tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.shape, list | tuple):
            raise MetadataError(f"codec 'reshape': shape must be a list, not {shown(self.shape)}")
        if len(self.shape) > NDIM_MAX:
            raise MetadataError(
                f"codec 'reshape': a shape of {len(self.shape)} axes, and at most {NDIM_MAX} are possible"
            )
        shape = tuple(tuple(item) if isinstance(item, list) else item for item in self.shape)
        object.__setattr__(self, "shape", shape)
        axes = [axis for item in shape if isinstance(item, tuple) for axis in item]
        sizes = [item for item in shape if not isinstance(item, tuple)]
        bad = (
            any(type(size) is not int or not (1 <= size <= INT64_MAX or size == -1) for size in sizes)
            or sizes.count(-1) > 1
        )
        if bad or any(type(axis) is not int or axis < 0 for axis in axes) or axes != sorted(set(axes)):
            raise MetadataError(f"codec 'reshape': shape {shown(self.shape)} is none")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        return ChunkSpec(self._shape(spec.shape), spec.dtype, spec.fill_value)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return chunks.reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        return chunks.reshape(len(chunks), *self._shape(spec.shape))

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if any(axis >= len(shape) for item in self.shape if isinstance(item, tuple) for axis in item):
            raise MetadataError(f"codec 'reshape': {self.shape} names axes that a chunk of shape {shape} has not")
        made = [prod(shape[axis] for axis in item) if isinstance(item, tuple) else item for item in self.shape]
        if -1 in made:
            rest = prod(size for size in made if size != -1)
            made[made.index(-1)] = prod(shape) // rest if rest else 0
        if prod(made) != prod(shape):
            raise MetadataError(f"codec 'reshape': a chunk of shape {shape} does not become one of {made}")
        for i, item in enumerate(self.shape):
            if isinstance(item, tuple) and item:
                before, after = prod(shape[: item[0]]), prod(shape[item[-1] + 1 :])
                if prod(made[:i]) != before or prod(made[i + 1 :]) != after:
                    raise MetadataError(f"codec 'reshape': axes {item} of {shape} are not axis {i} of {tuple(made)}")
        return tuple(made)


CODEC = Reshape
