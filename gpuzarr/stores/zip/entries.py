"""Entries of an archive that is written: those that were there, and new ones."""

from __future__ import annotations

import numpy as np

from gpuzarr.stores.parts.table import Heads, Places
from gpuzarr.stores.zip.records import DEFLATED, LOCAL_BYTES, Member

DOCUMENTS = ("zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata")  # are first in the directory
Entry = int | Member  # the number of an entry of the directory that was there, or what is new


def in_order(entries: dict[str, Entry]) -> list[tuple[str, Entry]]:
    """Metadata documents first, the root's before others; then the rest as it was written."""
    rows = list(entries.items())
    first = [row for row in rows if row[0].endswith(DOCUMENTS)]
    if not first:
        return rows
    first.sort(key=lambda row: (row[0].count("/"), row[0]))
    names = {key for key, _ in first}
    return first + [row for row in rows if row[0] not in names]


def with_new(places: Places, new: dict[int, Member]) -> Places:
    """Places, and those of new members by their numbers."""
    which = np.array(list(new), np.int64)
    rows = np.array(list(new.values()), np.int64)
    n = len(places.holders)
    holders, offsets, sizes = places.holders.copy(), places.offsets.copy(), places.sizes.copy()
    inflated = np.full(n, -1, np.int64) if places.inflated is None else places.inflated.copy()
    checksums = np.zeros(n, np.int64) if places.checksums is None else places.checksums.copy()
    holders[which], offsets[which], sizes[which] = 0, rows[:, 1], rows[:, 2]
    packed = rows[:, 4] == DEFLATED
    inflated[which], checksums[which] = np.where(packed, rows[:, 3], -1), rows[:, 5]
    if (heads := places.heads) is not None:
        least, most = heads.least.copy(), heads.most.copy()
        least[which] = most[which] = 0
        heads = Heads(least, most, LOCAL_BYTES, heads.learn)
    is_packed = (inflated >= 0).any()
    return Places(
        *(holders, offsets, sizes, {}, inflated if is_packed else None, checksums if is_packed else None, heads),
        are_lasting=True,
    )
