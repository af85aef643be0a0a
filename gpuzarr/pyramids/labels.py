"""The label images of an image: a group `labels` in its group, which lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpuzarr.checks import at, sequence, shown
from gpuzarr.errors import ArgumentError, MetadataError, NotFoundError
from gpuzarr.metadata.attributes import change_attributes
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.metadata import namespace
from gpuzarr.pyramids.metadata.model import ZARR_FORMATS
from gpuzarr.pyramids.opening import image_of, place

MAX_LABEL_IMAGES = 100_000
GROUP = "labels"


class Labels(Mapping[str, Image]):
    """A mapping from the names of label images to them; each is opened when it is asked for.

    The list is that of the metadata, as it was when the mapping was made.
    """

    def __init__(self, image_group: Group) -> None:
        found = image_group.get(GROUP)
        self._group = found if isinstance(found, Group) else None
        self._names = [] if self._group is None else listed(self._group)

    def __getitem__(self, name: str) -> Image:
        if self._group is None or name not in self._names:
            raise NotFoundError(f"no labels have the name {name!r}, only {shown(self._names)}")
        return image_of(member(self._group, name))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<gpuzarr.ome.Labels {', '.join(map(repr, self._names)) or 'none'}>"


def listed(group: Group) -> list[str]:
    """The names of label images that a group `labels` lists."""
    with at(place(group)):
        parts, prefix = namespace(group.metadata.attributes)
        names = sequence(parts.get(GROUP, []), f"{prefix}{GROUP}")
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise MetadataError(f"{prefix}{GROUP} must have texts, not {shown(wrong[0])}")
        if len(names) > MAX_LABEL_IMAGES:
            raise MetadataError(f"{prefix}{GROUP} has {len(names)} members")
        return list(dict.fromkeys(names))


def member(group: Group, name: str) -> Group:
    """The group at a path that metadata of another group names. MetadataError if there is none."""
    with at(place(group)):
        try:
            found = group.get(name)
        except ArgumentError as error:
            raise MetadataError(f"{shown(name)} is no path below the group") from error
        if found is None or isinstance(found, Array):
            raise MetadataError(f"there is no group at {shown(name)}, which the metadata lists")
        return found


def check_name(name: Any) -> str:
    """The name of new labels, which is that of their group, too."""
    if not isinstance(name, str) or not name or "/" in name or "\\" in name or name.startswith("."):
        raise ArgumentError(f"labels need a name, which is that of their group, too; not {shown(name)}")
    return name


def add(group: Group, name: str, version: str) -> None:
    """Add a name to the list of a group `labels`, under the lock of its metadata: others may add theirs meanwhile."""

    def edit(attributes: dict[str, Any]) -> None:
        with at(place(group)):
            parts = attributes
            if ZARR_FORMATS[version] == 3:
                parts = attributes.setdefault("ome", {})
                namespace(attributes)  # MetadataError if it is no object
                parts.setdefault("version", version)
            names = sequence(parts.get(GROUP, []), GROUP)
            parts[GROUP] = names if name in names else [*names, name]

    change_attributes(group.store, group.path, group.metadata, edit)
