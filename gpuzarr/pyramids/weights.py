"""Weights of the elements of a block, by which overlapping blocks are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.blocks import BlockAxis, Blocks

NAMES = ("gaussian", "linear", "constant")
SIGMA = 0.125  # of a Gaussian, as a part of the block's length
MIN_GAUSSIAN = 1e-3  # smaller products of Gaussians are raised to it
MIN_WEIGHT = 1e-20  # of others, where the greatest is 1


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of a block that does not end with the array, float64; greater than 0, and at most 1.

    `factors` broadcast against each other: their product is the weights, where it is at least `least`. They are one
    vector for each axis, or one array of all axes.
    """

    factors: tuple[np.ndarray, ...]
    least: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*[each.shape for each in self.factors])

    def array(self, dtype: np.dtype[Any]) -> np.ndarray:
        """The weights in an array of a float dtype."""
        product = reduce(np.multiply, self.factors, np.ones((), np.float64))
        return np.maximum(product, self.least).astype(dtype)


def weights(given: Any, blocks: Blocks) -> Weights:
    """Make the weights that a user asked for.

    Parameters
    ----------
    given
        - "gaussian": exp(-x**2 / (2 * sigma**2)) along each axis, x being the distance from the block's middle and
          sigma an eighth of its length, halo included; their product, and 0.001 where that is less. These are the
          weights of MONAI's sliding windows (`compute_importance_map` in monai/data/utils.py).
        - "linear": along each axis a ramp over the halo and as many elements of the core, (i + 1/2) / (2 * halo) for
          element i from an end, and 1 between; their product. Of two neighbours the weights add up to 1.
        - "constant": 1.
        - A tuple of vectors, one for each axis, as long as a block with its halo: their product.
        - An array of the shape of a block with its halo.

        Numbers must be greater than 0. Only their ratios matter.
    blocks
        The blocks. Those that end with the array have the part of the weights that is within.

    Raises
    ------
    ArgumentError
        It is none of these.

    Examples
    --------
    >>> from gpuzarr.pyramids.blocks import Blocks
    >>> from gpuzarr.pyramids.weights import weights
    >>> weights("linear", Blocks((100,), block=6, halo=2)).array(np.dtype("f4")).tolist()
    [0.125, 0.375, 0.625, 0.875, 1.0, 1.0, 0.875, 0.625, 0.375, 0.125]
    """
    lengths = tuple(axis.size + 2 * axis.halo for axis in blocks.axes)
    used = tuple(map(_used, blocks.axes))
    if isinstance(given, str) and given in NAMES:
        return _named(given, blocks, used)
    if (vectors := _vectors(given, lengths)) is not None:
        parts = [_scaled(vector)[part] for vector, part in zip(vectors, used, strict=True)]
        return _checked(Weights(tuple(_upright(part, i, len(parts)) for i, part in enumerate(parts))))
    if (values := _array(given, lengths)) is not None:
        return _checked(Weights((_scaled(values)[used],)))
    raise ArgumentError(
        f"weights must be one of {', '.join(map(repr, NAMES))}, an array of real numbers of shape {lengths}, that of a "
        f"block with its halo, or a tuple of vectors of these lengths, not {shown(given)}"
    )


def _named(name: str, blocks: Blocks, used: Sequence[slice]) -> Weights:
    """Weights with a name; of each vector the part that is used."""
    vectors = []
    for axis, part in zip(blocks.axes, used, strict=True):
        length, places = axis.size + 2 * axis.halo, np.arange(part.start, part.stop, dtype=np.float64)
        if name == "gaussian":
            vectors.append(np.exp(-(((places - (length - 1) / 2) / (SIGMA * length)) ** 2) / 2))
        elif name == "linear" and axis.halo:
            ends = np.minimum(places, length - 1 - places)
            vectors.append(np.minimum((ends + 0.5) / (2 * axis.halo), 1.0))
        else:
            vectors.append(np.ones(len(places)))
    factors = tuple(_upright(vector, i, len(vectors)) for i, vector in enumerate(vectors))
    return Weights(factors, MIN_GAUSSIAN if name == "gaussian" else 0.0)


def _upright(vector: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """A vector along an axis."""
    return vector.reshape([-1 if i == axis else 1 for i in range(ndim)])


def _used(axis: BlockAxis) -> slice:
    """The part of a block that is within the array, of any of the blocks."""
    if axis.count > 1:
        return slice(0, axis.size + 2 * axis.halo)
    return slice(axis.halo, axis.halo + axis.length)


def _vectors(given: Any, lengths: Sequence[int]) -> list[np.ndarray] | None:
    """What a user gave as vectors of these lengths; None if it is something else."""
    if not isinstance(given, tuple | list) or len(given) != len(lengths):
        return None
    vectors = [_array(each, (length,)) for each, length in zip(given, lengths, strict=True)]
    found = [vector for vector in vectors if vector is not None]
    return found if len(found) == len(lengths) else None


def _array(given: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """What a user gave as an array of real numbers of a shape; None if it is something else."""
    try:
        values = np.asarray(given)
    except (TypeError, ValueError):  # rows of different lengths, or memory of a GPU
        return None
    return values if values.shape == shape and values.dtype.kind in "biuf" else None


def _scaled(values: np.ndarray) -> np.ndarray:
    """Weights of which the greatest is 1."""
    made = values.astype(np.float64)
    if made.size and not (np.isfinite(made) & (made > 0)).all():
        raise ArgumentError(f"weights must be finite and greater than 0, not from {made.min()} to {made.max()}")
    return made / made.max(initial=np.finfo(np.float64).tiny)


def _checked(made: Weights) -> Weights:
    """Weights that float32 can hold beside each other."""
    if (least := float(np.prod([each.min(initial=1) for each in made.factors]))) < MIN_WEIGHT:
        raise ArgumentError(f"the least weight is {least:.1e} times the greatest: give none below {MIN_WEIGHT:.0e}")
    return made
