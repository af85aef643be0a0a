"""The writer of an image: blocks of level 0 are converted, blended and written, and with them all other levels."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from gpuzarr.errors import ArgumentError
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.selection import Outer
from gpuzarr.nodes.inputs import as_value
from gpuzarr.nodes.missing import as_slices
from gpuzarr.progress import reporting
from gpuzarr.pyramids.incoming import Check, Incoming, incoming
from gpuzarr.pyramids.run import begin
from gpuzarr.write.coverage import volume
from gpuzarr.write.merge import bounds_of
from gpuzarr.write.writer import Writer


class ImageWriter:
    """Writes blocks to all levels of an image; made by `Image.writer`, which says how.

    Attributes
    ----------
    blocks
        The blocks that this worker has yet to write, as tuples of slices. None if the writer was made without `block`.
    """

    def __init__(self, image: Any, writer: Writer, blocks: Incoming, checks: deque[Check], must_finish: bool) -> None:
        self._image, self._writer, self._incoming = image, writer, blocks
        self._checks, self._must_finish = checks, must_finish
        self._exits = ExitStack()
        self._report: Any = None

    @property
    def blocks(self) -> Any:
        return self._incoming.blocks

    def report_to(self, progress: Any, total: int) -> None:
        """Show progress, as `progress.reporting` takes it: of blocks, or of elements if there is no plan of blocks."""
        unit = "element" if self.blocks is None else "block"
        self._report = self._exits.enter_context(reporting(progress, total, "writing", unit))

    def __setitem__(self, selection: Any, value: Any) -> None:
        elements = select.basic(selection, self._image.levels[0].shape)
        bounds = bounds_of(elements)
        if bounds is None or not isinstance(elements, Outer):
            if 0 in elements.shape:
                return
            raise ArgumentError(f"an image writer takes boxes: slices with step 1 and integers, not {selection!r}")
        with self._image.levels[0].device.on():
            for box, values, check in self._incoming.take(elements, bounds, value):
                if check is not None:
                    self._checks.append(check)
                self._writer[as_slices(box)] = values
        if self._report is not None:
            self._report(volume(bounds) if self.blocks is None else 1)

    def flush(self) -> None:
        """Wait until everything that is final is in the store, at all levels. Raises the first error.

        An element of a coarser level whose window was written only in part combines that part with what the store has.
        """
        self._writer.flush()

    def close(self) -> None:
        """Flush, and end the writer.

        ArgumentError, after all else is written, if blocks to be blended are missing. With `resume=True` that is no
        error: the next writer asks for them.
        """
        with self._exits:
            self._writer.close()
        if self._must_finish and (unfinished := self._incoming.unfinished()):
            raise ArgumentError(f"{unfinished}; the regions that they overlap are not written")

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            with self._exits:
                self._writer.__exit__(kind, error, at)


def open_writer(
    self: Any,
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

    `writer[selection] = values` takes a block, from host or device memory, and returns as soon as that memory may be
    reused. Each shard of each level is written once it is complete, and is not read again.

    Parameters
    ----------
    max_inflight
        Bytes of values that may wait to be written, for all levels together; and as many again for the sums of blended
        blocks, if blocks come in the order of `writer.blocks`.
    block, halo
        The shape of a model's blocks without their halo, and by how many voxels each extends into its neighbours at
        both ends of an axis: one integer, or one for each axis. `writer.blocks` lists the blocks to make. By default
        the writer takes boxes of any shape, each voxel once.
    blend
        How blocks are averaged where they overlap: "gaussian", "linear", "constant", or an array of weights. None:
        the halo is cut off.
    argmax, scale, offset, clamp, to, nan_to
        What is done to values, in this order. `argmax`: an axis that the image does not have (of classes) is replaced
        by the index of its greatest value. `scale` multiplies, `offset` is added, `clamp` limits to (least, greatest).
        `to`: a dtype, by default that of the image; integers are rounded to the nearest, ties to even, and limited to
        the range of the dtype. `nan_to` replaces NaN.
    resume
        True: keep a journal of what is done, and continue an interrupted run: `writer.blocks` then lists what is
        left.
    rank, world_size
        The number of this process, from 0, and how many write the image; each writes the regions of `shard_slices`.
    progress
        True: show a bar. A function is called as progress(done, total).

    Returns
    -------
    ImageWriter
        A context manager; `flush` and `close` wait, and raise the first error.

    Raises
    ------
    ReadOnlyError
        The image was opened for reading only.
    MetadataError
        A level is not the next finer one, reduced by integer factors.
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
    run = begin(self, max_inflight, resume, rank, world_size)
    first, cascade = self.levels[0], run.cascade
    how = {"argmax": argmax, "scale": scale, "offset": offset, "clamp": clamp, "to": to, "nan_to": nan_to}
    blocks = incoming(self, run.owned if block is None else run.wanted, block, halo, blend, how, run.max_bytes)
    run.restore()

    def accept(selection: Any, value: Any) -> tuple[Any, Any]:
        elements = select.basic(selection, first.shape)
        return elements, as_value(value, first.dtype, elements.shape, first.device, first.metadata.data_type)

    checks: deque[Check] = deque()

    def write(elements: Any, values: Any) -> None:
        while checks:
            checks.popleft()()
        cascade.write(elements, values)

    inner = Writer(accept, write, first.layout, run.max_bytes // 2, first.device, 1, cascade)
    writer = ImageWriter(self, inner, blocks, checks, must_finish=not run.journals)
    if progress is not False:
        writer.report_to(progress, sum(map(volume, run.wanted)) if blocks.blocks is None else len(blocks.blocks))
    return writer
