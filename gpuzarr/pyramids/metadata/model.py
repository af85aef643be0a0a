"""What OME-Zarr metadata says, whichever version said it.

The documents of each version are translated to this at the door, by the files beside this one; nothing else of this
library knows how a version spells it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VERSIONS = ("0.4", "0.5", "0.6")  # that are written
ZARR_FORMATS = {"0.4": 2, "0.5": 3, "0.6": 3}
Vector = tuple[float, ...]


@dataclass(frozen=True)
class Axis:
    """An axis of an image.

    `type` is "space", "time", "channel", or a type of its maker's own; None if none is said. `more`: what else the
    document says of it, such as an orientation.
    """

    name: str
    type: str | None = None
    unit: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A level of an image.

    `scale` is the size of a voxel, `translation` the place of the centre of the first one, both along each axis and in
    the unit of that axis. Both are None where nothing is said (until version 0.3), or where the coordinates come about
    by more than a scale and a translation: by an affine map, say. `transforms` are as the document has them.
    """

    path: str
    scale: Vector | None = None
    translation: Vector | None = None
    transforms: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Multiscale:
    """An image in several resolutions, the finest first.

    `type` names the method by which levels were reduced, `metadata` tells more of it. `systems` are the names of the
    coordinate systems (version 0.6), the one of `axes` first; `transforms` lead to others than that.
    """

    axes: tuple[Axis, ...]
    datasets: tuple[Dataset, ...]
    name: str | None = None
    type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    systems: tuple[str, ...] = ()
    transforms: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class ImageMetadata:
    """The OME metadata of a group that is an image. `omero` and `label` (of a label image) are as in the document."""

    version: str
    multiscales: tuple[Multiscale, ...]
    omero: Mapping[str, Any] | None = None
    label: Mapping[str, Any] | None = None
