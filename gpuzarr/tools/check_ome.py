"""Check the metadata of OME-Zarr of a group: that what they name is there, and that its shapes and types fit together.

Source: https://ngff.openmicroscopy.org/specifications/ (0.1 to 0.5), "multiscales", "labels", "plate", "well".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import GpuZarrError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.tools.check_report import Finding

Note = Callable[[Finding], object]
MAX_LEVELS = 64  # of an image, that are looked at
MAX_WELLS = 10_000


def check_ome(group: Group, note: Note) -> None:
    """Note what is wrong with the OME-Zarr metadata of a group, if it has any."""
    attributes = group.attrs.asdict()
    given = attributes.get("ome")
    ome = given if isinstance(given, dict) else attributes

    def tell(text: str) -> None:
        note(Finding("error", "ome", group.path, text))

    images = ome.get("multiscales")
    if images is not None and not isinstance(images, list):
        tell(f"'multiscales' must be a list, not {shown(images)}")
    elif images == [] and ome is given:
        tell("'multiscales' is an empty list")
    for image in images[:MAX_LEVELS] if isinstance(images, list) else ():
        _check_image(group, image, tell)
    for what, path in (*_labels(ome), *_plates(ome, tell)):
        if not isinstance(path, str) or not isinstance(_member(group, path), Group):
            tell(f"{what} names {shown(path)}, and there is no such group")


def _labels(ome: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    labels = ome.get("labels")
    for path in labels[:MAX_WELLS] if isinstance(labels, list) else ():
        yield "'labels'", path


def _plates(ome: dict[str, Any], tell: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    """What a plate and a well say that there is."""
    for name, member in (("plate", "wells"), ("well", "images")):
        if (found := ome.get(name)) is None:
            continue
        listed = found.get(member) if isinstance(found, dict) else None
        if not isinstance(listed, list):
            tell(f"{name!r} needs a list {member!r}")
            continue
        for one in listed[:MAX_WELLS]:
            yield f"{name!r}", one.get("path") if isinstance(one, dict) else None


def _check_image(group: Group, image: Any, tell: Callable[[str], None]) -> None:
    datasets = image.get("datasets") if isinstance(image, dict) else None
    if not isinstance(datasets, list) or not datasets:
        tell("an image of 'multiscales' needs a list 'datasets' that is not empty")
        return
    levels: list[tuple[str, Array]] = []
    for dataset in datasets[:MAX_LEVELS]:
        path = dataset.get("path") if isinstance(dataset, dict) else None
        level = _member(group, path) if isinstance(path, str) else None
        if isinstance(level, Array):
            levels.append((str(path), level))
        else:
            tell(f"level {shown(path)} of an image is missing: there is no such array")
    axes = _axes(image)
    for path, level in levels:
        _check_axes(path, level, axes, tell)
    for (before, finer), (after, coarser) in pairwise(levels):
        if finer.dtype != coarser.dtype:
            tell(f"level {after!r} is of {coarser.dtype}, and level {before!r} of {finer.dtype}")
        if finer.ndim == coarser.ndim and any(a < b for a, b in zip(finer.shape, coarser.shape, strict=True)):
            tell(f"level {after!r} has shape {coarser.shape}, larger than that of {before!r}, {finer.shape}")


def _axes(image: Any) -> list[Any] | None:
    """The names of the axes; None where the version has none, or they are not where versions to 0.5 have them."""
    axes = image.get("axes")
    if not isinstance(axes, list):
        return None
    return [axis.get("name") if isinstance(axis, dict) else axis for axis in axes]


def _check_axes(path: str, level: Array, axes: list[Any] | None, tell: Callable[[str], None]) -> None:
    if axes is None:
        return
    names = level.dimension_names
    if level.ndim != len(axes):
        tell(f"level {path!r} has {level.ndim} axes, and the image {len(axes)}")
    elif level.zarr_format == 3 and names is not None and list(names) != axes:
        tell(f"level {path!r} has the dimension_names {list(names)}, and the image the axes {shown(axes)}")


def _member(group: Group, path: str) -> Any:
    try:
        return group.get(path)
    except GpuZarrError:  # a path that leads out of the group, or a node that is wrong: that is told elsewhere
        return None
