"""Write all of an image from an array that is there, piece by piece, with all its levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import lcm, prod
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ValueKindError
from gpuzarr.indexing.selection import Outer
from gpuzarr.interrupts import ensured
from gpuzarr.line import Line
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.inputs import as_array, as_value
from gpuzarr.nodes.missing import as_slices
from gpuzarr.progress import reporting
from gpuzarr.pyramids import ownership
from gpuzarr.pyramids.cascade import Cascade, cell_shape, cut
from gpuzarr.pyramids.incoming import cell_of
from gpuzarr.pyramids.run import begin
from gpuzarr.tasks import Task
from gpuzarr.write.coverage import Bounds, volume

PIECE_BYTES = 32 << 20  # of level 0 that are written at once on a CPU; two are in memory
GPU_PIECE_BYTES = 256 << 20


def write_all(image: Any, source: Any, *, progress: Any = False, **how: Any) -> None:
    """Write a source to all levels of an image.

    Parameters
    ----------
    image
        An `Image` whose finest level has the shape of the source.
    source
        An array of NumPy, CuPy, dask or this library, or anything else that has a shape and can be sliced. It may be
        larger than memory: one piece is read while the one before is written.
    progress
        True for a bar, or a function that is called with the elements done and the elements in all.
    **how
        As for `begin`.

    Raises
    ------
    ValueKindError
        The shape or the elements do not fit the image.
    """
    first: Array = image.levels[0]
    if not hasattr(source, "shape"):
        source = as_array(source, first.dtype)
    if tuple(source.shape) != first.shape:
        raise ValueKindError(f"a source of shape {shown(tuple(source.shape))} for an image of shape {first.shape}")
    run = begin(image, **how)
    run.restore()
    pieces = pieces_of(image, source, run.wanted, run.max_bytes)
    with reporting(progress, sum(map(volume, run.wanted)), "writing", "element") as report:
        work = Pipelined(run.cascade, first, source, report)
        ensured(partial(work.run, pieces), work.end)


class Pipelined:
    """Reads the next piece of a source on the caller's thread while another one writes the last."""

    def __init__(self, cascade: Cascade, level: Array, source: Any, report: Any) -> None:
        self._cascade, self._level, self._source, self._report = cascade, level, source, report
        self._line, self._is_done = Line(), False
        self._task: Task | None = None

    def run(self, pieces: Iterator[Bounds]) -> None:
        """Write all pieces, and complete the levels."""
        for bounds in pieces:
            values, mark = self._read(bounds)
            self._wait()
            self._task = Task(partial(self._write, bounds, values, mark))
            self._line.add(self._task)
            del values
        self._wait()
        self._cascade.close()
        self._is_done = True

    def end(self) -> None:
        """Begin nothing more, and leave nothing of what was not completed."""
        if not self._is_done:
            if self._task is not None:
                self._task.end()
            self._cascade.abort()

    def _read(self, bounds: Bounds) -> tuple[Any, Any]:
        level, device = self._level, self._level.device
        with device.on():
            found = self._source[as_slices(bounds)]
            values = as_value(found, level.dtype, tuple(b - a for a, b in bounds), device, level.metadata.data_type)
            return values, device.timestamp()

    def _write(self, bounds: Bounds, values: Any, mark: Any) -> None:
        with self._level.device.after(mark):
            self._cascade.write(Outer(tuple(range(a, b) for a, b in bounds)), values)
        self._report(volume(bounds))

    def _wait(self) -> None:
        if self._task is not None:
            self._task.result()
            self._task = None


def pieces_of(image: Any, source: Any, wanted: Sequence[Bounds], most: int) -> Iterator[Bounds]:
    """Cut boxes into pieces of whole cells and, where that is not much more, of whole chunks of the source and whole
    cells of coarser levels."""
    level: Array = image.levels[0]
    nbytes = min(GPU_PIECE_BYTES if level.device.gpu else PIECE_BYTES, max(most // 8, 1))
    elements = max(nbytes // level.dtype.itemsize, 1)
    unit = cell_of(image)
    for larger, limit in (
        (chunks_of(source, level.ndim), most // 8 // level.dtype.itemsize),
        *coarser(image, elements),
    ):
        aligned = tuple(map(lcm, unit, larger))
        if prod(map(min, aligned, level.shape)) > limit:
            break
        unit = aligned
    for box in wanted:
        yield from cut(box, unit, elements)


def coarser(image: Any, limit: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """The cells of coarser levels in elements of the finest, and a limit for each."""
    scale = ownership.scales(image.factors, image.levels[0].ndim)
    windows = [*image.factors, (1,) * image.levels[0].ndim]
    for level, window, step in zip(image.levels[1:], windows[1:], scale[1:], strict=True):
        cell = cell_shape(level.layout, window)
        yield tuple(a * b for a, b in zip(cell, step, strict=True)), limit


def chunks_of(source: Any, ndim: int) -> tuple[int, ...]:
    """The shape in which a source is best read: that of its chunks; 1 where there are none."""
    found = getattr(source, "chunksize", None) or getattr(source, "chunks", None)  # of dask; of zarr and others
    if not isinstance(found, tuple) or len(found) != ndim or not all(isinstance(n, int) and n > 0 for n in found):
        return (1,) * ndim
    return found
