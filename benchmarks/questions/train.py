"""A small network learns to find what a noisy volume shows, from random crops that `gpuzarr.Loader` cuts.

The volume and its labels are made here and stored in zstd shards. It takes less than a minute on a CPU. At the end of
each epoch it says what limited it: reading, decoding, cutting, or the network itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr
from gpuzarr.devices.cpu import cores

BATCH = 8
SHOWS, NOISE, BACKGROUND = (
    300.0,
    500.0,
    1000.0,
)  # the brightness that things have beyond the background, and of the noise


@dataclass(frozen=True)
class Size:
    """Of the volume, of what its shards hold, and of the crops; edges in voxels."""

    shape: tuple[int, int, int]
    chunks: tuple[int, int, int]
    shards: tuple[int, int, int]
    crop: tuple[int, int, int]


WHOLE = Size((48, 384, 384), (16, 64, 64), (48, 192, 192), (8, 64, 64))
TINY = Size((16, 64, 64), (8, 16, 16), (16, 32, 32), (4, 16, 16))


def finer(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values on a finer grid, linearly interpolated along each axis."""
    for axis, length in enumerate(shape):
        count = coarse.shape[axis]
        place = np.linspace(0, count - 1, length)
        weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(count))).astype("f4")
        coarse = np.moveaxis(np.tensordot(weights, coarse, (1, axis)), 0, axis)
    return coarse


def scan(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A volume, uint16, and where it shows something, uint8: about a third of the voxels."""
    random = np.random.default_rng(seed)
    coarse = random.standard_normal([n // 8 + 2 for n in shape], "f4")
    labels = (finer(coarse, shape) > 0.25).astype("u1")
    noise = random.standard_normal(shape, "f4") * NOISE
    return np.clip(BACKGROUND + SHOWS * labels.astype("f4") + noise, 0, 65535).astype("u2"), labels


def store(folder: Path, size: Size, seed: int) -> dict[str, gpuzarr.Array]:
    """Write the volume and its labels; and open them, on the GPU if there is one."""
    for name, values in zip(("image", "labels"), scan(size.shape, seed), strict=True):
        gpuzarr.create_array(folder / name, data=values, chunks=size.chunks, shards=size.shards, compressors="zstd")
    return {name: gpuzarr.open_array(folder / name, mode="r") for name in ("image", "labels")}


def network(width: int = 8) -> Any:
    """A number for each voxel of the crops (n, z, y, x): how likely it shows something."""
    from torch import nn

    def layer(before: int, after: int) -> Any:
        return nn.Conv3d(before, after, 3, padding=1)

    return nn.Sequential(
        nn.Unflatten(1, (1, -1)), layer(1, width), nn.ReLU(), layer(width, width), nn.ReLU(), layer(width, 1)
    )


def learn(model: Any, optimizer: Any, batches: Iterable[dict[str, Any]]) -> tuple[list[float], int]:
    """Train on all batches. The loss of each, and the number of samples."""
    from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

    losses, samples = [], 0
    for batch in batches:
        loss = loss_of(model(batch["image"]).squeeze(1), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        samples += len(batch["image"])
    return losses, samples


def loader_of(arrays: dict[str, Any], size: Size, seed: int) -> Any:
    """Random crops in random order, as tensors of float32; the image with mean 0 and standard deviation 1."""
    found = gpuzarr.stats(arrays["image"])
    return gpuzarr.Loader(
        arrays,
        batch_size=BATCH,
        sample=gpuzarr.Patch(size.crop, stride="random"),
        shuffle=gpuzarr.BlockShuffle(blocks=16),
        seed=seed,
        dtype=dict.fromkeys(arrays, "float32"),
        normalize={"image": (found.mean, found.std)},
        to="torch",
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3, help="passes through the volume (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the data, the network and the order (default 0)")
    parser.add_argument("--tiny", action="store_true", help="a volume so small that it takes a second")
    options = parser.parse_args(arguments)
    import torch

    torch.manual_seed(options.seed)
    torch.set_num_threads(max(cores() - 1, 1))  # one is left for the loader: threads that wait for each other are slow
    size = TINY if options.tiny else WHOLE
    with tempfile.TemporaryDirectory() as folder:
        arrays = store(Path(folder), size, options.seed)
        for name, array in arrays.items():
            print(f"{name}: {array.shape} {array.dtype}, {array.nchunks} chunks in shards, {array.device.name}")
        model = network().to("cuda" if arrays["image"].device.gpu else "cpu")
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        with loader_of(arrays, size, options.seed) as loader:
            print(f"{loader.plan()}\n")
            for epoch in range(options.epochs):
                begin = time.perf_counter()
                losses, samples = learn(model, optimizer, loader)
                rate = samples / (time.perf_counter() - begin)
                part = max(len(losses) // 8, 1)
                first, last = np.mean(losses[:part]), np.mean(losses[-part:])
                print(f"epoch {epoch}: loss {first:.3f} -> {last:.3f}, {samples} samples, {rate:.0f} samples/s")
                print(f"{loader.last_epoch}\n")


if __name__ == "__main__":
    main()
