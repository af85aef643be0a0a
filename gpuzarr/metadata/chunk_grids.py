"""Chunk grids: the JSON of a grid becomes an `Axis` for each axis."""

from __future__ import annotations

from itertools import accumulate, chain, pairwise, repeat
from typing import Any

from gpuzarr.checks import INT64_MAX, integer, lengths, sequence, shown
from gpuzarr.errors import MetadataError, UnsupportedError
from gpuzarr.metadata import Axis, RectilinearAxis, RegularAxis

EDGES_MAX = 2**20  # chunks along a rectilinear axis; a few bytes of JSON could ask for any number


def regular(shape: tuple[int, ...], sizes: Any, field: str) -> tuple[RegularAxis, ...]:
    """A regular grid: one size for each axis. Size 0, from old zarr-python for an axis of length 0, is read as 1."""
    sizes = lengths(sizes, field, len(shape))
    return tuple(RegularAxis(length, max(size, 1)) for length, size in zip(shape, sizes, strict=True))


def rectilinear(shape: tuple[int, ...], chunk_shapes: Any) -> tuple[Axis, ...]:
    """A rectilinear grid: for each axis one size, or a list of sizes in which [size, count] stands for a run."""
    members = sequence(chunk_shapes, "chunk_shapes")
    if len(members) != len(shape):
        raise MetadataError(f"chunk_shapes must have {len(shape)} members, not {len(members)}")
    return tuple(
        _axis(length, member, f"chunk_shapes[{i}]")
        for i, (length, member) in enumerate(zip(shape, members, strict=True))
    )


def reshaped(document: dict[str, Any], shape: tuple[int, ...], inner: tuple[int, ...]) -> dict[str, Any]:
    """The document of an array that gets another shape.

    Where an axis becomes longer than the chunks that a rectilinear grid lists, one chunk more holds the rest, as
    zarr-python makes it; if these are shards of chunks of shape `inner`, as much as a whole number of them.
    """
    changed = {**document, "shape": list(shape)}
    grid = document.get("chunk_grid")
    if not isinstance(grid, dict) or grid.get("name") != "rectilinear":
        return changed
    members = [_longer(*each) for each in zip(grid["configuration"]["chunk_shapes"], shape, inner, strict=True)]
    return {**changed, "chunk_grid": {**grid, "configuration": {**grid["configuration"], "chunk_shapes": members}}}


def _longer(member: Any, length: int, inner: int) -> Any:
    if isinstance(member, int):
        return member
    total = sum(size * count for size, count in (_run(one, "chunk_shapes") for one in member))
    return member if length <= total else [*member, -(-(length - total) // inner) * inner]


def largest(axis: RectilinearAxis) -> int:
    """The length of the longest chunk of an axis."""
    return max((end - start for start, end in pairwise(axis.edges)), default=0)


def _axis(length: int, member: Any, field: str) -> Axis:
    if isinstance(member, int):
        return RegularAxis(length, integer(member, field, 1))
    runs = [_run(one, f"{field}[{i}]") for i, one in enumerate(sequence(member, field))]
    total = sum(size * count for size, count in runs)
    if not length <= total <= INT64_MAX:
        raise MetadataError(
            f"{field}: the chunks have {total} elements in all, expected at least {length}, the length of the axis"
        )
    if sum(count for _, count in runs) > EDGES_MAX:
        raise UnsupportedError(f"{field}: more than {EDGES_MAX} chunks along one axis of a rectilinear grid")
    edges = accumulate(chain.from_iterable(repeat(size, count) for size, count in runs), initial=0)
    return RectilinearAxis(length, _up_to(length, edges))


def _up_to(length: int, edges: Any) -> tuple[int, ...]:
    """Edges, but for those of chunks that begin at or beyond the end of the array, which may have shrunk."""
    kept = []
    for edge in edges:
        kept.append(edge)
        if edge >= length:
            break
    return tuple(kept)


def _run(one: Any, field: str) -> tuple[int, int]:
    size, count = one if isinstance(one, list | tuple) and len(one) == 2 else (one, 1)
    if isinstance(size, list | tuple):
        raise MetadataError(f"{field} must be a size or [size, count], not {shown(one)}")
    return integer(size, field, 1), integer(count, f"count of {field}", 1)
