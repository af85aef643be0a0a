"""Stores of zarr-python that are a user's own, and what fills them."""

from __future__ import annotations

import asyncio
from typing import Any

import zarr.storage
from zarr.abc.store import Store
from zarr.core.buffer import cpu
from zarr.core.sync import sync

sync(asyncio.sleep(0))  # begins zarr-python's event loop, whose files are open from then on


class Reversed(zarr.storage.WrapperStore):  # type: ignore[misc]
    """Holds every object backwards, so that nobody reads it who goes around its methods. `calls`: what was got."""

    _supports_sync_io = False
    if hasattr(Store, "get_ranges"):  # that of WrapperStore goes around `get`
        get_ranges = Store.get_ranges

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.calls: list[str] = []

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        self.calls.append(key)
        held = await self._store.get(key, prototype)
        if held is None:
            return None
        whole = zarr.storage.MemoryStore({key: type(held).from_bytes(held.to_bytes()[::-1])})
        return await whole.get(key, prototype, byte_range)

    async def set(self, key: str, value: Any) -> None:
        await self._store.set(key, type(value).from_bytes(value.to_bytes()[::-1]))


def reversed_store(contents: dict[str, bytes]) -> Reversed:
    store = Reversed(zarr.storage.MemoryStore())

    async def fill() -> None:
        for key, value in contents.items():
            await store.set(key, cpu.Buffer.from_bytes(value))

    sync(fill())
    return store
