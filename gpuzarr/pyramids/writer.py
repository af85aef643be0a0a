"""The writer of an image: blocks of level 0 are converted, blended and written, and with them all other levels."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from gpuzarr.checks import flag
from gpuzarr.errors import ArgumentError
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.selection import Outer
from gpuzarr.nodes.inputs import as_value
from gpuzarr.nodes.missing import as_bounds, as_slices
from gpuzarr.progress import reporting
from gpuzarr.pyramids import ownership
from gpuzarr.pyramids.cascade import Cascade
from gpuzarr.pyramids.incoming import Check, Incoming, incoming
from gpuzarr.pyramids.resume import journals, reducer, restore
from gpuzarr.read.memory import parse_bytes
from gpuzarr.write.coverage import volume
from gpuzarr.write.merge import bounds_of
from gpuzarr.write.writer import Writer


class ImageWriter:
    """Writes blocks to all levels of an image; made by `Image.writer`, which says how.

    Attributes
    ----------
    blocks
        The blocks to write, as tuples of slices: those of this worker that are not done. None where the writer was made
        without `block`.
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
        """Show progress, as `progress.reporting` takes it: blocks, or elements where there is no plan of blocks."""
        unit = "element" if self.blocks is None else "block"
        self._report = self._exits.enter_context(reporting(progress, total, "writing", unit))

    def __setitem__(self, selection: Any, value: Any) -> None:
        elements = select.basic(selection, self._image.levels[0].shape)
        bounds = bounds_of(elements)
        if bounds is None or not isinstance(elements, Outer):
            if 0 in elements.shape:
                return
            raise ArgumentError(f"a writer of images takes boxes: slices with step 1 and integers, not {selection!r}")
        with self._image.levels[0].device.on():
            for box, values, check in self._incoming.take(elements, bounds, value):
                if check is not None:
                    self._checks.append(check)
                self._writer[as_slices(box)] = values
        if self._report is not None:
            self._report(volume(bounds) if self.blocks is None else 1)

    def flush(self) -> None:
        """Wait until everything that is final is in the store, at all levels. Raises the first error.

        Elements of coarser levels of which only a part was written are made of that part and of what the store has.
        """
        self._writer.flush()

    def close(self) -> None:
        """Flush, and end the writer.

        ArgumentError, when all else is written, if blocks to be blended did not come. With `resume=True` that is no
        error: the next writer asks for them.
        """
        with self._exits:
            self._writer.close()
        if self._must_finish and (unfinished := self._incoming.unfinished()):
            raise ArgumentError(f"{unfinished}; what they overlap is not written")

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            with self._exits:
                self._writer.__exit__(kind, error, at)


def open_writer(
    image: Any,
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
    """Make a writer of an image; see `Image.writer`."""
    levels, factors = image.levels, ownership.writable_factors(image)
    first = levels[0]
    first.check_writable()
    most = parse_bytes(max_inflight, "max_inflight")
    limit = most if first.options.memory_limit is None else min(most, first.options.memory_limit)
    owned = [as_bounds(region) for region in ownership.shard_slices(image, rank, world_size)]
    noted = journals(image) if flag(resume, "resume") else []
    wanted = ownership.missing_boxes(first, owned) if resume else owned
    how = {"argmax": argmax, "scale": scale, "offset": offset, "clamp": clamp, "to": to, "nan_to": nan_to}
    blocks = incoming(image, wanted if block is not None else owned, block, halo, blend, how)
    cascade = Cascade(levels, factors, reducer(image), limit, most // 4, noted)
    if resume:
        restore(cascade, image, owned)

    def accept(selection: Any, value: Any) -> tuple[Any, Any]:
        elements = select.basic(selection, first.shape)
        return elements, as_value(value, first.dtype, elements.shape, first.device, first.metadata.data_type)

    checks: deque[Check] = deque()

    def write(elements: Any, values: Any) -> None:
        while checks:
            checks.popleft()()
        cascade.write(elements, values)

    inner = Writer(accept, write, first.layout, most // 2, first.device, 1, cascade)
    writer = ImageWriter(image, inner, blocks, checks, must_finish=not resume)
    if progress is not False:
        writer.report_to(progress, sum(map(volume, wanted)) if blocks.blocks is None else len(blocks.blocks))
    return writer
