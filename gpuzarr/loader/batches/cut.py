"""Cut samples out of held chunks into the arrays of a batch, cast on their way.

On a GPU one launch does that for an array of the batch, whatever stores its samples are of; on a CPU the C library
does, or NumPy for what is more than bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpuzarr import gpu, native
from gpuzarr.batch import Boxes
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing.boxes import ChunkBoxes, Targets, boxes
from gpuzarr.loader.batches.copies import BoxCopies, Copies, CornerCopies, cast_all
from gpuzarr.loader.batches.held import Failure, Held
from gpuzarr.loader.batches.live_blocks import Group
from gpuzarr.loader.batches.pieces import Piece, in_bytes, moved, of_corners, rows_of, runs
from gpuzarr.loader.batches.sources import Source
from gpuzarr.loader.contract import Corners, View

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
            alike.setdefault((self.view.cast[group.store], self._source(group.store).dtype), []).append(group)
        for (cast, dtype), some in alike.items():
            device, by_numpy = self._source(some[0].store).device, dtype.hasobject or native.library() is None
            if cast is not None and cast.is_spread and (device.gpu or native.library() is None):
                self._place_and_scale(some, out, cast, device, failed)
            elif device.gpu or by_numpy or dtype.kind == "T":
                self._place(some, out, cast, device, failed)
            else:
                self._copy(some, out, cast, device, failed)
        for group in groups:
            if group.corners[self.number] is None:
                self._pad(group, out)
        return failed

    def _source(self, store: int) -> Source:
        return self.held.sources.all[self.held.sources.of[self.number][store]]

    def _copy(self, groups: Sequence[Group], out: np.ndarray, cast: Cast | None, device: Any, failed: Failed) -> None:
        """On a CPU: copies of bytes, and casts of runs of memory; both are many times faster than casts of boxes."""
        if cast is None:
            for one in self._copies(groups, out, device, failed):
                one.place(out, device)
            return
        whole = np.empty(out.shape, cast.source)  # of which no memory is touched
        copies, is_all = list(self._copies(groups, whole, device, failed)), sum(map(len, groups)) == len(out)
        made = out if is_all else np.empty(out.shape, out.dtype)
        cast_all(copies, made, cast, device)
        if not is_all:
            rows = np.concatenate([group.rows for group in groups])
            out[rows] = made[rows]

    def _copies(self, groups: Sequence[Group], out: np.ndarray, device: Any, failed: Failed) -> Iterator[Copies]:
        """Of samples of stores whose elements are alike."""
        for group in groups:
            corners = self._corners(group)
            found = None if corners is None else self._source(group.store).boxes(corners)
            if found is not None:
                of = self.held.sources.of[self.number][group.store]
                yield CornerCopies(found, len(found) // len(group), self.held.addresses(of), group.which)
            else:
                yield from map(BoxCopies, self._of_store(group, out, device, failed))

    def _corners(self, group: Group) -> Corners | None:
        """Where samples are boxes of one shape, of chunks that are equally large and could all be read: these."""
        corners = group.corners[self.number]
        return None if self.held.failed or not self._source(group.store).is_regular else corners

    def _place_and_scale(self, groups: Sequence[Group], out: Any, cast: Cast, device: Device, failed: Failed) -> None:
        """Where scales are spread over samples: as they are, in the batch or in scratch, and scaled there."""
        is_all = sum(map(len, groups)) == len(out)
        made = out if is_all and out.dtype == cast.work else device.array(out.shape, cast.unscaled.dtype)
        self._place(groups, made, cast.unscaled, device, failed)
        scaled = replace(cast, source=cast.unscaled.dtype, nan_of=None)
        found = gpu.cast.scale_all(device, made, cast) if device.gpu else scaled.of(made)
        if is_all and found is not out:
            out[...] = found
        elif not is_all:
            rows = np.concatenate([group.rows for group in groups])
            rows = device.upload(rows) if device.gpu else rows
            out[rows] = found[rows]

    def _place(self, groups: Sequence[Group], out: Any, cast: Cast | None, device: Device, failed: Failed) -> None:
        """Of samples of stores whose elements are alike: in one launch, or what is more than bytes box by box."""
        pieces: list[Piece] = []
        for group in groups:
            if placeable(self._source(group.store), out, device):
                pieces += self._of_store(group, out, device, failed)
            else:
                self._assign(group, out, cast, device, failed)
        if pieces:
            place_on_gpu(pieces, out, cast, device)

    def _of_store(self, group: Group, out: Any, device: Device, failed: Failed) -> Iterator[Piece]:
        source, corners = self._source(group.store), self._corners(group)
        if corners is not None and device.gpu:
            coords, found = of_corners(source, corners, out.dtype.itemsize)
            found = found if group.which is None else moved(found, group.which, out.strides[0])
            yield Piece(source, self._addresses(group.store, self._find(group.store, coords)[1]), found)
            return
        rows = out[: len(group)]  # as if all samples of the store lay side by side
        targets = self.view.targets(group.store, group.origins, rows)
        for table in boxes(self.view.selections(group.store, group.origins), source.axes):
            numbers, slots = self._find(group.store, table.coords)
            found = in_bytes(table, source, targets, rows, device)
            found = found if group.which is None else moved(found, group.which, out.strides[0])
            self._note_failed(group.store, numbers, found, out, failed)
            yield Piece(source, self._addresses(group.store, slots), found)

    def _assign(self, group: Group, out: Any, cast: Cast | None, device: Device, failed: Failed) -> None:
        """Assign the samples of a store, box by box."""
        store, source, is_all = group.store, self._source(group.store), group.which is None
        rows = out if is_all else device.array((len(group), *out.shape[1:]), out.dtype)
        targets = self.view.targets(store, group.origins, rows)
        for table in boxes(self.view.selections(store, group.origins), source.axes):
            numbers, slots = self._find(store, table.coords)
            if self.held.failed:
                found = moved(in_bytes(table, source, targets, rows, device), group.rows, rows.strides[0])
                self._note_failed(store, numbers, found, out, failed)
            _assign(table, list(self.held.slots[source.form].arrays(slots)), Targets(targets), cast, device)
        if not is_all:
            out[device.xp.asarray(group.which)] = rows

    def _find(self, store: int, coords: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and slots of the chunks at some coordinates."""
        numbers = self._source(store).numbers(coords)
        return numbers, self.held.find(self.held.sources.of[self.number][store], numbers)

    def _addresses(self, store: int, slots: np.ndarray) -> np.ndarray:
        return self.held.slots[self._source(store).form].addresses(slots)

    def _note_failed(self, store: int, numbers: np.ndarray, found: Boxes, out: Any, failed: Failed) -> None:
        of = self.held.sources.of[self.number][store]
        for i, chunk in enumerate(numbers.tolist()) if self.held.failed else ():
            if (of, chunk) in self.held.failed:
                failed[of, chunk] = rows_of(found, np.flatnonzero(found.chunk == i), out.strides[0])

    def _pad(self, group: Group, out: Any) -> None:
        value = self.view.pad_value
        if self.device.gpu and np.ndim(value):
            value = self.device.upload(value)
        rows = group.rows
        for a, b in runs(rows):
            for part in self.view.padding(group.store, group.origins[a:b], out[int(rows[a]) : int(rows[b - 1]) + 1]):
                part[...] = value


def placeable(source: Source, out: Any, device: Device) -> bool:
    """Whether the elements are bytes that kernels can place in `out`."""
    is_bytes = not source.dtype.hasobject and source.dtype.kind != "T"
    return is_bytes and bool(device.gpu) and gpu.place.fits(source.chunk_shape, out, device)


def place_on_gpu(pieces: Sequence[Piece], out: Any, cast: Cast | None, device: Device) -> None:
    """Place pieces in one launch."""
    addresses = np.concatenate([piece.addresses for piece in pieces]).astype(np.uint64)
    program = None if cast is None else gpu.programs.program_of(cast)
    chunks = gpu.place.Chunks(addresses, pieces[0].source.strides, 1, None, program=program)
    gpu.place.place(device, [(pieces, [out])], np.ones(len(addresses), bool), chunks, 0)


def _assign(table: ChunkBoxes, chunks: list[Any], targets: Targets, cast: Cast | None, device: Device) -> None:
    """Assign boxes one by one."""
    for one in table.each_of(slice(0, len(table))):
        chunk = chunks[one.number]
        if cast is not None and device.gpu:
            chunk = gpu.cast.cast_all(device, chunk, cast)
        table.put(slice(one.first, one.end), chunk[None], targets, None if device.gpu else cast, one.number)
