"""Make batches of held chunks, and deal with chunks that could not be read."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.loader.batches.cut import Cutter, Failed
from gpuzarr.loader.batches.held import Failure, Held
from gpuzarr.loader.batches.live_blocks import Group, Samples
from gpuzarr.loader.batches.report import Account
from gpuzarr.loader.batches.slots import complete
from gpuzarr.loader.contract import Step, View

OnError = Literal["raise", "skip", "fill"]


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch: an array of the device for each view, by its name; its step; the store and the first element of each
    sample, int64 (n, 1 + axes). `skipped`: samples that were left out."""

    arrays: dict[str, Any]
    step: Step
    origins: np.ndarray
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.origins)


@dataclass(frozen=True, eq=False)
class Room:
    """Memory for the arrays of a batch, (n, *shape), and of each device a timestamp behind all of it."""

    arrays: Sequence[Any]
    begun: Sequence[tuple[Device, Any]]


@dataclass(frozen=True)
class Maker:
    """Makes the batches of one epoch, several at a time, of arrays that some views want.

    One thread at a time deals with chunks that could not be read, while others cut: they are in `Held.failed` until
    they were read again.
    """

    views: Sequence[View]
    held: Held
    account: Account
    on_error: OnError
    met: set[Failure] = field(default_factory=set)  # of which a batch has told
    lock: threading.Lock = field(default_factory=threading.Lock)

    def batch(self, samples: Samples, room: Room) -> Batch:
        """Cut the batch of a step, complete on its device. ChunkError or StoreError where it needs a chunk that could
        not be read, and is not to be left out or filled."""
        arrays, groups = {view.name: out for view, out in zip(self.views, room.arrays, strict=True)}, samples.groups
        made = Batch(arrays, samples.step, samples.origins)
        if failed := self._cut(groups, room):
            with self.lock:
                if self.on_error == "raise" and self._has_read_again(failed):
                    failed = self._cut(groups, room)
                self._tell(failed)
                return made if not failed or self.on_error == "fill" else self._without(made, failed, room)
        return made

    def _cut(self, groups: Sequence[Group], room: Room) -> dict[Failure, np.ndarray]:
        failed: dict[Failure, np.ndarray] = {}
        for device, begun in room.begun:
            with device.after(begun, "cutting"):
                for number, (view, out) in enumerate(zip(self.views, room.arrays, strict=True)):
                    cutter = Cutter(view, number, self.held)
                    if cutter.device is device:
                        for chunk, rows in cutter.cut(groups, out).items():
                            failed[chunk] = np.union1d(rows, failed.get(chunk, rows))
                complete(device)
        return failed

    def _has_read_again(self, failed: Failed) -> bool:
        """Read the chunks again of which a batch before has told. Whether any of all can be read now: by this, or by
        a batch beside it."""
        again = [chunk for chunk in failed if chunk in self.met and chunk in self.held.failed]
        needs = {n: np.unique([chunk for of, chunk in again if of == n]) for n in {of for of, _ in again}}
        if needs:
            for device, trace in self.held.load(needs):
                self.account.add_load(device, trace)
            self.account.add_held(self.held)
        return any(chunk not in self.held.failed for chunk in failed)

    def _tell(self, failed: Failed) -> None:
        """Note what failed, once for each chunk."""
        new = [chunk for chunk in failed if chunk not in self.met]
        self.met.update(new)
        self.account.fail([self.held.failed[chunk] for chunk in new])

    def _without(self, batch: Batch, failed: Failed, room: Room) -> Batch:
        """The batch without the samples that want some of a chunk that could not be read; or the error of the first."""
        if self.on_error == "raise":
            first = min(failed, key=lambda chunk: (int(failed[chunk][0]), chunk))
            raise self.held.failed[first].with_traceback(None)  # of the batch before that wanted it
        kept = np.setdiff1d(np.arange(len(batch)), np.concatenate(list(failed.values())))
        arrays = dict[str, Any]()
        for device, _ in room.begun:
            with device.after(None, "cutting"):
                for number, view in enumerate(self.views):
                    if Cutter(view, number, self.held).device is device:
                        out = batch.arrays[view.name]
                        out[: len(kept)] = out[device.xp.asarray(kept)]
                        arrays[view.name] = out[: len(kept)]
                complete(device)
        ordered = {view.name: arrays[view.name] for view in self.views}
        return replace(batch, arrays=ordered, origins=batch.origins[kept], skipped=len(batch) - len(kept))
