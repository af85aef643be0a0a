"""What a loader has to tell of processes: one that was forked, and several that train together."""

from __future__ import annotations

import sys
import warnings

from gpuzarr.errors import ClosedError
from gpuzarr.per_process import PROCESS


def check_process(process: object, was_used: bool) -> None:
    """ClosedError in a forked child of a `process` that has used the loader."""
    if process is not PROCESS.value and was_used:
        raise ClosedError(
            "this loader was in use in the process from which this one was forked: its threads are not here. Use "
            "num_workers=0 (it has threads of its own), or start workers by 'spawn' or 'forkserver'"
        )


def warn_of_ranks(world_size: int) -> None:
    """Warn where several processes train together, and each would have all samples."""
    distributed = sys.modules.get("torch.distributed")
    if world_size == 1 and distributed is not None and distributed.is_available() and distributed.is_initialized():
        there = distributed.get_world_size()
        if there > 1:
            told = f"torch.distributed has {there} processes, and each gets all samples of this loader"
            warnings.warn(f"{told}: give rank= and world_size=", stacklevel=4)
