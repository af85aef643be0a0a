"""What `gpuzarr info` says of images, labels, plates and wells of OME-Zarr, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MAX_NAMES = 12  # of wells and labels that are printed


def ome_lines(facts: dict[str, Any]) -> Iterator[str]:
    """What `ome_facts` found."""
    if "error" in facts:
        yield f"OME-Zarr: error: {facts['error']}"
        return
    of = f"OME-Zarr {facts['version']}" if facts["version"] else "OME-Zarr"
    for image in facts.get("images", ()):
        yield from _image_lines(image, f"{of} {'label image' if facts['is_label'] else 'image'}")
    if "plate" in facts:
        plate = facts["plate"]
        sizes = f"{len(plate['rows'])} rows, {len(plate['columns'])} columns, {len(plate['wells'])} wells"
        yield f"{of} plate{_named(plate['name'])}: {sizes}: {_names(plate['wells'])}"
    if "well" in facts:
        yield f"{of} well: {len(facts['well']['images'])} images: {_names(facts['well']['images'])}"
    if facts.get("labels"):
        yield f"labels: {_names(facts['labels'])}"


def _image_lines(image: dict[str, Any], what: str) -> Iterator[str]:
    axes, levels = image["axes"], image["levels"]
    method = f", reduced by {image['method']}" if image["method"] else ""
    count = f"{len(levels)} level{'' if len(levels) == 1 else 's'}"
    yield f"{what}{_named(image['name'])}: axes {', '.join(axis['name'] for axis in axes)}; {count}{method}"
    for number, level in enumerate(levels):
        shape = " x ".join(map(str, level["shape"]))
        yield f"  {number}: {level['path']}, {shape}{_scale_text(axes, level)}"


def _scale_text(axes: list[dict[str, Any]], level: dict[str, Any]) -> str:
    """The physical size of a sample along each axis but channels, and where the first one lies."""
    if level["scale"] is None:
        return ""
    text = ", ".join(f"{axis['name']} {value:g}{_unit(axis)}" for axis, value in _physical(axes, level["scale"]))
    moved = level["translation"] is not None and any(level["translation"])
    origin = ", ".join(f"{value:g}" for _, value in _physical(axes, level["translation"])) if moved else ""
    return f", sample {text}" + (f", first at {origin}" if moved else "")


def _physical(axes: list[dict[str, Any]], values: list[float]) -> list[tuple[dict[str, Any], float]]:
    return [(axis, value) for axis, value in zip(axes, values, strict=True) if axis["type"] != "channel"]


def _unit(axis: dict[str, Any]) -> str:
    return f" {axis['unit']}" if axis["unit"] else ""


def _named(name: str | None) -> str:
    return f" {name!r}" if name else ""


def _names(names: list[str]) -> str:
    more = f", and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
