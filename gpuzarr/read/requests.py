"""What is read: selections of arrays, each into memory for its result; and what a plan makes of them, shares.

A share is what one plan reads of one array: one selection, or the boxes of several, whose chunks are decoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast
from gpuzarr.indexing.box_rows import count, is_scattered
from gpuzarr.indexing.boxes import ChunkBoxes, ReadPart, Targets, boxes
from gpuzarr.indexing.counts import check_plannable
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import parts
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read.source import Source

T = TypeVar("T")
MAX_BOXES = 1 << 19  # of one plan; selections of more are read one after the other


@dataclass(frozen=True)
class Request:
    """A selection of an array, to be read into `out`: an array of the device, of the selection's shape.

    `cast`: what becomes of each element on its way; None: nothing, and `out` has the dtype of the array.
    """

    source: Source
    selection: Outer | Points
    out: Any
    cast: Cast | None = None


@dataclass(frozen=True)
class OneSelection:
    """A selection of one array, with ascending ranges. `out`: the result, with every axis of the array, or flat for
    points; `is_contiguous`: whether it is, or will be where there is none yet (None)."""

    source: Source
    selection: Outer | Points
    out: Any = None
    is_contiguous: bool = True
    cast: Cast | None = None

    def parts(self, device: Device) -> list[ReadPart]:
        """The chunks that are touched, and what is wanted of them. NoMemoryError where these are too many."""
        layout, shard_chunks = self.source.layout, self.source.layout.shard_chunks(device)
        check_plannable(self.selection, layout.axes, shard_chunks)
        return list(parts(self.selection, layout.axes, shard_chunks))

    @property
    def extents(self) -> tuple[int, ...] | None:
        """The shape of the result, if it is contiguous, so that chunks may be decoded straight to their place."""
        if not self.is_contiguous or self.cast is not None:
            return None
        return () if isinstance(self.selection, Points) else self.selection.full_shape


@dataclass(frozen=True)
class SeveralSelections:
    """Several selections of one array, as boxes, and their results."""

    source: Source
    boxes: list[ChunkBoxes]
    out: Targets
    cast: Cast | None = None

    selection, extents = None, None

    def parts(self, device: Device) -> list[ReadPart]:
        return list(self.boxes)


Share = OneSelection | SeveralSelections


def share_of(request: Request) -> Share:
    """The share that is one request alone."""
    selection, target = ascending(request.selection), flipped(request.selection, request.out)
    if is_scattered(selection, axes := request.source.layout.axes):
        return SeveralSelections(request.source, boxes([selection], axes), Targets([target]), request.cast)
    return OneSelection(request.source, selection, target, target.flags.c_contiguous, request.cast)


def plannable(requests: Sequence[Request]) -> Sequence[Sequence[Request]]:
    """The requests in order, as many together as fit one plan."""
    if len(requests) == 1 or sum(map(_most_boxes, requests)) <= MAX_BOXES:
        return (requests,)
    return tuple(_plannable(requests))


def fitting(tables: Sequence[SeveralSelections]) -> Iterator[Sequence[SeveralSelections]]:
    """Tables in order, as many together as fit one plan; one alone does."""
    return together(tables, lambda table: sum(len(boxes.chunk) for boxes in table.boxes), MAX_BOXES)


def _most_boxes(request: Request) -> int:
    """A number that is sooner known than that of the boxes, and no less: no range has more than there are chunks."""
    selection, layout = request.selection, request.source.layout
    if isinstance(selection, Points) or np.ndarray in map(type, selection.axes):
        return count(ascending(selection), layout.axes)
    return min(layout.chunk_count, prod(map(len, selection.axes)))


def _plannable(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    return together(requests, lambda one: count(ascending(one.selection), one.source.layout.axes), MAX_BOXES)


def together(items: Sequence[T], size_of: Callable[[T], int], most: int) -> Iterator[Sequence[T]]:
    """Items in order, as many together as have no more than the `most` in sum; one alone may have more."""
    some: list[T] = []
    total = 0
    for item in items:
        here = size_of(item)
        if some and total + here > most:
            yield some
            some, total = [], 0
        some.append(item)
        total += here
    if some:
        yield some


def shares_of(requests: Sequence[Request], stack: Any = None) -> list[Share]:
    """One share for each array and cast. `stack`: an array of which the results are the parts along the first axis, if
    any."""
    if len(requests) == 1:
        return [share_of(requests[0])]
    of: dict[Any, list[int]] = {}
    for number, request in enumerate(requests):
        of.setdefault((id(request.source), request.cast), []).append(number)
    if len(of) == len(requests):
        return list(map(share_of, requests))
    targets = [_flipped_to_boxes(request) for request in requests]
    stacked = _stacked(requests, stack)
    everywhere = None if stacked is None else Targets(targets, stacked)
    return [_share(requests, numbers, targets, everywhere) for numbers in of.values()]


def _share(requests: Sequence[Request], numbers: list[int], targets: Sequence[Any], stacked: Targets | None) -> Share:
    first = requests[numbers[0]]
    if len(numbers) == 1:
        return share_of(first)
    selections, axes = [ascending(requests[i].selection) for i in numbers], first.source.layout.axes
    if stacked is not None:
        return SeveralSelections(first.source, boxes(selections, axes, numbers), stacked, first.cast)
    return SeveralSelections(first.source, boxes(selections, axes), Targets([targets[i] for i in numbers]), first.cast)


def _flipped_to_boxes(request: Request) -> Any:
    """The result with every axis of the array, as `Targets` wants it."""
    target = flipped(request.selection, request.out)
    if isinstance(request.selection, Points):
        return target.reshape(-1, *[1] * (len(request.source.layout.axes) - 1))
    return target


def _stacked(requests: Sequence[Request], stack: Any) -> Any:
    """`stack` with every axis of the arrays, if its parts are the results as boxes want them; else None."""
    first = requests[0].selection
    if stack is None or isinstance(first, Points):
        return None
    for request in requests:
        one = request.selection
        if isinstance(one, Points) or one.squeeze != first.squeeze or ascending(one) is not one:
            return None
    index = [None if axis in first.squeeze else slice(None) for axis in range(len(first.axes))]
    return stack[(slice(None), *index, ...)]
