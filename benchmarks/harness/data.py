"""Data sets of any shape for whole reads and writes, the same in every run.

`smooth`, `counts` and `fields` are measurements with noise, which compress twofold or less; `labels` and `image` have
structure; `scan` is real: the MRI scan that the nibabel package carries, laid end to end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness.layouts import measured

Shape = tuple[int, ...]


def values(name: str, shape: Shape) -> np.ndarray:
    """A data set by name, of this shape."""
    return DATA[name](shape)


def smooth(shape: Shape) -> np.ndarray:
    """f4: a smooth field with noise, resolved to 1/64."""
    return measured("f4", _three(shape)).reshape(shape)


def counts(shape: Shape) -> np.ndarray:
    """u2: a microscope's volume, dim structure with photon noise."""
    return measured("u2", _three(shape)).reshape(shape)


def fields(shape: Shape) -> np.ndarray:
    """f8: the smooth field as a model computes it, not rounded."""
    found = measured("f4", _three(shape)).astype("f8")
    found *= np.pi
    return found.reshape(shape)


def labels(shape: Shape) -> np.ndarray:
    """u4: numbers of cells with wavy walls, and nothing between some of them."""
    z, y, x = np.ogrid[tuple(slice(0, n, 1.0) for n in _three(shape))]
    cells = [((axis + 4 * np.sin(other / 9)) // 23).astype("u4") for axis, other in ((z, y), (y, x), (x, y))]
    number = cells[0] * np.uint32(7919) + cells[1] * np.uint32(104729) + cells[2] + np.uint32(1)
    return (number * (number % np.uint32(3) > 0)).reshape(shape)


def image(shape: Shape) -> np.ndarray:
    """u1: the microscope's volume, for a screen."""
    return (measured("u2", _three(shape)) >> 3).clip(0, 255).astype("u1").reshape(shape)


def scan(shape: Shape) -> np.ndarray:
    """i2: the voxels of the scan, again and again."""
    return np.resize(voxels(), shape)


def voxels() -> np.ndarray:
    """The scan's voxels, int16 (volume, z, y, x): the order in which they follow each other in the NIfTI file."""
    import nibabel

    image = nibabel.load(Path(nibabel.__file__).parent / "tests/data/example4d.nii.gz")
    return np.ascontiguousarray(image.dataobj.get_unscaled().T, dtype="<i2")


def _three(shape: Shape) -> Shape:
    """The shape with three axes, as the fields are made."""
    return (1,) * (3 - len(shape)) + shape if len(shape) < 3 else shape


DATA: dict[str, Callable[[Shape], np.ndarray]] = {
    each.__name__: each for each in (smooth, counts, fields, labels, image, scan)
}
