"""Contract of a table: where the objects of a `PartsStore` lie in objects of other stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gpuzarr.stores.contract import Store

INLINE = -2  # holder of an object whose bytes the table has


@dataclass(frozen=True)
class Places:
    """Where n objects lie. Arrays are int64 (n,).

    `holders[i]` is the number, in `Table.holders`, of the object that has object i as `sizes[i]` bytes at `offsets[i]`;
    a size of -1 means up to its end. MISSING where there is no object; INLINE where the bytes, or what makes them
    (`Made`), are `inline[i]`.

    `inflated`: where objects are stored as raw DEFLATE, the bytes of each when it is inflated; -1 for one that is
    stored as it is. `checksums`: of those that are deflated, the CRC-32 of the inflated bytes.

    `versions`: of holders, by their numbers, that the table was made of; where another one is read, `Forgets.forget` is
    called, and places are asked for again. `are_lasting`: what lies at a place never changes, whatever becomes of the
    rest of its holder.
    """

    holders: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    inline: Mapping[int, Any] = field(default_factory=dict)
    inflated: np.ndarray | None = None
    checksums: np.ndarray | None = None
    heads: Heads | None = None
    versions: Mapping[int, Any] = field(default_factory=dict)
    are_lasting: bool = False


class Made(Protocol):
    """The bytes of an object that are made when they are read. `==` tells whether two are of the same bytes."""

    def __len__(self) -> int:
        """The number of bytes."""
        ...

    def read(self) -> bytes:
        """Make the bytes. StoreError where that fails."""
        ...


def bytes_of(inline: Any) -> memoryview:
    """The bytes that a table has, or makes."""
    return memoryview(inline.read() if hasattr(inline, "read") else inline)


@dataclass(frozen=True)
class Heads:
    """Objects whose `offsets` are those of a head before them, as only the head says where they begin.

    Arrays are int64 (n,). Object i begins `least[i]` to `most[i]` bytes behind the head's first byte; the two are the
    same where that is known. `nbytes`: of a head, at most `least`.

    `learn(numbers, heads)`, of objects and of their heads, uint8 (m, nbytes), remembers where these objects begin, and
    returns it, in bytes behind the heads, int64 (m,). ValueError for what is no head.
    """

    least: np.ndarray
    most: np.ndarray
    nbytes: int
    learn: Callable[[np.ndarray, np.ndarray], np.ndarray]


class Table(Protocol):
    """Knows where objects lie. It is picklable, and may be used by many threads at once and after a fork.

    It has a `repr` that names it in messages: `PartsStore(repr)`.
    """

    def holders(self) -> Sequence[tuple[Store, str]]:
        """The stores, and the keys in them, that `Places.holders` counts. It may become longer, and else stays."""
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


class KnowsSizes(Protocol):
    """Addition to `Table` of one that may know the sizes of all objects."""

    @property
    def knows_sizes(self) -> bool:
        """True if no size in `Places` is -1."""
        ...


class HasManyHolders(Protocol):
    """Addition to `Table` of one whose holders are many, or found when they are needed."""

    def stores(self) -> list[Store]:
        """The stores of holders, each once, or as many of them as are known."""
        ...


class Forgets(Protocol):
    """Addition to `Table` of one that remembers what it read of a holder, and is told where that was replaced, or may
    have been."""

    def forget(self) -> None:
        """Read it again when places are next asked for; or refuse to tell any if it is another one, by ChangedError."""
        ...


class SaysIfPacked(Protocol):
    """Addition to `Table` of one that may have objects of which no GPU can read the bytes where they lie."""

    def why_not_to_device(self) -> str | None:
        """Say why no GPU can read all objects, whatever the holders' stores can; None if one can."""
        ...
