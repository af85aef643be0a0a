"""The methods of an image that write it. What writes is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuzarr.pyramids.image import Image
    from gpuzarr.pyramids.writer import ImageWriter


def writer(
    self: Image,
    *,
    max_inflight: int | str = "1GiB",
    block: Any = None,
    halo: Any = None,
    blend: Any = None,
    argmax: int | None = None,
    scale: float | None = None,
    offset: float | None = None,
    clamp: tuple[float, float] | None = None,
    to: Any = None,
    nan_to: Any = None,
    resume: bool = False,
    rank: int = 0,
    world_size: int = 1,
    progress: Any = False,
) -> ImageWriter:
    """Open a writer: blocks of level 0 are written, and with them all other levels, in one pass.

    `writer[selection] = values` takes a block, from host or device memory, and returns as soon as it may be used
    again. Whole shards of each level are written when they are complete, and none is read again.

    Parameters
    ----------
    max_inflight
        Bytes of values that may wait to be written, of all levels together.
    block, halo
        The shape of the blocks of a model without their halo, and how many voxels of the neighbours each has at
        both ends of an axis: integers, or one for each axis. `writer.blocks` lists the blocks to make. By default
        boxes of any shape are taken, each voxel once.
    blend
        How blocks are averaged where they overlap: "gaussian", "linear", "constant", or an array of weights. None:
        the halo is cut off.
    argmax, scale, offset, clamp, to, nan_to
        What is done to values, in this order: the number of the greatest one along an axis that the image does not
        have (a class); multiplied and added; limited to (least, greatest); converted to a dtype, by default that
        of the image, with integers rounded to the nearest, ties to even, and limited to their range; NaN replaced.
    resume
        True: keep a journal of what is done, and continue a run that was interrupted, of which `writer.blocks`
        are what is left.
    rank, world_size
        The number of this process, and how many write the image; each writes the regions of `shard_slices`.
    progress
        True: show a bar. A function is called as progress(done, total).

    Returns
    -------
    ImageWriter
        A context manager; `flush` and `close` wait, and raise what went wrong.

    Raises
    ------
    ReadOnlyError
        The image was opened for reading.
    MetadataError
        A level is not the finer one, reduced by integers.
    ArgumentError
        An argument makes no sense.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image({}, (32, 64, 64), "uint8", chunks=16)
    >>> with image.writer(block=(16, 32, 32), halo=4, blend="gaussian", scale=255) as writer:
    ...     for region in writer.blocks:
    ...         writer[region] = np.ones([s.stop - s.start for s in region], np.float32)
    >>> int(image.levels[-1][...].min())
    255
    """
    from gpuzarr.pyramids.writer import open_writer

    how: dict[str, Any] = {
        "argmax": argmax,
        "scale": scale,
        "offset": offset,
        "clamp": clamp,
        "to": to,
        "nan_to": nan_to,
    }
    place: dict[str, Any] = {"rank": rank, "world_size": world_size, "resume": resume, "progress": progress}
    return open_writer(self, max_inflight=max_inflight, block=block, halo=halo, blend=blend, **how, **place)


def missing(self: Image, rank: int = 0, world_size: int = 1) -> list[tuple[slice, ...]]:
    """The regions of level 0 that were not written, of those of one of several processes.

    What `writer(resume=True)` or `write_image(resume=True)` noted as done counts as written, also where nothing
    but the background was there and so nothing is stored.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image({}, (32, 64), "uint8", chunks=32)
    >>> image.levels[0][:, :32] = 1
    >>> image.missing()
    [(slice(0, 32, None), slice(32, 64, None))]
    """
    from gpuzarr.pyramids.ownership import missing

    return missing(self, rank, world_size)


def shard_slices(self: Image, rank: int, world_size: int) -> list[tuple[slice, ...]]:
    """The regions of level 0 that one of several processes writes: they hold whole shards of the finest levels.

    Parameters
    ----------
    rank, world_size
        The number of the process, from 0, and how many there are.

    Raises
    ------
    ArgumentError
        A shard of a coarse level would be written by several, and nothing in the store guards it; the message names
        it.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image({}, (64, 64), "uint8", chunks=32, levels=1)
    >>> image.shard_slices(0, 2)
    [(slice(0, 32, None), slice(0, 64, None))]
    """
    from gpuzarr.pyramids.ownership import shard_slices

    return shard_slices(self, rank, world_size)
