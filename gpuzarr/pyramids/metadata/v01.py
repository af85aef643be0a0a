"""OME-Zarr 0.1 to 0.3: levels without scales. Axes are t, c, z, y, x (0.1, 0.2), or a list of names (0.3).

Source: https://ngff.openmicroscopy.org/0.1/, 0.2/ and 0.3/.
"""

from __future__ import annotations

from typing import Any

from gpuzarr.checks import required
from gpuzarr.pyramids.metadata.common import multiscale, parse_axes, parse_datasets
from gpuzarr.pyramids.metadata.model import Dataset, Multiscale

AXES = ["t", "c", "z", "y", "x"]


def parse(given: dict[str, Any], field: str) -> Multiscale:
    """A member of `multiscales`."""
    axes = parse_axes(given.get("axes", AXES), f"{field}.axes")
    levels = parse_datasets(required(given, "datasets", field), f"{field}.datasets")
    return multiscale(given, field, axes, [Dataset(path) for path, _, _ in levels])
