"""Images of OME-Zarr, written as their specification says, without the code that is tested."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpuzarr


def halved(values: np.ndarray) -> np.ndarray:
    """Means of windows of 2 x 2 along the last two axes, rounded half to even. Lengths are even."""
    *front, height, width = values.shape
    windows = values.reshape(*front, height // 2, 2, width // 2, 2).astype(np.float64)
    return windows.mean(axis=(-3, -1)).round().astype(values.dtype)


def commonest(values: np.ndarray) -> np.ndarray:
    """The element that is most often in each window of 2 x 2 along the last two axes; of several, the smallest."""
    *front, height, width = values.shape
    windows = values.reshape(*front, height // 2, 2, width // 2, 2).swapaxes(-3, -2)
    flat = windows.reshape(*front, height // 2, width // 2, 4)
    counts = (flat[..., :, None] == flat[..., None, :]).sum(axis=-1)
    largest = np.iinfo(values.dtype).max
    return np.where(counts == counts.max(axis=-1, keepdims=True), flat, largest).min(axis=-1)


def multiscale(axes: str, levels: int, version: str) -> dict[str, Any]:
    """The member of `multiscales`: samples of 0.5 micrometer along y and x of level 0, doubled for each level."""
    kinds = {"t": "time", "c": "channel"}
    named: list[dict[str, str]] = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    for axis in named:
        if axis["type"] == "space":
            axis["unit"] = "micrometer"
    datasets = []
    for level in range(levels):
        scale = [0.5 * 2**level if axis in "yx" else 1.0 for axis in axes]
        shift = [0.25 * (2**level - 1) if axis in "yx" else 0.0 for axis in axes]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": shift}]
        if version == "0.6":
            places = {"input": {"path": str(level)}, "output": {"name": "intrinsic"}}
            steps = [{"type": "sequence", "transformations": steps, **places}]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    found: dict[str, Any] = {"name": "scan", "datasets": datasets}
    found |= {"coordinateSystems": [{"name": "intrinsic", "axes": named}]} if version == "0.6" else {"axes": named}
    return found | ({"version": version} if version == "0.4" else {})


def written(
    store: Any, values: np.ndarray, axes: str, version: str = "0.5", levels: int = 3, **more: Any
) -> list[np.ndarray]:
    """Write an image, and return its levels."""
    parts = {"multiscales": [multiscale(axes, levels, version)], **more}
    attributes = parts if version == "0.4" else {"ome": {"version": version, **parts}}
    zarr_format = 2 if version == "0.4" else 3
    group = gpuzarr.open_group(store, mode="w", zarr_format=zarr_format, attributes=attributes)
    found = [values]
    while len(found) < levels:
        found.append(halved(found[-1]))
    for number, level in enumerate(found):
        group.create_array(str(number), data=level, chunks=(1,) * (len(axes) - 2) + (16, 16))
    return found
