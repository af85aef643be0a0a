"""Open images by the metadata of their groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuzarr.checks import at, number, shown
from gpuzarr.errors import ArgumentError, MetadataError, NotFoundError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.metadata import namespace, parse_image
from gpuzarr.pyramids.metadata.model import ImageMetadata, Multiscale
from gpuzarr.pyramids.methods import method_of
from gpuzarr.stores.contract import concurrency
from gpuzarr.stores.spread import each as spread


def place(group: Group) -> str:
    """The place of a group's attributes, for messages."""
    return f"attributes of {group.name!r} in {group.store!r}"


def image_of(
    group: Group, multiscale: Any = 0, method: str | None = None, background: int | float | None = None
) -> Image:
    """The image that a group is. NotFoundError if it is none, MetadataError for metadata that is wrong.

    `multiscale`: the number or the name of one of several. `method`, `background`: others than the metadata has.
    """
    with at(place(group)):
        metadata = parse_image(group.metadata.attributes)
        if metadata is None:
            raise NotFoundError(f"{group!r} is not an OME-Zarr image: {instead(group, 'multiscales')}")
        chosen = _chosen(metadata, multiscale)
        levels = _levels(group, chosen)
        found, found_background = method_of(metadata, chosen)
        return Image(
            *(group, levels, metadata, chosen, found if method is None else method),
            found_background if background is None else background,
        )


def instead(group: Group, wanted: str) -> str:
    """What a group is that has no `wanted` part."""
    parts, _ = namespace(group.metadata.attributes)
    for name, hint in HINTS.items():
        if name in parts:
            return hint
    return f"its attributes have no {wanted!r}"


HINTS = {
    "multiscales": "it is an image, which gpuzarr.ome.open_image opens",
    "plate": "it is a plate, which gpuzarr.ome.open_plate opens",
    "well": "it is a well of a plate: open the plate with gpuzarr.ome.open_plate, or a field of the well by its path",
    "labels": "it has the labels of an image: open that, and take one of its `labels`",
    "bioformats2raw.layout": "it holds several images, which gpuzarr.ome.open_images opens",
    "series": "it lists images, which gpuzarr.ome.open_images opens when it is given the group above",
    "scene": "it is a scene, a set of images and their places: open one of these by its path",
}


def _chosen(metadata: ImageMetadata, multiscale: Any) -> Multiscale:
    members = metadata.multiscales
    if not isinstance(multiscale, str):
        return members[number(multiscale, "multiscale", 0, len(members) - 1)]
    found = [each for each in members if each.name == multiscale]
    if not found:
        raise ArgumentError(f"no multiscale is named {multiscale!r}, only {shown([each.name for each in members])}")
    return found[0]


def _levels(group: Group, multiscale: Multiscale) -> tuple[Array, ...]:
    """The arrays of the levels; several are opened at once where each costs a request."""
    found: dict[int, Array] = {}

    def open_level(index: int) -> None:
        found[index] = _level(group, multiscale, index)

    spread(open_level, range(len(multiscale.datasets)), max(concurrency(group.store), 1))
    levels = tuple(found[index] for index in range(len(multiscale.datasets)))
    if len({level.dtype for level in levels}) > 1:
        raise MetadataError(f"levels have different dtypes: {', '.join(str(level.dtype) for level in levels)}")
    return levels


def _level(group: Group, multiscale: Multiscale, index: int) -> Array:
    path = multiscale.datasets[index].path
    try:
        level = group.get(path)
    except ArgumentError as error:
        raise MetadataError(f"the path of level {index} is none below the group: {shown(path)}") from error
    if not isinstance(level, Array):
        raise MetadataError(f"there is no array at {shown(path)}, where level {index} should be")
    if level.ndim != len(multiscale.axes):
        raise MetadataError(
            f"level {index}, {shown(path)}, has {level.ndim} dimensions for {len(multiscale.axes)} axes"
        )
    return level


def parts_of(group: Group) -> Mapping[str, Any]:
    """The parts of the OME metadata of a group."""
    with at(place(group)):
        return namespace(group.metadata.attributes)[0]
