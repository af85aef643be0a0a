"""Several images in a group: the layout that bioformats2raw writes, with a group for each image of a file.

Source: the chapter `bioformats2raw.layout` of OME-NGFF (https://ngff.openmicroscopy.org/0.5/).
"""

from __future__ import annotations

from itertools import count
from typing import Any

from gpuzarr.checks import at, sequence, shown
from gpuzarr.errors import NotFoundError, UnsupportedError
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.labels import member
from gpuzarr.pyramids.metadata import namespace
from gpuzarr.pyramids.metadata.common import text
from gpuzarr.pyramids.opening import image_of, instead, place

LAYOUT, LIST_GROUP = "bioformats2raw.layout", "OME"
LAYOUT_VERSION = 3


def series_of(group: Group) -> list[str]:
    """The paths of the images of a group: [""] for one that is an image itself. NotFoundError if there are none."""
    with at(place(group)):
        parts, _ = namespace(group.metadata.attributes)
        if "multiscales" in parts:
            return [""]
        if LAYOUT not in parts:
            raise NotFoundError(f"{group!r} has no images: {instead(group, LAYOUT)}")
        if parts[LAYOUT] != LAYOUT_VERSION:
            raise UnsupportedError(f"{LAYOUT} is {shown(parts[LAYOUT])}; this library reads {LAYOUT_VERSION}")
    return _listed(group) or _numbered(group)


def _listed(group: Group) -> list[str]:
    """The paths that the group `OME` lists; none if it does not."""
    found: Any = group.get(LIST_GROUP)
    if not isinstance(found, Group):
        return []
    with at(place(found)):
        parts, prefix = namespace(found.metadata.attributes)
        paths = sequence(parts.get("series") or [], f"{prefix}series")
        return [text(path, f"{prefix}series[{i}]") for i, path in enumerate(paths)]


def _numbered(group: Group) -> list[str]:
    """The groups 0, 1, 2, ... that exist."""
    found: list[str] = []
    for number in count():
        if not isinstance(group.get(str(number)), Group):
            break
        found.append(str(number))
    return found


def images_of(group: Group) -> dict[str, Image]:
    """The images of a group by their paths below it."""
    return {path: image_of(member(group, path) if path else group) for path in series_of(group)}
