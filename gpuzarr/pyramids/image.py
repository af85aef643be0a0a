"""An OME-Zarr image, as users hold it: a group whose arrays have the same values at several resolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpuzarr.checks import number, shown
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids import ownership
from gpuzarr.pyramids.axes import vector
from gpuzarr.pyramids.levels import TOLERANCE, Factors, found_factors
from gpuzarr.pyramids.metadata.model import ImageMetadata, Multiscale, Vector
from gpuzarr.pyramids.summary import as_html, as_text
from gpuzarr.pyramids.writer import open_writer


@dataclass(frozen=True, repr=False, eq=False)
class Image:
    """An image of OME-Zarr, with its levels from the finest to the coarsest.

    Images come from `gpuzarr.ome.open_image` and `gpuzarr.ome.create_image`. An Image holds no open files; it can be
    pickled, and used by many threads at once.

    Attributes
    ----------
    group
        The group of the image.
    levels
        An array for each level, the finest first.
    metadata, multiscale
        All that the group's metadata says, in one form for all versions; and the part about these levels.
    method, background
        The method by which levels are reduced: "mean", "mode", ...; and the value that "mode" counts only if there is
        no other.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image({}, (64, 256, 256), "uint16", scale=(2, 0.5, 0.5), units="um", levels=3)
    >>> image.axes, image.scales[1], image.translations[1]
    (('z', 'y', 'x'), (2.0, 1.0, 1.0), (0.0, 0.25, 0.25))
    >>> image.level(resolution=1.0).shape
    (64, 128, 128)
    """

    group: Group
    levels: tuple[Array, ...]
    metadata: ImageMetadata
    multiscale: Multiscale
    method: str
    background: int | float | None = None

    __repr__, _repr_html_ = as_text, as_html

    # facts

    @property
    def name(self) -> str:
        """The name of the image; that of its group if it has none of its own."""
        return self.multiscale.name or self.group.basename

    @property
    def version(self) -> str:
        """The version of OME-Zarr, such as "0.5"."""
        return self.metadata.version

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes, such as ("c", "z", "y", "x")."""
        return tuple(axis.name for axis in self.multiscale.axes)

    @property
    def axis_types(self) -> tuple[str | None, ...]:
        """The type of each axis: "time", "channel", "space", one of the writer's own, or None."""
        return tuple(axis.type for axis in self.multiscale.axes)

    @property
    def units(self) -> tuple[str | None, ...]:
        """The unit of each axis, such as "micrometer"; None if it has none."""
        return tuple(axis.unit for axis in self.multiscale.axes)

    @property
    def scales(self) -> tuple[Vector | None, ...]:
        """For each level, the size of its voxels along each axis, in `units`.

        None if the metadata has none (until version 0.3), or if a level is placed by more than a scale and a
        translation; `multiscale.datasets[i].transforms` then has all that it says.
        """
        return tuple(each.scale for each in self.multiscale.datasets)

    @property
    def translations(self) -> tuple[Vector | None, ...]:
        """For each level, the centre of its first voxel along each axis, in `units`; None as for `scales`."""
        return tuple(each.translation for each in self.multiscale.datasets)

    @cached_property
    def factors(self) -> Factors | None:
        """The integers by which each level is reduced to the next: for each step, a tuple with one for each axis.

        None if a level is not the next finer one reduced in whole windows (those at the ends may be cut off); `writer`
        cannot write such an image.
        """
        return found_factors([level.shape for level in self.levels], self.scales)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the finest level."""
        return self.levels[0].shape

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.levels[0].dtype

    @property
    def device(self) -> str | Device:
        """Where values are decoded and returned."""
        return self.group.device

    @property
    def is_labels(self) -> bool:
        """True for a label image, whose values are numbers of objects."""
        return self.metadata.label is not None

    @property
    def omero(self) -> Mapping[str, Any] | None:
        """How the image is to be displayed: its channels, with names, colours and windows of values."""
        return self.metadata.omero

    @property
    def colors(self) -> dict[int, tuple[int, ...]]:
        """The colour of each label (red, green, blue, opacity, from 0 to 255) that has one."""
        from gpuzarr.pyramids.label_values import colors_of

        return colors_of(self.metadata.label)

    @property
    def properties(self) -> dict[int, dict[str, Any]]:
        """The properties of each label that has any."""
        from gpuzarr.pyramids.label_values import properties_of

        return properties_of(self.metadata.label)

    @property
    def labels(self) -> Mapping[str, Image]:
        """The label images of this image by their names; each is opened when it is asked for."""
        from gpuzarr.pyramids.labels import Labels

        return Labels(self.group)

    # levels

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """TypeError: say which level is meant."""
        raise TypeError(f"{self!r} is an array at {len(self.levels)} resolutions: take one, such as image.levels[0]")

    def level(self, index: int | None = None, *, resolution: Any = None) -> Array:
        """The level with this number, or the coarsest one whose voxels are not larger than `resolution`.

        Parameters
        ----------
        index
            The number of a level; 0 is the finest, -1 the coarsest.
        resolution
            As for `level_index`.

        Raises
        ------
        ArgumentError
            There is no such level, or both arguments are given, or neither.

        Examples
        --------
        >>> image = gpuzarr.ome.create_image({}, (512, 512), "uint8", scale=0.25, levels=3)
        >>> image.level(2).shape, image.level(resolution=0.6).shape
        ((128, 128), (256, 256))
        """
        if (index is None) == (resolution is None):
            raise ArgumentError("give either the number of a level, or a resolution")
        if resolution is not None:
            return self.levels[self.level_index(resolution)]
        count = len(self.levels)
        return self.levels[number(index, "index", -count, count - 1)]

    def level_index(self, resolution: Any) -> int:
        """The number of the coarsest level whose voxels are not larger than `resolution`; 0 if there is none.

        An axis whose voxels are larger than that even in the finest level must be as in the finest.

        Parameters
        ----------
        resolution
            The wanted size of a voxel in `units`: a number for the space axes, a dict by axis name, or a list with a
            number for each axis (0 or None: any size).

        Raises
        ------
        ArgumentError
            The image has no scales, or `resolution` makes no sense.

        Examples
        --------
        >>> image = gpuzarr.ome.create_image({}, (64, 512, 512), "uint8", scale=(1, 0.25, 0.25), levels=4)
        >>> [image.level_index(size) for size in (0.1, 0.5, 1, 9)]
        [0, 1, 2, 3]
        >>> image.level_index({"x": 0.5})
        1
        """
        if any(scale is None for scale in self.scales):
            steps = [step.get("type") for each in self.multiscale.datasets for step in each.transforms]
            kinds = f" but transformations of the types {shown(list(dict.fromkeys(steps)))}" if any(steps) else ""
            raise ArgumentError(f"{self!r} has no scale for each level{kinds}; choose one by its number")
        most = vector(resolution, "resolution", self.multiscale.axes, 0.0)
        if not any(most) or min(most) < 0:
            raise ArgumentError(f"resolution must be positive, not {shown(resolution)}")
        finest = self.scales[0] or ()
        limits = [max(abs(size), wanted) * (1 + TOLERANCE) for size, wanted in zip(finest, most, strict=True)]
        found = 0
        for index, scale in enumerate(self.scales):
            triples = zip(scale or (), limits, most, strict=True)
            if all(abs(size) <= limit for size, limit, wanted in triples if wanted):
                found = index
        return found

    # writing

    writer, missing, shard_slices = open_writer, ownership.missing, ownership.shard_slices
