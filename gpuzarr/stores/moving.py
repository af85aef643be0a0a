"""Move and copy what lies below a prefix, in any store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from gpuzarr.errors import GpuZarrError, StoreError
from gpuzarr.interrupts import ensured, within
from gpuzarr.stores.contract import Objects, Store
from gpuzarr.stores.hidden import is_hidden, rebased
from gpuzarr.stores.keys import listed_keys
from gpuzarr.stores.ranges import MISSING

MAX_PIECE_BYTES = 16 << 20  # of an object that is copied
Order = Callable[[Iterable[str]], list[str]]  # in which keys, or names, are moved


class Step(NamedTuple):
    """A move of all that is at a prefix and below it to another, in an order."""

    source: str
    target: str
    order: Order


def holds(store: Store, prefix: str) -> bool:
    """True if anything is at a prefix or below it; what is hidden does not count."""
    if (known := getattr(store, "holds", None)) is not None:
        return bool(known(prefix))
    return next(keys(store, prefix), None) is not None


def recover(store: Store, path: str) -> None:
    """Put back what a killed process had put aside beside `path`. See `Recovers`."""
    if (known := getattr(store, "recover", None)) is not None:
        known(path)


def move(store: Store, source: str, target: str, order: Order = sorted) -> None:
    """Move what is at a prefix and below it to another, where nothing is. See `Moves`."""
    if (known := getattr(store, "move", None)) is not None:
        known(source, target, order)
        return
    for key in order(keys(store, source)):
        copy(store, key, store, rebased(key, source, target))
        store.delete([key])


def move_all(store: Store, steps: Sequence[Step], done: list[bool]) -> None:
    """Make moves one after another, all or none. StoreError, naming where things are, if what fails cannot be undone.

    Before a step begins, nothing is at its target. `done` gets an element at the moment from which nothing is undone.
    """
    begun: list[Step] = []

    def work() -> None:
        for step in steps:
            begun.append(step)
            move(store, step.source, step.target, step.order)
        done.append(True)

    def undo() -> None:
        while begun and not done:
            source, target, _ = begun[-1]
            try:
                if holds(store, target):
                    move(store, target, source, partial(_backward, begun[-1].order))
            except GpuZarrError as error:
                where = f"what was at {steps[0].source or '/'!r} of {store!r} lies at {target or '/'!r}"
                raise StoreError(f"{where}, as it cannot be put back: {error}") from error
            begun.pop()

    ensured(work, undo)


def _backward(order: Order, names: Iterable[str]) -> list[str]:
    return order(names)[::-1]


def keys(store: Store, prefix: str) -> Iterator[str]:
    """The keys of all objects at a prefix and below it, but for what is hidden there."""
    below = list(listed_keys(store, prefix))
    yield from (key for key in below if not is_hidden(key[len(prefix) :]))
    if prefix and not below and within(store.open([prefix]), lambda objects: objects.lengths()[0] != MISSING):
        yield prefix


def copy(source: Store, key: str, target: Store, to: str) -> None:
    """Copy an object, of any size, from store to store. StoreError if there is none."""
    if copy_if_there(source, key, target, to) == MISSING:
        raise StoreError(f"{key!r} of {source!r} was deleted while it was copied")


def copy_if_there(source: Store, key: str, target: Store, to: str) -> int:
    """Copy an object, of any size, from store to store, and return its bytes; MISSING if there is none."""
    return within(source.open([key]), partial(_copy, target, to))


def _copy(target: Store, to: str, objects: Objects) -> int:
    length = objects.lengths()[0]
    if length == MISSING:
        return MISSING
    offsets = range(0, length, MAX_PIECE_BYTES) or range(1)
    sizes = [min(MAX_PIECE_BYTES, length - offset) for offset in offsets]
    fill = objects.reader([(0, offset, size, 0, size) for offset, size in zip(offsets, sizes, strict=True)])

    def piece(i: int) -> bytearray:
        data = bytearray(sizes[i])
        fill(i, memoryview(data))
        return data

    if len(sizes) == 1:
        target.set(to, piece(0))
        return length
    sink = target.create(to)

    def write() -> None:
        for i, offset in enumerate(offsets):
            sink.write(piece(i), offset)
        sink.commit()

    ensured(write, sink.abort)
    return length
