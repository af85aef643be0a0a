"""What a copy changes, as it is asked for, and what that means for one array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import at, one_of, shown, zarr_format
from gpuzarr.creation import sides
from gpuzarr.errors import ArgumentError, MetadataError, SelectionError
from gpuzarr.indexing import selection as select
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.like import sizes_of

KEEP = "keep"
ROUNDINGS = ("nearest-even", "towards-zero", "towards-positive", "towards-negative", "nearest-away")
OUT_OF_RANGE = ("error", "clamp", "wrap")
ON_ERROR = ("raise", "fill", "skip")


@dataclass(frozen=True)
class Changes:
    """What shall differ from the source; the members are those parameters of `copy`."""

    chunks: Any = KEEP
    shards: Any = KEEP
    compressors: Any = KEEP
    dtype: Any = None
    rounding: str = "nearest-even"
    out_of_range: str = "error"
    fill_value: Any = KEEP
    selection: Any = None
    zarr_format: Any = None

    def __post_init__(self) -> None:
        one_of(self.rounding, "rounding", *ROUNDINGS)
        one_of(self.out_of_range, "out_of_range", *OUT_OF_RANGE)
        zarr_format(self.zarr_format)

    @property
    def are_none(self) -> bool:
        """True if arrays stay what they are, but for the version of Zarr."""
        kept = (self.chunks, self.shards, self.compressors, self.fill_value)
        return all(is_keep(one) for one in kept) and self.dtype is None and self.selection is None

    def check_names(self, arrays: Sequence[Array]) -> None:
        """ArgumentError for the name of an axis that no array has."""
        known = {name for array in arrays for name in array.dimension_names or ()}
        for what in ("chunks", "shards", "selection"):
            given = getattr(self, what)
            if isinstance(given, Mapping) and (unknown := [name for name in given if name not in known]):
                raise ArgumentError(f"{what}: no array that is copied has an axis {shown(unknown[0])}")


def is_keep(given: Any) -> bool:
    """True for the text that means that something stays what it is."""
    return isinstance(given, str) and given == KEEP


@dataclass(frozen=True)
class Part:
    """What of an array is copied: for each of its axes the indices, and which axes the copy does not have."""

    axes: tuple[range, ...]
    dropped: tuple[int, ...] = ()

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes of the source that the copy has."""
        return tuple(axis for axis in range(len(self.axes)) if axis not in self.dropped)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the copy."""
        return tuple(len(self.axes[axis]) for axis in self.kept)

    def of(self, region: tuple[slice, ...]) -> tuple[slice | int, ...]:
        """The selection of the source for a region of the copy."""
        found: list[slice | int] = [axis[0] if axis else slice(0, 0) for axis in self.axes]
        for axis, each in zip(self.kept, region, strict=True):
            found[axis] = _as_slice(self.axes[axis][each])
        return tuple(found)


def _as_slice(indices: range) -> slice:
    stop: int | None = indices.stop
    return slice(indices.start, None if indices.step < 0 and indices.stop < 0 else stop, indices.step)


def part_of(array: Array, selection: Any) -> Part:
    """What a selection takes of an array. SelectionError, naming the array, where it does not fit.

    A selection is what may stand between the brackets of `a[...]`, of slices and ints; or a dict of these by the names
    of axes, of which those count that the array has.
    """
    if isinstance(selection, Mapping):
        selection = tuple(selection.get(name, slice(None)) for name in names_of(array))
    try:
        found = select.basic(... if selection is None else selection, array.shape)
    except SelectionError as error:
        raise SelectionError(f"array {array.name!r}: {error}") from error
    axes = tuple(getattr(found, "axes", ()))
    if not isinstance(found, select.Outer) or not all(isinstance(indices, range) for indices in axes):
        raise ArgumentError(f"a copy takes a selection of slices and ints, not {shown(selection)}")
    return Part(axes, tuple(sorted(found.squeeze)))


def names_of(array: Array) -> tuple[str | None, ...]:
    """The name of each axis, or None."""
    return array.dimension_names or (None,) * array.ndim


def chunks_for(array: Array, part: Part, changes: Changes) -> Any:
    """The chunks of the copy, as `create_array` takes them."""
    kept, names = _kept(array.chunks, part), _kept(names_of(array), part)
    if not is_keep(changes.chunks) and not isinstance(changes.chunks, Mapping):
        return changes.chunks
    has_lists = not all(isinstance(size, int) for size in kept)
    if changes.selection is not None and has_lists:
        raise ArgumentError(f"array {array.name!r} has chunks of several sizes: give `chunks` with a selection")
    chunks = kept
    if changes.selection is not None and array.shards is None:
        chunks = tuple(min(size, max(length, 1)) for size, length in zip(kept, part.shape, strict=True))
    return chunks if is_keep(changes.chunks) else _named(changes.chunks, names, chunks, "chunks")


def shards_for(array: Array, part: Part, changes: Changes, chunks: Any) -> Any:
    """The shards of the copy, as `create_array` takes them; None for none."""
    shards = sizes_of(array, "shards")
    kept = None if shards is None else _kept(shards, part)
    if is_keep(changes.shards):
        return _kept_around(kept, chunks)
    if not isinstance(changes.shards, Mapping):
        return changes.shards
    names = _kept(names_of(array), part)
    if not set(changes.shards) & set(names):
        return kept
    unnamed = chunks if isinstance(chunks, tuple | list) else sides("chunks", chunks, len(part.shape))
    return _named(changes.shards, names, unnamed if kept is None else kept, "shards")


def _kept_around(shards: Sequence[Any] | None, chunks: Any) -> Any:
    """The shards of the source around other chunks; "auto" around "auto". MetadataError where they do not fit."""
    if shards is None or chunks == "auto":
        return shards and chunks
    sizes = (chunks,) * len(shards) if isinstance(chunks, int) else chunks if isinstance(chunks, tuple | list) else ()
    pairs = list(zip(shards, sizes, strict=False))
    if any(isinstance(n, int) and isinstance(shard, int) and n > 0 and shard % n for shard, n in pairs):
        text = f"its shards {shown(shards)} do not hold whole chunks of shape {shown(sizes)}"
        raise MetadataError(f"{text}: give shards, too (--shards)")
    return shards


def _kept(values: Sequence[Any], part: Part) -> tuple[Any, ...]:
    return tuple(values[axis] for axis in part.kept)


def _named(given: Mapping[str, Any], names: Sequence[Any], kept: Sequence[Any], what: str) -> tuple[Any, ...]:
    with at(what):
        return tuple(given.get(name, size) for name, size in zip(names, kept, strict=True))
