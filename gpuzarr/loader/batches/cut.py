"""Cut samples out of held chunks into the arrays of a batch, cast on their way.

On a GPU one launch does that for an array of the batch, whatever stores its samples are of; on a CPU the C library
does, or NumPy for what is more than bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gpuzarr import gpu, native
from gpuzarr.batch import Boxes
from gpuzarr.cpu.boxes import Placement
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing.boxes import ChunkBoxes, Targets, boxes
from gpuzarr.loader.batches.held import Failure, Held
from gpuzarr.loader.batches.needs import Source
from gpuzarr.loader.batches.pieces import Piece, in_bytes, moved, of_corners, rows_of, runs
from gpuzarr.loader.contract import View
from gpuzarr.read.thresholds import MIN_PLACED_BYTES

CAST_BYTES = 1 << 19  # of samples that are cast at once
Group = tuple[int, np.ndarray, np.ndarray]  # a store; which samples of the batch are of it, and their origins
Failed = dict[Failure, np.ndarray]  # chunks that could not be read, and the samples of the batch that want some of them


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
            if cast is not None and cast.is_spread and (device.gpu or native.library() is None):
                self._place_and_scale(some, out, cast, device, failed)
            elif device.gpu or cast is None or dtype.hasobject or native.library() is None:
                pieces = self._pieces(some, out, cast, device, failed)
                place_on_gpu(pieces, out, cast, device) if device.gpu else place_on_cpu(pieces, out, device)
            else:
                self._place_and_cast(some, out, cast, device, failed)
        for group in groups:
            self._pad(*group, out)
        return failed

    def _source(self, store: int) -> Source:
        return self.held.sources.all[self.held.sources.of[self.number][store]]

    def _place_and_cast(
        self, groups: Sequence[Group], out: np.ndarray, cast: Cast, device: Any, failed: Failed
    ) -> None:
        """On a CPU: copies of bytes, and casts of runs of memory; both are many times faster than casts of boxes."""
        whole = np.empty(out.shape, cast.source)  # of which no memory is touched
        pieces = self._pieces(groups, whole, None, device, failed)
        if sum(len(which) for _, which, _ in groups) == len(out):
            cast_on_cpu(pieces, out, cast, device)
        else:
            made = np.empty(out.shape, out.dtype)
            cast_on_cpu(pieces, made, cast, device)
            rows = np.concatenate([which for _, which, _ in groups])
            out[rows] = made[rows]

    def _place_and_scale(self, groups: Sequence[Group], out: Any, cast: Cast, device: Device, failed: Failed) -> None:
        """Where scales are spread over samples: as they are, in scratch, and from there to the batch."""
        made = device.array(out.shape, cast.unscaled.dtype)
        pieces = self._pieces(groups, made, cast.unscaled, device, failed)
        rows = np.concatenate([which for _, which, _ in groups])
        if device.gpu:
            place_on_gpu(pieces, made, cast.unscaled, device)
            made = gpu.cast.scale_all(device, made, cast)
            rows = device.upload(rows)
        else:
            made = replace(cast, source=cast.unscaled.dtype, nan_of=None).of(made)
        out[rows] = made[rows]

    def _pieces(
        self, groups: Sequence[Group], out: Any, cast: Cast | None, device: Device, failed: Failed
    ) -> list[Piece]:
        """The pieces of samples of stores whose elements are alike. What is more than bytes is assigned at once."""
        pieces: list[Piece] = []
        for group in groups:
            if placeable(self._source(group[0]), out, device):
                pieces += self._of_store(group, out, device, failed)
            else:
                self._assign(group, out, cast, device, failed)
        return pieces

    def _of_store(self, group: Group, out: Any, device: Device, failed: Failed) -> Iterator[Piece]:
        store, which, origins = group
        source, is_all = self._source(store), len(which) == len(out)
        if (made := self._by_corners(store, origins, out.dtype.itemsize)) is not None:
            yield Piece(source, made[0], made[1] if is_all else moved(made[1], which, out.strides[0]))
            return
        rows = out[: len(which)]  # as if all samples of the store lay side by side
        targets = self.view.targets(store, origins, rows)
        for table in boxes(self.view.selections(store, origins), source.axes):
            numbers, slots = self._find(store, table)
            found = in_bytes(table, source, targets, rows, device)
            found = found if is_all else moved(found, which, out.strides[0])
            self._note_failed(store, numbers, found, out, failed)
            yield Piece(source, self.held.slots[source.form].addresses(slots), found)

    def _assign(self, group: Group, out: Any, cast: Cast | None, device: Device, failed: Failed) -> None:
        """Assign the samples of a store, box by box."""
        store, which, origins = group
        source, is_all = self._source(store), len(which) == len(out)
        rows = out if is_all else device.array((len(which), *out.shape[1:]), out.dtype)
        targets = self.view.targets(store, origins, rows)
        for table in boxes(self.view.selections(store, origins), source.axes):
            numbers, slots = self._find(store, table)
            if self.held.failed:
                found = moved(in_bytes(table, source, targets, rows, device), which, rows.strides[0])
                self._note_failed(store, numbers, found, out, failed)
            _assign(table, list(self.held.slots[source.form].arrays(slots)), Targets(targets), cast, device)
        if not is_all:
            out[device.xp.asarray(which)] = rows

    def _find(self, store: int, table: ChunkBoxes) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and slots of the chunks of a table."""
        numbers = self._source(store).numbers(table.coords)
        return numbers, self.held.find(self.held.sources.of[self.number][store], numbers)

    def _by_corners(self, store: int, origins: np.ndarray, item: int) -> tuple[np.ndarray, Boxes] | None:
        """Addresses of chunks and their boxes, found with a few operations on arrays, where samples are boxes of one
        shape, and all chunks could be read; else None."""
        source, of = self._source(store), self.held.sources.of[self.number][store]
        corners = None if self.held.failed else self.view.corners(store, origins)
        made = None if corners is None else of_corners(source, *corners, item)
        if made is None:
            return None
        coords, found = made
        return self.held.slots[source.form].addresses(self.held.find(of, source.numbers(coords))), found

    def _note_failed(self, store: int, numbers: np.ndarray, found: Boxes, out: Any, failed: Failed) -> None:
        of = self.held.sources.of[self.number][store]
        for i, chunk in enumerate(numbers.tolist()) if self.held.failed else ():
            if (of, chunk) in self.held.failed:
                failed[of, chunk] = rows_of(found, np.flatnonzero(found.chunk == i), out.strides[0])

    def _pad(self, store: int, which: np.ndarray, origins: np.ndarray, out: Any) -> None:
        value = self.view.pad_value
        if self.device.gpu and np.ndim(value):
            value = self.device.upload(value)
        for a, b in runs(which):
            for part in self.view.padding(store, origins[a:b], out[int(which[a]) : int(which[b - 1]) + 1]):
                part[...] = value


def placeable(source: Source, out: Any, device: Device) -> bool:
    """Whether the elements are bytes that kernels, or the C library, can place in `out`."""
    if source.dtype.hasobject or source.dtype.kind == "T":
        return False
    return gpu.place.fits(source.chunk_shape, out, device) if device.gpu else native.library() is not None


def place_on_gpu(pieces: Sequence[Piece], out: Any, cast: Cast | None, device: Device) -> None:
    """Place pieces in one launch."""
    if pieces:
        addresses = np.concatenate([piece.addresses for piece in pieces]).astype(np.uint64)
        chunks = gpu.place.Chunks(addresses, pieces[0].source.strides, 1, None)
        gpu.place.place(device, [(pieces, [out])], np.ones(len(addresses), bool), chunks, 0, cast)


def place_on_cpu(pieces: Sequence[Piece], out: np.ndarray, device: Any) -> None:
    """Place pieces by the C library, on as many threads as it is worth."""
    for piece in pieces:
        placement = Placement(piece.found, out.dtype.itemsize, [out])
        if out.nbytes < 2 * MIN_PLACED_BYTES:
            placement.place(piece.addresses)
        else:
            device.each(partial(placement.place_some, piece.addresses), placement.runs(MIN_PLACED_BYTES))


def cast_on_cpu(pieces: Sequence[Piece], out: np.ndarray, cast: Cast, device: Any) -> None:
    """Place pieces in scratch, a few rows at a time, which are cast from there while they are in a core's cache."""
    step = out.nbytes // len(out) // out.dtype.itemsize * cast.source.itemsize
    per = max(CAST_BYTES // step, 1)
    parts = range(-(-len(out) // per))
    sorted_pieces = [piece.in_parts(per * step, step, len(parts)) for piece in pieces]

    def work(left: Iterator[int]) -> None:
        scratch = np.empty((per, *out.shape[1:]), cast.source)
        placements = [Placement(piece.found, cast.source.itemsize, [scratch]) for piece, _ in sorted_pieces]
        for part in left:
            rows = out[part * per : (part + 1) * per]
            for placement, (piece, heads) in zip(placements, sorted_pieces, strict=True):
                placement.place_some(piece.addresses, (heads[part], heads[part + 1]))
            cast.put(rows, scratch[: len(rows)])

    device.share(work, parts, 1 if out.nbytes < 2 * MIN_PLACED_BYTES else min(device.threads, len(parts)))


def _assign(table: ChunkBoxes, chunks: list[Any], targets: Targets, cast: Cast | None, device: Device) -> None:
    """Assign boxes one by one."""
    for one in table.each_of(slice(0, len(table))):
        chunk = chunks[one.number]
        if cast is not None and device.gpu:
            chunk = gpu.cast.cast_all(device, chunk, cast)
        table.put(slice(one.first, one.end), chunk[None], targets, None if device.gpu else cast, one.number)
