"""Cut samples out of held chunks into the arrays of a batch, cast on their way.

On a GPU one launch does that for an array of the batch, whatever stores its samples are of; on a CPU the C library
does, or NumPy for what is more than bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from gpuzarr import gpu, native
from gpuzarr.batch import Boxes
from gpuzarr.cpu.boxes import Placement
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing.boxes import ChunkBoxes, Targets, boxes
from gpuzarr.loader.contract import View
from gpuzarr.loader.held import Failure, Held
from gpuzarr.loader.needs import Source
from gpuzarr.read.thresholds import MIN_PLACED_BYTES

Group = tuple[int, np.ndarray, np.ndarray]  # a store; which samples of the batch are of it, and their origins
Failed = dict[Failure, np.ndarray]  # chunks that could not be read, and the samples of the batch that want some of them


@dataclass(frozen=True, eq=False)
class Piece:
    """Boxes of chunks of one source, and their places in one array, in whose bytes `target` is counted.

    `addresses`: of the chunks, int64. It is a part as `gpu.place` takes them.
    """

    source: Source
    addresses: np.ndarray
    found: Boxes

    sliced = True

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.source.chunk_shape

    def boxes(self, strides: Any, results: Any) -> Boxes:
        return self.found


@dataclass(frozen=True)
class Cutter:
    """Cuts what one view wants: number `number` of those whose chunks are held."""

    view: View
    number: int
    held: Held

    @property
    def device(self) -> Device:
        """Where the view's arrays of batches are."""
        return self._source(0).device

    def cut(self, groups: Sequence[Group], out: Any) -> Failed:
        """Fill `out`, (n, *shape), with samples. Returns the chunks that could not be read, with the rows that want
        some of them."""
        failed: Failed = {}
        if not out.size:
            return failed
        alike: dict[Any, list[Group]] = {}
        for group in groups:
            alike.setdefault((self.view.cast[group[0]], self._source(group[0]).dtype), []).append(group)
        for (cast, dtype), some in alike.items():
            device = self._source(some[0][0]).device
            if device.gpu or cast is None or dtype.hasobject or native.library() is None:
                self._place(some, out, cast, device, failed)
            else:
                self._place_and_cast(some, out, cast, device, failed)
        for group in groups:
            self._pad(*group, out)
        return failed

    def _source(self, store: int) -> Source:
        return self.held.sources.all[self.held.sources.of[self.number][store]]

    def _place_and_cast(
        self, groups: Sequence[Group], out: np.ndarray, cast: Cast, device: Device, failed: Failed
    ) -> None:
        """On a CPU: copies of bytes, then casts of runs of memory; both are many times faster than casts of boxes."""
        scratch = np.empty(out.shape, cast.source)
        self._place(groups, scratch, None, device, failed)
        if sum(len(which) for _, which, _ in groups) == len(out):
            cast.put(out, scratch)
        else:
            rows = np.concatenate([which for _, which, _ in groups])
            out[rows] = cast.of(scratch[rows])

    def _place(self, groups: Sequence[Group], out: Any, cast: Cast | None, device: Device, failed: Failed) -> None:
        """Place the samples of stores whose elements are alike."""
        pieces: list[Piece] = []
        for store, which, origins in groups:
            source, is_all = self._source(store), len(which) == len(out)
            if is_placeable := placeable(source, out, device):
                proxy = out if is_all else out[: len(which)]
            else:
                proxy = out if is_all else device.array((len(which), *out.shape[1:]), out.dtype)
            selections = self.view.selections(store, origins)
            targets = self.view.targets(store, origins, proxy)
            for table in boxes(selections, source.axes):
                numbers = source.numbers(table.coords)
                slots = self.held.find(self.held.sources.of[self.number][store], numbers)
                memory = self.held.slots[source.form]
                if is_placeable or self.held.failed:
                    found = _in_bytes(table, source, targets, proxy, device)
                    found = found if is_all else _moved(found, which, out.strides[0])
                    self._note_failed(store, numbers, found, out, failed)
                if is_placeable:
                    pieces.append(Piece(source, memory.addresses(slots), found))
                else:
                    _assign(table, list(memory.arrays(slots)), Targets(targets), cast, device)
            if not is_placeable and not is_all:
                out[device.xp.asarray(which)] = proxy
        if pieces:
            place_on_gpu(pieces, out, cast, device) if device.gpu else place_on_cpu(pieces, out, device)

    def _note_failed(self, store: int, numbers: np.ndarray, found: Boxes, out: Any, failed: Failed) -> None:
        of = self.held.sources.of[self.number][store]
        for i, chunk in enumerate(numbers.tolist()) if self.held.failed else ():
            if (of, chunk) in self.held.failed:
                failed[of, chunk] = rows_of(found, np.flatnonzero(found.chunk == i), out.strides[0])

    def _pad(self, store: int, which: np.ndarray, origins: np.ndarray, out: Any) -> None:
        for a, b in runs(which):
            for part in self.view.padding(store, origins[a:b], out[int(which[a]) : int(which[b - 1]) + 1]):
                part[...] = self.view.pad_value


def placeable(source: Source, out: Any, device: Device) -> bool:
    """Whether the elements are bytes that kernels, or the C library, can place in `out`."""
    if source.dtype.hasobject or source.dtype.kind == "T":
        return False
    return gpu.place.fits(source.chunk_shape, out, device) if device.gpu else native.library() is not None


def place_on_gpu(pieces: Sequence[Piece], out: Any, cast: Cast | None, device: Device) -> None:
    """Place pieces in one launch."""
    addresses = np.concatenate([piece.addresses for piece in pieces]).astype(np.uint64)
    chunks = gpu.place.Chunks(addresses, pieces[0].source.strides, 1, None)
    gpu.place.place(device, [(pieces, [out])], np.ones(len(addresses), bool), chunks, 0, cast)


def place_on_cpu(pieces: Sequence[Piece], out: np.ndarray, device: Any) -> None:
    """Place pieces by the C library, on as many threads as it is worth."""
    for piece in pieces:
        placement = Placement(piece.found, out.dtype.itemsize, [out])
        place = partial(placement.place_some, piece.addresses)
        if out.nbytes < 2 * MIN_PLACED_BYTES:
            place((0, len(piece.found.chunk)))
        else:
            device.each(place, placement.runs(MIN_PLACED_BYTES))


def _in_bytes(table: ChunkBoxes, source: Source, targets: Sequence[Any], out: Any, device: Device) -> Boxes:
    """The boxes, with places that are counted from the first element of `out`."""
    found = table.boxes(source.strides, [target.strides for target in targets])
    base = np.array([device.address(target) for target in targets], np.int64) - device.address(out)
    return replace(found, target=found.target + base[found.result], result=np.zeros_like(found.result))


def _moved(found: Boxes, which: np.ndarray, step: int) -> Boxes:
    """The same boxes in rows `which` of an array whose rows are `step` bytes: row i goes to row which[i]."""
    found = _of_one_row(found, step)
    row, within = np.divmod(found.target, step)
    return replace(found, target=which[row] * step + within)


def _of_one_row(found: Boxes, step: int) -> Boxes:
    """The same boxes, cut where they are of several rows."""
    along = (found.extents > 1) & (found.targets >= step)
    if not along.any():
        return found
    axis = along.argmax(axis=1)
    shapes = np.arange(len(axis))
    is_long = along[shapes, axis]
    rows = np.where(is_long, found.extents[shapes, axis], 1)
    source, target = (np.where(is_long, column[shapes, axis], 0) for column in (found.sources, found.targets))
    extents = found.extents.copy()
    extents[shapes[is_long], axis[is_long]] = 1
    counts = rows[found.shape]
    of = np.repeat(np.arange(len(counts)), counts)
    number, shape = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts), found.shape[of]
    return replace(
        found,
        chunk=found.chunk[of],
        begin=found.begin[of] + number * source[shape],
        result=found.result[of],
        target=found.target[of] + number * target[shape],
        shape=shape,
        extents=extents,
    )


def rows_of(found: Boxes, which: np.ndarray, step: int) -> np.ndarray:
    """The rows of an array, of `step` bytes each, in which some boxes lie."""
    some = replace(
        found, **{name: getattr(found, name)[which] for name in ("chunk", "begin", "result", "target", "shape")}
    )
    return np.unique(_of_one_row(some, step).target // step)


def runs(which: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last + 1 of the runs of ascending neighbours."""
    heads = np.flatnonzero(np.diff(which) != 1) + 1
    return pairwise([0, *heads.tolist(), len(which)])


def _assign(table: ChunkBoxes, chunks: list[Any], targets: Targets, cast: Cast | None, device: Device) -> None:
    """Assign boxes one by one."""
    for one in table.each_of(slice(0, len(table))):
        chunk = chunks[one.number]
        if cast is not None and device.gpu:
            chunk = gpu.cast.cast_all(device, chunk, cast)
        table.put(slice(one.first, one.end), chunk[None], targets, None if device.gpu else cast, one.number)
