"""OME-Zarr metadata in the attributes of groups, of versions 0.1 to 0.6; a file for each form of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpuzarr.checks import mapping, required, sequence, shown
from gpuzarr.errors import MetadataError, UnsupportedError
from gpuzarr.pyramids.metadata import v01, v04, v06
from gpuzarr.pyramids.metadata.model import ImageMetadata, Multiscale

MAX_MULTISCALES = 1000
PARTS = ("multiscales", "plate", "well", "labels", "image-label", "bioformats2raw.layout", "series", "scene", "omero")


def namespace(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The object that has the parts of OME metadata, and its place; empty if there are none."""
    if "ome" in attributes:
        return mapping(attributes["ome"], "ome"), "ome."
    return {name: attributes[name] for name in PARTS if name in attributes}, ""


def parse_image(attributes: Mapping[str, Any]) -> ImageMetadata | None:
    """The metadata of an image; None if the attributes are not those of one. MetadataError for wrong ones."""
    parts, prefix = namespace(attributes)
    given = parts.get("multiscales")
    if given is None or (not prefix and isinstance(given, dict)):  # an object is of the convention of GeoZarr
        return None
    field = f"{prefix}multiscales"
    members = sequence(given, field)
    if not 0 < len(members) <= MAX_MULTISCALES:
        raise MetadataError(f"{field} must have 1 to {MAX_MULTISCALES} members, not {len(members)}")
    found = [mapping(member, f"{field}[{i}]") for i, member in enumerate(members)]
    version = (
        version_of(required(parts, "version", "ome"), "ome.version") if prefix else _older_version(found[0], field)
    )
    multiscales = [_multiscale(each, f"{field}[{i}]", version) for i, each in enumerate(found)]
    omero, label = (parts.get(name) for name in ("omero", "image-label"))
    omero = omero if isinstance(omero, dict) else None  # transitional, and of no meaning for the values
    return ImageMetadata(version, tuple(multiscales), omero, label if isinstance(label, dict) else None)


def _multiscale(given: dict[str, Any], field: str, version: str) -> Multiscale:
    minor = int(version[2])
    return (v01 if minor < 4 else v04 if minor < 6 else v06).parse(given, field)


def version_of(value: Any, field: str) -> str:
    """A version as it stands in a document. UnsupportedError for one beyond those that are read here."""
    if not isinstance(value, str):
        raise MetadataError(f"{field} must be text, not {shown(value)}")
    if not re.match(r"0\.[1-6](?!\d)", value):
        raise UnsupportedError(f"{field} is {shown(value)}; this library reads 0.1 to 0.6")
    return value


def _older_version(given: dict[str, Any], field: str) -> str:
    """The version of metadata until 0.4, which some writers left out."""
    if "version" in given:
        return version_of(given["version"], f"{field}[0].version")
    axes = given.get("axes")
    if not isinstance(axes, list):
        return "0.1"
    return "0.3" if all(isinstance(axis, str) for axis in axes) else "0.4"


def image_attributes(image: ImageMetadata) -> dict[str, Any]:
    """The attributes of a group that is this image, in the form of its version: 0.4, 0.5 or 0.6."""
    form = v06 if image.version == "0.6" else v04
    members = [form.document(multiscale) for multiscale in image.multiscales]
    parts: dict[str, Any] = {"multiscales": members}
    parts |= {} if image.omero is None else {"omero": dict(image.omero)}
    parts |= {} if image.label is None else {"image-label": dict(image.label)}
    if image.version != "0.4":
        return {"ome": {"version": image.version} | parts}
    for member in members:
        member["version"] = image.version
    for name in ("omero", "image-label"):
        if name in parts:
            parts[name] = {"version": image.version} | parts[name]
    return parts
