"""Make an image of values that are there: the image first, then all its levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuzarr.nodes.create import with_dtype
from gpuzarr.nodes.keywords import own
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.writing import write_all


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
    found = with_dtype(source)
    own(function, options, shape="it is that of the source", dtype="it is that of the source")
    image = create(tuple(found.shape), found.dtype, **options)
    how: dict[str, Any] = {"resume": resume, "rank": rank, "world_size": world_size, "max_inflight": max_inflight}
    write_all(image, found, progress=progress, **how)
    return image
