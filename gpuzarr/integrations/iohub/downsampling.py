"""A stored array reduced into another one, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm, prod
from numbers import Integral

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.nodes.array import Array
from gpuzarr.pyramids.cascade import cut, reduced_bounds
from gpuzarr.pyramids.downsample import downsample
from gpuzarr.pyramids.levels import reduced
from gpuzarr.pyramids.writing import GPU_PIECE_BYTES, PIECE_BYTES
from gpuzarr.write.coverage import Bounds

NAMES = {"stride": "nearest"}  # of methods: iohub's names that differ from ours
MAX_GROWTH = 4  # of pieces that end where chunks of the source do, so that no chunk is decoded several times


def downsample_into(
    source: Array, target: Array, region: Sequence[slice], factors: Sequence[int], method: str = "mean"
) -> None:
    """Fill a region of the target; each element is a window of the source, reduced.

    Each piece is read and reduced while the one before is written, so source and target may be larger than memory.
    Chunks and shards that the region covers are written once, and not read.

    Parameters
    ----------
    region
        Of the target, a slice without a step for each axis.
    factors
        The length of a window along each axis.
    method
        As for `gpuzarr.ome.downsample`; "stride" is another name for "nearest".

    Raises
    ------
    ArgumentError
        The region, the factors or the method make no sense.
    """
    bounds = _bounds(target, region)
    _check_windows(source, target, factors)
    name, device = NAMES.get(method, method), source.device
    with device.on(), target.writer() as writer:
        for piece in _pieces(source, target, bounds, factors):
            values = source[tuple(slice(a, b) for a, b in piece)]
            made = downsample(values, factors, name, device)
            writer[tuple(slice(a, b) for a, b in reduced_bounds(piece, factors))] = made


def _bounds(target: Array, region: Sequence[slice]) -> Bounds:
    spans = [each.indices(length) for each, length in zip(region, target.shape, strict=True)]
    if any(step != 1 for _, _, step in spans):
        raise ArgumentError(f"a region must be slices without steps, not {shown(region)}")
    return tuple((begin, max(begin, end)) for begin, end, _ in spans)


def _check_windows(source: Array, target: Array, factors: Sequence[int]) -> None:
    """ArgumentError unless the source has a window for each element of the target."""
    is_sound = len(factors) == source.ndim == target.ndim and all(
        isinstance(factor, Integral) and factor >= 1 for factor in factors
    )
    if not is_sound or any(
        n > most for n, most in zip(target.shape, reduced(source.shape, tuple(factors)), strict=True)
    ):
        raise ArgumentError(f"{source!r} reduced by factors {shown(factors)} does not fill {target!r}")


def _pieces(source: Array, target: Array, bounds: Bounds, factors: Sequence[int]) -> Iterator[Bounds]:
    """Boxes of the source that become the region `bounds` of the target, cut where chunks of the target end.

    They are cut between chunks of the source, too, unless too much would be in memory.
    """
    if any(a == b for a, b in bounds):
        return
    limit = source.options.memory_limit
    nbytes = min(GPU_PIECE_BYTES if source.device.gpu else PIECE_BYTES, limit or GPU_PIECE_BYTES)
    most = max(nbytes // source.dtype.itemsize, 1)
    spans = zip(bounds, factors, source.shape, strict=True)
    windows = tuple((a * factor, min(b * factor, length)) for (a, b), factor, length in spans)
    cell = [n * factor for n, factor in zip(target.layout.first_chunk_shape, factors, strict=True)]
    both = list(map(lcm, cell, source.layout.first_chunk_shape))
    if prod(map(min, both, source.shape)) <= MAX_GROWTH * most:
        cell = both
    yield from cut(windows, cell, most)
