"""Objects that are parts of other objects: members of an archive, chunks that a reference or a manifest names.

A table says where each object lies; its bytes are read through the store that has them, by ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gpuzarr.stores.contract import Store

INLINE = -2  # holder of an object whose bytes the table has


@dataclass(frozen=True)
class Places:
    """Where n objects lie. Arrays are int64 (n,).

    `holders[i]` is the number, in `Table.holders`, of the object that has object i as `sizes[i]` bytes at `offsets[i]`;
    a size of -1 means up to its end. MISSING where there is no object; INLINE where the bytes are `inline[i]`.
    `deflated`: numbers of the objects that are stored as raw DEFLATE, with the bytes of each when it is inflated.
    """

    holders: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    inline: Mapping[int, bytes] = field(default_factory=dict)
    deflated: Mapping[int, int] = field(default_factory=dict)


class Table(Protocol):
    """Knows where objects lie. It is picklable, and may be used by many threads at once and after a fork."""

    def holders(self) -> Sequence[tuple[Store, str]]:
        """The stores, and the keys in them, that `Places.holders` counts. It may grow; what is there stays."""
        ...

    def places(self, keys: Sequence[str]) -> Places:
        """Where objects lie. StoreError where the table cannot be read."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Names of the objects and folders directly below a prefix, each once."""
        ...

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes (as they are read; -1 where nobody knows) of every object below a prefix."""
        ...
