"""Check the metadata of OME-Zarr of a group: its form, that what it names is there, and that levels fit together.

Source: https://ngff.openmicroscopy.org/specifications/ (0.1 to 0.6), "multiscales", "labels", "plate", "well".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, pairwise
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import GpuZarrError, MetadataError, UnsupportedError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids.metadata import namespace, parse_image
from gpuzarr.pyramids.metadata.model import Axis, Multiscale
from gpuzarr.pyramids.metadata.rules import violations
from gpuzarr.tools.check_report import Finding

Note = Callable[[Finding], object]
Tell = Callable[[str], object]
MAX_NAMED_GROUPS = 10_000  # of labels, wells or fields of a well


def check_ome(group: Group, note: Note) -> None:
    """Note what is wrong with the OME-Zarr metadata of a group, if it has any."""

    def tell(text: str) -> None:
        note(Finding("error", "ome", group.path, text))

    try:
        attributes = group.attrs.asdict()
        parts, _ = namespace(attributes)
        image = parse_image(attributes)
        against = violations(attributes)
    except UnsupportedError as error:
        note(Finding("note", "not-checked", group.path, f"its OME metadata are not checked: {error}"))
        return
    except MetadataError as error:
        tell(f"its OME metadata are wrong: {error}")
        return
    for text in against:
        note(Finding("warning", "ome", group.path, f"its OME metadata are against the specification: {text}"))
    for multiscale in () if image is None else image.multiscales:
        _check_levels(group, multiscale, tell)
    for what, path in islice(_named(parts, tell), MAX_NAMED_GROUPS):
        if not isinstance(path, str) or not isinstance(_member(group, path), Group):
            tell(f"{what} names {shown(path)}, and there is no such group")


def _named(parts: Mapping[str, Any], tell: Tell) -> Iterator[tuple[str, Any]]:
    """The groups that lists of labels, a plate and a well say that there are."""
    labels = parts.get("labels")
    yield from (("'labels'", path) for path in (labels if isinstance(labels, list) else ()))
    for name, member in (("plate", "wells"), ("well", "images")):
        if (found := parts.get(name)) is None:
            continue
        listed = found.get(member) if isinstance(found, dict) else None
        if not isinstance(listed, list):
            tell(f"{name!r} needs a list {member!r}")
            continue
        yield from ((f"{name!r}", one.get("path") if isinstance(one, dict) else None) for one in listed)


def _check_levels(group: Group, multiscale: Multiscale, tell: Tell) -> None:
    levels: list[tuple[str, Array]] = []
    for dataset in multiscale.datasets:
        if isinstance(level := _member(group, dataset.path), Array):
            levels.append((dataset.path, level))
        else:
            tell(f"level {dataset.path!r} of an image is missing: there is no such array")
    for path, level in levels:
        _check_axes(path, level, multiscale.axes, tell)
    for (before, finer), (after, coarser) in pairwise(levels):
        if finer.dtype != coarser.dtype:
            tell(f"level {after!r} is of {coarser.dtype}, and level {before!r} of {finer.dtype}")
        if finer.ndim == coarser.ndim and any(a < b for a, b in zip(finer.shape, coarser.shape, strict=True)):
            tell(f"level {after!r} has shape {coarser.shape}, larger than that of {before!r}, {finer.shape}")


def _check_axes(path: str, level: Array, axes: tuple[Axis, ...], tell: Tell) -> None:
    names, wanted = level.dimension_names, [axis.name for axis in axes]
    if level.ndim != len(axes):
        tell(f"level {path!r} has {level.ndim} axes, and the image {len(axes)}")
    elif level.zarr_format == 3 and names is not None and list(names) != wanted:
        tell(f"level {path!r} has the dimension_names {list(names)}, and the image the axes {wanted}")


def _member(group: Group, path: str) -> Any:
    try:
        return group.get(path)
    except GpuZarrError:  # a path that leads out of the group, or a node that is wrong: that is told elsewhere
        return None
