"""Manifests: columns that say where the chunks of an array lie, without a Python object for each chunk."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from gpuzarr.stores.contract import Store
from gpuzarr.stores.parts.table import INLINE, Places
from gpuzarr.stores.ranges import MISSING

MAX_NUMBER = 2**62  # of chunks in a grid
_COORDINATE = "(?:0|[1-9][0-9]{0,17})"


class Holders(Sequence[tuple[Store, str]]):
    """The stores and keys that `Places.holders` counts, in blocks of one store each. Blocks may be added."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._blocks: list[tuple[Store, Sequence[str] | np.ndarray]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        block = bisect_right(self._starts, number) - 1
        store, keys = self._blocks[block]
        key = keys[number - self._starts[block]]
        return store, key.decode() if isinstance(key, bytes) else str(key)

    def stores(self) -> list[Store]:
        """The stores, each once."""
        return list({id(store): store for store, _ in self._blocks}.values())

    def add(self, store: Store, keys: Sequence[str] | np.ndarray) -> int:
        """Add a block: keys, text or an array of bytes. Returns the number of the first."""
        first = self._count
        if len(keys):
            self._blocks.append((store, keys))  # before its start, and both before anyone knows a number of it
            self._starts.append(first)
            self._count += len(keys)
        return first

    def add_files(self, places: Mapping[str, tuple[Store, str]]) -> dict[str, int]:
        """Add the files that URLs name, which are objects of several stores. Returns the number of each URL."""
        blocks: dict[int, tuple[Store, list[str], list[str]]] = {}
        for url, (store, key) in places.items():
            _, urls, keys = blocks.setdefault(id(store), (store, [], []))
            urls.append(url)
            keys.append(key)
        numbers: dict[str, int] = {}
        for store, urls, keys in blocks.values():
            numbers |= zip(urls, count(self.add(store, keys)))
        return numbers


@dataclass(frozen=True)
class Manifest:
    """Where chunks of one array lie. Arrays are int64 (n,), in the order of `numbers`, which ascend.

    `grid`: chunks along each axis; `numbers`: of chunks, in C order in the grid; `holders`, `offsets`, `sizes`: as in
    `Places`; `inline[row]`: the bytes of a chunk that the manifest has.
    """

    grid: tuple[int, ...]
    numbers: np.ndarray
    holders: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    inline: Mapping[int, bytes] = field(default_factory=dict)

    def places(self, keys: Sequence[str], start: str, separator: str = "/") -> Places:
        """Where the objects at these keys lie: `start`, and the coordinates of a chunk. None other is there."""
        wanted = numbers(keys, start, separator, self.grid)
        rows = np.minimum(np.searchsorted(self.numbers, wanted), max(len(self.numbers) - 1, 0))
        if not len(self.numbers):
            return nowhere(len(keys))
        is_there = self.numbers[rows] == wanted
        columns = (self.holders, MISSING), (self.offsets, 0), (self.sizes, MISSING)
        holders, offsets, sizes = (np.where(is_there, column[rows], default) for column, default in columns)
        inline = {i: self.inline[int(rows[i])] for i in np.flatnonzero(holders == INLINE).tolist()}
        return Places(holders, offsets, sizes, inline)


def nowhere(n: int) -> Places:
    """The places of n objects that are not there."""
    return Places(np.full(n, MISSING), np.zeros(n, np.int64), np.full(n, MISSING))


def flat(chunks: np.ndarray, grid: Sequence[int]) -> np.ndarray:
    """Numbers, in C order in a grid, of chunks with such coordinates, (n, ndim): int64 (n,)."""
    return chunks.astype(np.int64) @ np.array(_strides(grid), np.int64)


def numbers(keys: Sequence[str], start: str, separator: str, grid: Sequence[int]) -> np.ndarray:
    """Numbers, in C order in a grid, of the chunks that keys name; -1 for a key that names none, int64 (n,).

    The key of a chunk is `start` and its coordinates with separators between them; of an array of no axes, `start`.
    """
    found = np.full(len(keys), -1, np.int64)
    if not grid or math.prod(grid) > MAX_NUMBER:
        found[[not grid and key == start for key in keys]] = 0
        return found
    which = np.arange(len(keys))
    text = "\n".join(["", *keys])
    if text.count("\n") != len(keys):  # no chunk has a key with one
        which = np.flatnonzero(["\n" not in key for key in keys])
        text = "\n".join(["", *(keys[i] for i in which.tolist())])
    one = re.escape(start) + re.escape(separator).join([_COORDINATE] * len(grid))
    if others := _others(text, one):
        which = np.delete(which, others)
        text = "\n".join(["", *(keys[i] for i in which.tolist())])
    if not len(which):
        return found
    text = text.replace(f"\n{start}", " ").replace(separator, " ")
    chunks = np.fromstring(text, np.int64, sep=" ").reshape(-1, len(grid))
    inside = (chunks < np.array(grid, np.int64)).all(1)
    found[which[inside]] = flat(chunks[inside], grid)
    return found


def _others(text: str, one: str) -> list[int]:
    """The numbers of the lines, each behind its "\\n", that are not what the pattern `one` is."""
    lines = re.compile(rf"(?:\n{one}(?=\n|\Z))*")
    found, number, at = [], 0, 0
    while (end := lines.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        number += text.count("\n", at, end)
        found.append(number)
        number, at = number + 1, text.find("\n", end + 1)
        if at < 0:
            break
    return found


def names(numbers: np.ndarray, grid: Sequence[int], separator: str = ".") -> list[str]:
    """The coordinates of chunks by their numbers, with separators between them."""
    if not len(numbers):  # the grid may be larger than NumPy can count
        return []
    coordinates = np.stack(np.unravel_index(numbers, tuple(grid) or (1,)), 1).tolist()
    return [separator.join(map(str, each)) for each in coordinates]


def _strides(grid: Sequence[int]) -> list[int]:
    return [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
