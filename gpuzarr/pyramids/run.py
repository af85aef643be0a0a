"""What one worker writes of an image: which regions, by which cascade, from where an interrupted run has stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import flag
from gpuzarr.nodes.missing import as_bounds
from gpuzarr.pyramids.cascade import Cascade, Reduce
from gpuzarr.pyramids.downsample import downsample
from gpuzarr.pyramids.ownership import missing_boxes, shard_slices, writable_factors
from gpuzarr.pyramids.resume import restore
from gpuzarr.read.memory import parse_bytes
from gpuzarr.write.coverage import Bounds
from gpuzarr.write.journal import Journal


@dataclass(frozen=True)
class Run:
    """The writing of an image by one worker.

    `owned`: the boxes of level 0 of this worker; `wanted`: those that are not done. `max_bytes`: that may be held.
    `journals`: of all levels; none where the run is not to be resumed.
    """

    image: Any
    cascade: Cascade
    owned: Sequence[Bounds]
    wanted: Sequence[Bounds]
    max_bytes: int
    journals: Sequence[Journal]

    def restore(self) -> None:
        """Take up what an interrupted run has stored, for levels that it did not complete."""
        if not self.journals:
            return
        try:
            restore(self.cascade, self.image, self.owned, [journal.done.copy() for journal in self.journals])
        except BaseException:
            self.cascade.abort()
            raise


def begin(
    image: Any, max_inflight: int | str = "1GiB", resume: bool = False, rank: int = 0, world_size: int = 1
) -> Run:
    """Begin to write an image; the arguments are those of `Image.writer`."""
    levels, factors = image.levels, writable_factors(image)
    first = levels[0]
    first.check_writable()
    most = parse_bytes(max_inflight, "max_inflight")
    limit = most if first.options.memory_limit is None else min(most, first.options.memory_limit)
    owned = [as_bounds(region) for region in shard_slices(image, rank, world_size)]
    journals = [Journal(each.store, each.path, each.layout) for each in levels] if flag(resume, "resume") else []
    wanted = missing_boxes(first, owned, journals[0].done) if journals else owned
    cascade = Cascade(levels, factors, reducer(image), limit, most // 4, journals)
    return Run(image, cascade, owned, wanted, most, journals)


def reducer(image: Any) -> Reduce:
    """The method of an image, on its device."""
    device, method, background = image.levels[0].device, image.method, image.background

    def reduce(values: Any, window: tuple[int, ...]) -> Any:
        return downsample(values, window, method, device, background)

    return reduce
