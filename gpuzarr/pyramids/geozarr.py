"""The Zarr convention `multiscales`, which programs for maps read (GDAL, GeoZarr), beside the metadata of OME-Zarr.

Source: https://github.com/zarr-conventions/multiscales, version 1. A level tells how it follows from the finer one: a
place in it is `scale * place + translation` in the finer one, where the centre of the first voxel is at 0.
"""

from __future__ import annotations

from typing import Any

from gpuzarr.pyramids.levels import Factors

UUID = "d35379db-88df-4056-af3a-620245f8e347"
CONVENTION = {
    "uuid": UUID,
    "schema_url": "https://raw.githubusercontent.com/zarr-conventions/multiscales/refs/tags/v1/schema.json",
    "spec_url": "https://github.com/zarr-conventions/multiscales/blob/v1/README.md",
    "name": "multiscales",
    "description": "Multiscale layout of zarr datasets",
}
RESAMPLING = {"mean": "average", "median": "med"}  # methods that have another name there


def geozarr_attributes(paths: list[str], factors: Factors, ndim: int, method: str) -> dict[str, Any]:
    """The attributes of a group whose levels, of these paths, are reduced by these factors."""
    ones = [1.0] * ndim
    layout: list[dict[str, Any]] = [{"asset": paths[0], "transform": {"scale": ones, "translation": [0.0] * ndim}}]
    for finer, path, step in zip(paths, paths[1:], factors, strict=False):
        moved = [0.0 if method == "nearest" else (f - 1) / 2 for f in step]
        transform = {"scale": [float(f) for f in step], "translation": moved}
        layout.append({"asset": path, "derived_from": finer, "transform": transform})
    resampling = RESAMPLING.get(method, method)
    for level in layout[1:]:
        level["resampling_method"] = resampling
    return {"zarr_conventions": [CONVENTION], "multiscales": {"layout": layout, "resampling_method": resampling}}
