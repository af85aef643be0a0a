"""Tables of parts for tests: of objects that lie anywhere, in any form."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuzarr.stores.parts import INLINE, Places
from gpuzarr.stores.ranges import MISSING

Row = tuple[int, int, int]


@dataclass(frozen=True)
class DictTable:
    """Where objects lie, as a dict says: holder, offset and size; or bytes that are inline."""

    held: list[tuple[Any, str]]
    rows: dict[str, Row | bytes]
    deflated: dict[str, bytes] = field(default_factory=dict)  # and what they are, inflated
    versions: dict[int, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{len(self.rows)} rows"

    def holders(self) -> list[tuple[Any, str]]:
        return self.held

    def places(self, keys: Sequence[str]) -> Places:
        rows = [self.rows.get(key) for key in keys]
        inline = {i: row for i, row in enumerate(rows) if isinstance(row, bytes)}
        found = [(INLINE, 0, len(row)) if isinstance(row, bytes) else row or (MISSING, 0, 0) for row in rows]
        columns = np.array(found, np.int64).reshape(-1, 3).T
        inflated = np.array([len(self.deflated[key]) if key in self.deflated else -1 for key in keys], np.int64)
        sums = np.array([zlib.crc32(self.deflated.get(key, b"")) for key in keys], np.int64)
        return Places(*columns, inline, inflated if self.deflated else None, sums, versions=self.versions)

    def names(self, prefix: str) -> list[str]:
        start = f"{prefix}/" if prefix else ""
        return list({key.removeprefix(start).split("/")[0] for key in self.rows if key.startswith(start)})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        for key, row in self.rows.items():
            if key.startswith(f"{prefix}/" if prefix else ""):
                size = len(row) if isinstance(row, bytes) else row[2]
                yield key, len(self.deflated[key]) if key in self.deflated else size


def deflated(value: bytes) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    return stream.compress(value) + stream.flush()


def in_one_file(store: Any, contents: dict[str, bytes]) -> DictTable:
    """All objects in the object "all" of a store, with bytes between some of them."""
    data, rows = b"", dict[str, Row | bytes]()
    for i, (key, value) in enumerate(contents.items()):
        data += b"?" * (i % 3)
        rows[key] = 0, len(data), len(value)
        data += value
    store.set("all", data + b"!")
    return DictTable([(store, "all")], rows)


def in_many_forms(stores: Sequence[Any], contents: dict[str, bytes]) -> DictTable:
    """Objects in turns: a part of an object, or all behind its beginning; inline; deflated; a whole object."""
    held: list[tuple[Any, str]] = []
    rows, packed = dict[str, Row | bytes](), dict[str, bytes]()
    for i, (key, value) in enumerate(contents.items()):
        store = stores[i % len(stores)]
        data, row = (
            (b"12" + value + b"3", (len(held), 2, len(value))),
            (b"12" + value, (len(held), 2, -1)),
            (None, value),
            (b"1" + deflated(value) + b"2", (len(held), 1, len(deflated(value)))),
            (value, (len(held), 0, -1)),
        )[i % 5]
        rows[key] = row
        if data is not None:
            held.append((store, f"of {i}"))
            store.set(f"of {i}", data)
        if i % 5 == 3:
            packed[key] = value
    return DictTable(held, rows, packed)
