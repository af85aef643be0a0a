"""The frame of a new image: its shape, axes, places and the factors between levels. Labels take that of their image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import one_of, shown
from gpuzarr.creation import sides
from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.axes import axes_for, vector
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.levels import Factors, plan
from gpuzarr.pyramids.metadata.model import VERSIONS, Axis, Vector

Shape = tuple[int, ...]
DEFAULT_VERSION = "0.5"


@dataclass(frozen=True)
class Frame:
    """Of an image: the finest level, and the factors from each level to the next."""

    shape: Shape
    axes: tuple[Axis, ...]
    scale: Vector
    translation: Vector
    factors: Factors
    version: str

    @property
    def channels(self) -> int:
        """The number of channels."""
        found = [n for n, axis in zip(self.shape, self.axes, strict=True) if axis.type == "channel"]
        return found[0] if found else 1


def new_frame(
    shape: Any,
    axes: Any,
    units: Any,
    scale: Any,
    translation: Any,
    version: Any,
    levels: Any,
    factors: Any,
    chunks_of: Callable[[Shape, tuple[Axis, ...]], Shape],
) -> Frame:
    """The frame of an image, of the parameters of `create_image`; `chunks_of(shape, axes)` are its chunks."""
    if shape is None:
        raise ArgumentError("a new image needs a shape")
    size = sides("shape", shape)
    if any(n < 0 for n in size):
        raise ArgumentError(f"shape {shown(shape)} has a negative length")
    found = axes_for(axes, units, len(size))
    voxel = vector(scale, "scale", found, 1.0)
    if min(voxel) <= 0:
        raise ArgumentError(f"scale must be positive, not {shown(scale)}")
    return Frame(
        *(size, found, voxel, vector(translation, "translation", found, 0.0)),
        plan(size, voxel, found, chunks_of(size, found), levels, factors),
        one_of(DEFAULT_VERSION if version is None else version, "version", *VERSIONS),
    )


def frame_of_labels(image: Image, shape: Any, axes: Any, own: dict[str, Any]) -> Frame:
    """The frame of labels of an image: that of the image, by default without channels.

    `own`: parameters that labels do not have, which are refused if they are given.
    """
    if not isinstance(image, Image):
        raise ArgumentError(
            f"labels need their image, as gpuzarr.ome.open_image(..., mode='r+') gives it, not {shown(image)}"
        )
    for name, value in own.items():
        if value is not None:
            raise ArgumentError(f"labels have the {name} of their image: give no {name} with labels_of")
    if image.factors is None:
        raise ArgumentError(f"{image!r} has levels that are not reduced by integers; labels need such")
    if image.version not in VERSIONS:
        raise ArgumentError(f"{image!r} is of version {image.version}; labels are made for {', '.join(VERSIONS)}")
    places = _places(image, shape, axes)
    finest, kept = image.multiscale.datasets[0], image.multiscale.axes
    size = tuple(image.shape[i] for i in places) if shape is None else sides("shape", shape, len(places))
    if len(size) != len(places):
        raise ArgumentError(f"shape {shown(shape)} does not fit the axes {[kept[i].name for i in places]}")
    for i, n in zip(places, size, strict=True):
        if n != image.shape[i] and kept[i].type != "channel":
            raise ArgumentError(f"labels have {n} elements along {kept[i].name!r}, their image has {image.shape[i]}")
    return Frame(
        *(size, tuple(kept[i] for i in places)),
        tuple(1.0 if finest.scale is None else finest.scale[i] for i in places),
        tuple(0.0 if finest.translation is None else finest.translation[i] for i in places),
        tuple(tuple(step[i] for i in places) for step in image.factors),
        image.version,
    )


def _places(image: Image, shape: Any, axes: Any) -> list[int]:
    """The axes of the image that labels have, by their numbers."""
    kinds = image.axis_types
    if axes is None:
        is_whole = shape is not None and len(sides("shape", shape)) == len(kinds)
        return [i for i, kind in enumerate(kinds) if is_whole or kind != "channel"]
    names = [axis.name for axis in axes_for(axes, None, len(list(axes)))]
    if unknown := [name for name in names if name not in image.axes]:
        raise ArgumentError(f"axes: {unknown[0]!r} is none of the image, {image.axes}")
    found = [i for i, name in enumerate(image.axes) if name in names]
    if lacking := [name for name, kind in zip(image.axes, kinds, strict=True) if kind == "space" and name not in names]:
        raise ArgumentError(f"labels have all axes of space of their image, also {lacking[0]!r}")
    return found
