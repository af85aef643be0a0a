"""A place in a store: where a node lies, or may be made."""

from __future__ import annotations

from dataclasses import dataclass

from gpuzarr.stores.contract import Store


@dataclass(frozen=True)
class StorePath:
    """A path in a store; it is taken as a store, which then begins there. `place / "name"` is a path below it."""

    store: Store
    path: str = ""

    def __truediv__(self, name: str) -> StorePath:
        return StorePath(self.store, "/".join(part for part in (self.path, name.strip("/")) if part))

    def __str__(self) -> str:
        return f"{self.store!r}/{self.path}" if self.path else repr(self.store)
