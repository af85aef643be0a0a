"""A store of rows for tests of the loader: shards of zstd chunks, from which a network can learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr

SAMPLES, SIDE = 96, 6


def values(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (SAMPLES, SIDE, SIDE) float32, and what is to be learned: the difference of two of their halves."""
    pictures = np.random.default_rng(seed).normal(3, 2, (SAMPLES, SIDE, SIDE)).astype("f4")
    return pictures, pictures[:, :3].mean((1, 2)) - pictures[:, 3:].mean((1, 2))


def store(folder: Path) -> None:
    """Write them as the arrays x and y."""
    x, y = values()
    gpuzarr.create_array(folder / "x", data=x, chunks=(4, SIDE, SIDE), shards=(16, SIDE, SIDE), compressors="zstd")
    gpuzarr.create_array(folder / "y", data=y, chunks=(8,), shards=(48,), compressors="zstd")


def arrays(folder: Path, device: Any = "cpu") -> dict[str, Any]:
    """These arrays, opened for a device."""
    return {name: gpuzarr.open_array(folder / name, mode="r", device=device) for name in ("x", "y")}


def loader(folder: Path, device: Any = "cpu", **options: Any) -> Any:
    """A loader of them: 12 batches of 8 in random order."""
    given = {"batch_size": 8, "shuffle": gpuzarr.BlockShuffle(blocks=4), "seed": 3} | options
    return gpuzarr.Loader(arrays(folder, device), **given)
