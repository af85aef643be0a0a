"""Any Mapping from keys to bytes: a dict, an open zip or LMDB wrapped as one, another library's mapper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import Slab
from gpuzarr.errors import StoreError
from gpuzarr.stores import MISSING, Ranges
from gpuzarr.stores.segments import segments, used


@dataclass(frozen=True, eq=False)
class MappingStore:
    """Keys and values of `mapping`, which is not copied. Values: bytes, bytearray, memoryview or a NumPy array.

    Pickling pickles the mapping. Many threads read it at once if it can be read so.
    """

    mapping: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"MappingStore({type(self.mapping).__name__} at {id(self.mapping):#x})"

    def get(self, key: str) -> bytes | None:
        value = self._value(key)
        return None if value is None else value.tobytes()

    def version(self, key: str) -> None:
        """A mapping cannot tell."""
        return None

    def names(self, prefix: str) -> list[str]:
        start = f"{prefix}/" if prefix else ""
        keys = [key for key in self.mapping if isinstance(key, str) and key.startswith(start)]
        return sorted({key[len(start) :].partition("/")[0] for key in keys} - {""})

    def read(self, ranges: Ranges, place: Callable[[np.ndarray], Slab], threads: int = 1) -> Slab:
        keys, objects = used(ranges)
        values = [self._value(key) for key in keys]
        lengths = [MISSING if value is None else len(value) for value in values]
        plan = segments(self, ranges, keys, objects, lengths, gap=0, most=1 << 24)
        slab = place(plan.sizes)
        into = memoryview(slab.data if slab.host is None else slab.host)
        rows = zip(*(a.tolist() for a in (plan.objects, slab.starts, plan.offsets, plan.sizes)), strict=True)
        for number, start, offset, size in rows:
            value = values[number]
            if value is not None:
                into[start : start + size] = value[offset : offset + size]
        return plan.ranges(slab)

    def _value(self, key: str) -> memoryview | None:
        try:
            value = self.mapping[key]
        except KeyError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {key!r} of {self!r}: {error}") from error
        try:
            if isinstance(value, np.ndarray):
                value = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            return memoryview(value).cast("B")
        except (TypeError, ValueError) as error:
            raise StoreError(f"the value of {key!r} of {self!r} is {type(value).__name__}, not bytes") from error
