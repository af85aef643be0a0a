"""Writers in each other's way are killed: every element is one that was written, the next writer works, and what the
killed have left is found and removed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import gpuzarr
from tests.attack.rounds import FACTOR, rounds
from tests.data import partial_files

FORK = multiprocessing.get_context("fork")
SHAPE = (64, 64)


def write_forever(path: str, seed: int) -> None:
    """Wholes, parts and layers, until somebody kills us."""
    a, chosen, value = gpuzarr.open_array(path, mode="r+", device="cpu"), random.Random(seed), 2
    while True:
        value += 1
        first, last = sorted(chosen.sample(range(65), 2))
        a[...] = value
        a[first:last, 3:60] = value
        with a.writer() as w:
            w[0:8] = value
            w[8:16] = value


@pytest.mark.parametrize("shards", [None, (32, 32)])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_killed_beside_others(zarr_format: int, shards: Any, tmp_path: Path) -> None:
    if zarr_format == 2 and shards:
        pytest.skip("Zarr v2 has no shards")
    chunks = (16, 16) if shards is None else (8, 8)
    a = gpuzarr.create_array(
        tmp_path, shape=SHAPE, dtype="i4", chunks=chunks, shards=shards, zarr_format=zarr_format, device="cpu"
    )
    a[...] = 1
    moments = random.Random(1)
    for number in rounds("kills", range(4 * FACTOR)):
        children = [FORK.Process(target=write_forever, args=(str(tmp_path), 3 * number + i)) for i in range(3)]
        for child in children:
            child.start()
        time.sleep(moments.uniform(0.02, 0.1))
        for child in children:
            os.kill(child.pid or 0, signal.SIGKILL)
            assert a[...].min() >= 1
        for child in children:
            child.join(60)
        a[5:9, 5:50] = 1
        assert a[...].min() >= 1
    last = FORK.Process(target=a.__setitem__, args=(..., 7))
    last.start()
    last.join(60)
    assert last.exitcode == 0 and (a[...] == 7).all() and not partial_files(tmp_path)
