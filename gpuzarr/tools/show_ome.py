"""What a group of OME-Zarr is, as JSON: an image with its levels and scales, labels, a plate, a well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuzarr.errors import GpuZarrError
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.labels import GROUP, listed
from gpuzarr.pyramids.opening import image_of, parts_of
from gpuzarr.pyramids.plates import plate_of


def ome_facts(group: Group) -> dict[str, Any] | None:
    """What the OME metadata of a group says, as JSON; None if it has none. Wrong metadata is told as `error`."""
    try:
        parts = parts_of(group)
        if not _is_ome(group, parts):
            return None
        found: dict[str, Any] = {"version": _version(parts)}
        if "multiscales" in parts:
            found |= _images(group, len(parts["multiscales"]))
        if "plate" in parts:
            plate = plate_of(group)
            names = {"rows": list(plate.rows), "columns": list(plate.columns), "wells": list(plate)}
            found["plate"] = {"name": plate.name, **names}
        if "well" in parts:
            found["well"] = {"images": _paths(parts["well"])}
        if "labels" in parts:
            found["labels"] = listed(group)
    except GpuZarrError as error:
        return {"error": str(error)}
    return found if len(found) > 1 else None


def _is_ome(group: Group, parts: Mapping[str, Any]) -> bool:
    """Whether parts are meant as OME metadata: attributes of such names may also be of somebody else.

    Without the attribute `ome`, plates and wells are objects, and the others that are told of are lists.
    """
    if "ome" in group.attrs:
        return True
    kinds = {"plate": Mapping, "well": Mapping, "multiscales": list, "labels": list}
    told = [name for name in kinds if name in parts]
    return bool(told) and all(isinstance(parts[name], kinds[name]) for name in told)


def _images(group: Group, count: int) -> dict[str, Any]:
    images = [image_of(group, number) for number in range(count)]
    found = {"version": images[0].version, "is_label": images[0].is_labels, "images": [*map(_image, images)]}
    labels = group.get(GROUP)
    return found | ({"labels": listed(labels)} if isinstance(labels, Group) else {})


def _image(image: Image) -> dict[str, Any]:
    axes = [{"name": axis.name, "type": axis.type, "unit": axis.unit} for axis in image.multiscale.axes]
    levels = [
        {"path": dataset.path, "shape": list(level.shape), "scale": dataset.scale, "translation": dataset.translation}
        for dataset, level in zip(image.multiscale.datasets, image.levels, strict=True)
    ]
    return {"name": image.multiscale.name, "method": image.multiscale.type, "axes": axes, "levels": levels}


def _paths(well: Any) -> list[str]:
    """The paths of the images of a well; what is of another form is left out."""
    images = well.get("images") if isinstance(well, Mapping) else None
    members = images if isinstance(images, list) else []
    return [each["path"] for each in members if isinstance(each, Mapping) and isinstance(each.get("path"), str)]


def _version(parts: Mapping[str, Any]) -> str | None:
    """The version of metadata that is not that of an image: one for all parts, or of the first part that has one."""
    given = [parts, *(part for part in parts.values() if isinstance(part, Mapping))]
    return next((part["version"] for part in given if isinstance(part.get("version"), str)), None)
