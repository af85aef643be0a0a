"""A cluster of two processes, and functions that its workers run: they import this module."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

START_SECONDS = 60


def die_once(block: np.ndarray, folder: str, victim: int, block_id: tuple[int, ...] = ()) -> np.ndarray:
    """A block; the process that is the first to compute the block `victim` is killed, as by the system."""
    if block_id[0] == victim:
        try:
            os.close(os.open(Path(folder) / "died", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return block
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def process_of(block: np.ndarray) -> np.ndarray:
    """The number of the process that has a block, for each of its elements."""
    return np.full(block.shape, os.getpid(), np.int64)


def client() -> Any:
    """A client of a new cluster; dask does not use it unless it is told to."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0)
    return Client(cluster, set_as_default=False, timeout=START_SECONDS)
