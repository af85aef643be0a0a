"""What is said to stores of zarr-python in classes of its own, and when two stores are the same."""

from __future__ import annotations

from typing import Any

from gpuzarr.stores.remote.client import Asked


def is_same(one: Any, other: Any) -> bool:
    """Whether two stores are the same place. (Those of zarr-python in memory are equal where their contents are.)"""
    if one is other or type(one) is not type(other):
        return one is other
    for inner in ("_store_dict", "_store"):
        if hasattr(one, inner):
            return getattr(one, inner) is getattr(other, inner) or is_same(getattr(one, inner), getattr(other, inner))
    return not isinstance(one, dict) and bool(one == other)


def prototype() -> Any:
    """Buffers on the host, whatever zarr-python's own settings say."""
    from zarr.core.buffer import cpu

    return cpu.buffer_prototype


def byte_request(asked: Asked) -> Any:
    """The range that is asked for; None for a whole object."""
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

    if asked.offset < 0:
        return SuffixByteRequest(-asked.offset)
    if asked.size >= 0:
        return RangeByteRequest(asked.offset, asked.offset + asked.size)
    return OffsetByteRequest(asked.offset) if asked.offset else None
