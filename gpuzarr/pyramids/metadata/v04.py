"""OME-Zarr 0.4 and 0.5: axes are objects; each level has a list of steps, a scale and maybe a translation.

The two versions differ in where the metadata stands alone: 0.4 in the attributes themselves, with a version in each
part; 0.5 in the attribute `ome`, with one version. Source: https://ngff.openmicroscopy.org/0.4/ and 0.5/.
"""

from __future__ import annotations

from typing import Any

from gpuzarr.checks import required, sequence
from gpuzarr.pyramids.metadata.common import about, axes_document, multiscale, parse_axes, parse_datasets, steps
from gpuzarr.pyramids.metadata.model import Dataset, Multiscale
from gpuzarr.pyramids.metadata.transforms import placement

STEPS = "coordinateTransformations"


def parse(given: dict[str, Any], field: str) -> Multiscale:
    """A member of `multiscales`. The steps of all levels together come after those of a level."""
    axes = parse_axes(required(given, "axes", field), f"{field}.axes")
    common = sequence(given.get(STEPS) or [], f"{field}.{STEPS}")
    datasets = []
    for path, each, where in parse_datasets(required(given, "datasets", field), f"{field}.datasets"):
        own = sequence(each.get(STEPS) or [], f"{where}.{STEPS}")
        found = placement(own + common, f"{where}.{STEPS}", len(axes)) if own or common else None
        scale, translation = found or (None, None)
        datasets.append(Dataset(path, scale, translation, tuple(own)))
    return multiscale(given, field, axes, datasets)


def document(multiscale: Multiscale) -> dict[str, Any]:
    """The member of `multiscales` for a multiscale."""
    levels = [{"path": each.path, STEPS: steps(each)} for each in multiscale.datasets]
    return {"axes": axes_document(multiscale.axes), "datasets": levels} | about(multiscale)
