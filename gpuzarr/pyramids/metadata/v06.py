"""OME-Zarr 0.6: axes stand in coordinate systems, and each level has one transformation, to one of these.

Source: https://ngff.openmicroscopy.org/0.6/ (RFC-5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpuzarr.checks import mapping, required, sequence, shown
from gpuzarr.errors import MetadataError
from gpuzarr.pyramids.metadata.common import (
    about,
    axes_document,
    multiscale,
    parse_axes,
    parse_datasets,
    steps,
    text,
)
from gpuzarr.pyramids.metadata.model import Axis, Dataset, Multiscale
from gpuzarr.pyramids.metadata.transforms import placement

INTRINSIC = "intrinsic"  # the name of the coordinate system of levels that are written here
STEPS, SYSTEMS = "coordinateTransformations", "coordinateSystems"


def parse(given: dict[str, Any], field: str) -> Multiscale:
    """A member of `multiscales`. Its axes are those of the coordinate system to which the first level leads."""
    systems = _systems(required(given, SYSTEMS, field), f"{field}.{SYSTEMS}")
    levels = parse_datasets(required(given, "datasets", field), f"{field}.datasets")
    own = [sequence(each.get(STEPS) or [], f"{where}.{STEPS}") for _, each, where in levels]
    target = _target(own[0], f"{levels[0][2]}.{STEPS}", systems)
    axes, datasets = systems[target], []
    for (path, _, where), found in zip(levels, own, strict=True):
        if (reached := _target(found, f"{where}.{STEPS}", systems)) != target:
            raise MetadataError(f"{where} leads to the coordinate system {reached!r}, the first level to {target!r}")
        placed = placement(found, f"{where}.{STEPS}", len(axes)) if found else None
        scale, translation = placed or (None, None)
        datasets.append(Dataset(path, scale, translation, tuple(found)))
    others = tuple(name for name in systems if name != target)
    beyond = [mapping(each, f"{field}.{STEPS}[]") for each in sequence(given.get(STEPS) or [], f"{field}.{STEPS}")]
    found_multiscale = multiscale(given, field, axes, datasets)
    return replace(found_multiscale, systems=(target, *others), transforms=tuple(beyond))


def _systems(value: Any, field: str) -> dict[str, tuple[Axis, ...]]:
    """The axes of each coordinate system by its name."""
    systems: dict[str, tuple[Axis, ...]] = {}
    for i, member in enumerate(sequence(value, field)):
        where = f"{field}[{i}]"
        name = text(required(mapping(member, where), "name", where), f"{where}.name")
        if name in systems:
            raise MetadataError(f"{field} has the name {name!r} twice")
        systems[name] = parse_axes(required(member, "axes", where), f"{where}.axes")
    if not systems:
        raise MetadataError(f"{field} is empty")
    return systems


def _target(found: list[Any], field: str, systems: dict[str, Any]) -> str:
    """The coordinate system to which a level leads; the first one if its transformation does not say."""
    if len(found) > 1:
        raise MetadataError(f"{field} must be a single transformation, not {len(found)}")
    output = mapping(found[0], f"{field}[0]").get("output") if found else None
    name = output.get("name") if isinstance(output, dict) else output
    if name is None:
        return next(iter(systems))
    if not isinstance(name, str) or name not in systems:
        raise MetadataError(f"{field}[0].output is no coordinate system of {shown(list(systems))}: {shown(name)}")
    return name


def document(multiscale: Multiscale) -> dict[str, Any]:
    """The member of `multiscales` for a multiscale."""
    system = {"name": INTRINSIC, "axes": axes_document(multiscale.axes)}
    levels = [{"path": each.path, STEPS: [_transformation(each)]} for each in multiscale.datasets]
    return {SYSTEMS: [system], "datasets": levels} | about(multiscale)


def _transformation(dataset: Dataset) -> dict[str, Any]:
    own = steps(dataset)
    whole = own[0] if len(own) == 1 else {"type": "sequence", "transformations": own}
    return {**whole, "input": {"path": dataset.path}, "output": {"name": INTRINSIC}}
