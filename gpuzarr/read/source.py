"""An array as the read path knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.stores.contract import Store

if TYPE_CHECKING:
    from gpuzarr.read.cache import ChunkCache


class Source(Protocol):
    """What the read path needs to know of an array."""

    @property
    def store(self) -> Store: ...
    @property
    def path(self) -> str: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def locator(self) -> Locator: ...
    @property
    def cache(self) -> ChunkCache | None:
        """Where decoded chunks stay for later reads."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """A `Source` put together by who has no array of these."""

    store: Store
    path: str
    layout: Layout
    locator: Locator
    cache: ChunkCache | None = None
