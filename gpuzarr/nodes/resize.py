"""Change the shape of a stored array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from math import prod
from operator import ge, lt
from typing import Any

import numpy as np

from gpuzarr.checks import at, number, shown
from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.errors import GpuZarrError, MetadataError, NotFoundError, ValueKindError
from gpuzarr.indexing.layout import Layout, layout
from gpuzarr.interrupts import within
from gpuzarr.metadata import ArrayMetadata, chunk_grids, files, summaries
from gpuzarr.metadata import v2 as metadata_v2
from gpuzarr.metadata import v3 as metadata_v3
from gpuzarr.stores import kept
from gpuzarr.stores.contract import Store, concurrency
from gpuzarr.stores.keys import listed_keys
from gpuzarr.stores.overwriting import overwriter
from gpuzarr.stores.tries import tries

MAX_DELETED_KEYS = 1 << 14  # at once
MAX_DELETED_TOGETHER = 1000  # by one call, where each takes long
MAX_NAMED_KEYS = 1 << 17  # of chunks that may exist; of more, the store is asked which do
Shape = tuple[int, ...]
Note = Callable[[ArrayMetadata, ArrayMetadata], None]
Empty = Callable[[ArrayMetadata, bool], None]


def change_shape(
    store: Store,
    path: str,
    known: ArrayMetadata,
    new: Callable[[Shape], Shape],
    note: Note = lambda old, made: None,
    kept: Callable[[ArrayMetadata], None] = lambda made: None,
) -> ArrayMetadata:
    """Give the stored array the shape `new(old shape)`, and return its metadata. Chunks outside are deleted.

    `note(old, made)` is called, under the lock of the metadata, before anything is written, and `note(old, old)` where
    nothing was, as another process came first, whose shape is the old one then; `kept(made)` where this
    fails, or is interrupted, and the array has the new shape all the same, as some chunks are deleted. MetadataError if
    the array cannot have that shape, or is no array any more.
    """
    name = name_of(known)

    def change(_: object) -> ArrayMetadata:
        for _ in tries(partial(files.place, store, path, name)):
            if (made := changed()) is not None:
                return made
        raise AssertionError

    def changed() -> ArrayMetadata | None:
        document, version = files.current(store, path, name)
        if document is None:
            raise NotFoundError(f"{files.key(path, name)!r} is missing in {store!r}: it was deleted meanwhile")
        old = _parsed(document, known)
        if old.data_type.dtype != known.data_type.dtype:
            raise MetadataError(f"{files.place(store, path, name)}: an array of {old.data_type.dtype} by now")
        shape = new(old.shape)
        if len(shape) != len(old.shape) or any(n < 0 for n in shape):
            raise MetadataError(f"an array of shape {old.shape} cannot become one of shape {shown(shape)}")
        made = _parsed(chunk_grids.reshaped(document, shape, _inner(old)), known)
        with at(f"codecs of {files.place(store, path, name)}"):
            (all_of_it := layout(made, path)).check()
        before, after = layout(old, path).outer, all_of_it.outer
        if _outside(before.grid(0), after.grid(0)) > MAX_NAMED_KEYS and not hasattr(old.chunk_keys, "decode"):
            raise MetadataError(f"too many chunks lie outside of shape {shape} for keys that cannot be decoded")
        note(old, made)
        deleted: list[str] = []
        delete = partial(_delete_outside, store, path, old.chunk_keys, before, after)
        try:
            if not files.replace(store, path, name, made.document, version):
                note(old, old)
                return None
            delete(deleted)  # nobody grows it again meanwhile
        except BaseException as error:
            now = files.read(store, path, name)
            if now is not None and _parsed(now, known).shape == made.shape:
                if isinstance(error, GpuZarrError) and not deleted:
                    files.write(store, path, name, document)
                else:  # what is left would be seen when the array grows again
                    delete(deleted, GpuZarrError)
                    kept(made)
            raise
        return made

    update = partial(summaries.changed, store, path, known.zarr_format)
    return summaries.noted(lambda: within(store.locked([files.lock(path)]), change), update)


def take_back(
    store: Store, path: str, old: ArrayMetadata, made: ArrayMetadata, put_back: Callable[[], None], empty: Empty
) -> bool:
    """Give a stored array that became longer the `old` metadata again. Return True if it has them.

    Under the lock of its metadata, so that nobody else makes it longer meanwhile: chunks outside are deleted, and
    `empty(made, True)` empties what was added to others. If somebody has changed it already, it keeps its shape, and
    `empty(metadata, False)` empties all that was added. `put_back()` replaces the document by the old one, even on a
    disk that is full.
    """
    name = name_of(old)

    def change(_: object) -> bool:
        document = files.read(store, path, name)
        if document is None:
            return False
        now = _parsed(document, old)
        if now.shape != made.shape:
            if len(now.shape) == len(made.shape) and all(map(ge, now.shape, made.shape)):
                empty(now, False)
            return now.shape == old.shape
        with suppress(GpuZarrError):
            _delete_outside(store, path, old.chunk_keys, layout(made, path).outer, layout(old, path).outer, [])
        with suppress(GpuZarrError):
            empty(made, True)
        if document == made.document:
            put_back()
        else:
            files.write(store, path, name, {**document, "shape": list(old.shape)})
        return True

    update = partial(summaries.changed, store, path, old.zarr_format)
    return summaries.noted(lambda: within(store.locked([files.lock(path)]), change), update)


def name_of(array: ArrayMetadata) -> str:
    """The name of the document that has the shape of an array."""
    return "zarr.json" if array.zarr_format == 3 else ".zarray"


def appended(shape: Shape, data: Shape, axis: int) -> tuple[Callable[[Shape], Shape], Callable[[Shape], Any]]:
    """Functions for appending data of a shape: old shape -> new shape, and new shape -> selection of the new part.

    ValueKindError if the shapes do not fit, also those of an array that has another shape by now.
    """
    if not shape or len(data) != len(shape):
        raise ValueKindError(f"data of shape {data} cannot be appended to {shape}")
    along = number(axis, "axis", -len(shape), len(shape) - 1) % len(shape)
    longer = data[along]

    def grown(old: Shape) -> Shape:
        if len(old) != len(data) or old[:along] + old[along + 1 :] != data[:along] + data[along + 1 :]:
            raise ValueKindError(f"data of shape {data} cannot be appended to {old} along axis {axis}")
        return (*old[:along], old[along] + longer, *old[along + 1 :])

    grown(shape)
    return grown, lambda new: (slice(None),) * along + (slice(new[along] - longer, new[along]),)


def _inner(array: ArrayMetadata) -> Shape:
    """The shape of the chunks in a shard; ones where there are no shards."""
    codecs: tuple[Any, ...] = array.codecs
    shards = (codec.chunk_shape for codec in codecs if isinstance(codec, ShardingIndexed))
    return next(shards, (1,) * len(array.shape))


def _parsed(document: files.Document, known: ArrayMetadata) -> ArrayMetadata:
    if known.zarr_format == 3:
        return metadata_v3.parse_array(document, "zarr.json")
    return metadata_v2.parse_array(document, known.attributes, ".zarray")


def _outside(old: Shape, new: Shape) -> int:
    """The number of chunks that only the old grid has."""
    return prod(old) - prod(map(min, old, new))


def _delete_outside(
    store: Store,
    path: str,
    keys: Any,
    old: Layout,
    new: Layout,
    deleted: list[str],
    *ignored: type[Exception],
) -> None:
    """Delete the outermost chunks that only the old shape has: by their keys, or, of too many, those that exist.

    Their keys are noted in `deleted`; those that cannot be deleted for `ignored` errors stay.
    """
    overwrite, names = overwriter(store), _outside_keys(store, path, keys, old, new)
    together = MAX_DELETED_TOGETHER if concurrency(store) > 1 else 1
    try:
        while some := list(islice(names, together)):
            with suppress(*ignored):
                deleted += some[1:]  # or some of them, if that fails
                overwrite.delete(some)
                deleted += some[:1]
    finally:
        if deleted:
            kept.changed(store, path)


def _outside_keys(store: Store, path: str, keys: Any, old: Layout, new: Layout) -> Iterator[str]:
    before, after = old.grid(0), new.grid(0)
    if _outside(before, after) > MAX_NAMED_KEYS:
        yield from [key for key in listed_keys(store, path) if _is_outside(keys.decode(key, path), before, after)]
        return
    for axis in range(len(before)):
        ranges = [range(min(b, a)) for b, a in zip(before[:axis], after[:axis], strict=True)]
        ranges += [range(after[axis], before[axis]), *map(range, before[axis + 1 :])]
        for coords in _blocks(ranges):
            yield from old.keys(coords)


def _is_outside(coords: Shape | None, before: Shape, after: Shape) -> bool:
    if coords is None or len(coords) != len(before):
        return False
    return all(map(lt, coords, before)) and not all(map(lt, coords, after))


def _blocks(ranges: list[range]) -> Iterator[np.ndarray]:
    """The Cartesian product of ranges, int64 of shape (n, axes), some rows at a time."""
    counts = tuple(map(len, ranges))
    starts = np.array([r.start for r in ranges], np.int64)
    for first in range(0, prod(counts), MAX_DELETED_KEYS):
        rows = np.arange(first, min(first + MAX_DELETED_KEYS, prod(counts)))
        yield np.stack(np.unravel_index(rows, counts), axis=1) + starts
