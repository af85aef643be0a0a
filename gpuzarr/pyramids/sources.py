"""Make an image from existing values: first the image, then all its levels."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.create import with_dtype
from gpuzarr.nodes.keywords import own
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.writing import write_all

INSTEAD = {  # of keywords of other libraries, too
    **dict.fromkeys(("shape", "dtype"), "it is that of the source"),
    **dict.fromkeys(("unit", "axes_units"), "give units"),
    **dict.fromkeys(("pixel_size", "voxel_size"), "give scale"),
    "scale_factors": "give factors, each from one level to the next: [[1, 2, 2], [1, 2, 2]]",
    "coordinate_transformations": "give scale and translation of the finest level",
    "channel_names": "give omero=['DAPI', 'GFP'], with a name for each channel",
    "fmt": "give version",
    "scaler": "give method and factors",
}


def write_new(
    create: Callable[..., Image],
    function: str,
    source: Any,
    *,
    progress: Any = False,
    resume: bool = False,
    rank: int = 0,
    world_size: int = 1,
    max_inflight: int | str = "1GiB",
    **options: Any,
) -> Image:
    """Make an image by `create(shape, dtype, **options)`, and write a source to it.

    `function`: the name of the function that does this, for messages. The others are as for `gpuzarr.ome.write_image`.
    """
    if isinstance(source, str | PathLike):
        raise ArgumentError(f"{function}() takes a store, and then an array of values, not {shown(source)}")
    found = with_dtype(source)
    own(function, options, **INSTEAD)
    image = create(tuple(found.shape), found.dtype, **options)
    how: dict[str, Any] = {"resume": resume, "rank": rank, "world_size": world_size, "max_inflight": max_inflight}
    write_all(image, found, progress=progress, **how)
    return image
