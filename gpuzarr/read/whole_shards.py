"""Shards of which everything is wanted, from a store whose requests take long: one request has index and chunks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.indexing.layout import Layout
from gpuzarr.stores.contract import Objects, expect_at_most, fetch_whole


def fetch_whole_shards(objects: Objects, holders: np.ndarray | Sequence[int], layout: Layout, chain: Chain) -> None:
    """Fetch whole objects of which all chunks are wanted. `holders`: for each chunk the number of its object.

    What is fetched is kept for the reads that follow. A store where that saves no request does nothing.
    """
    if len(layout.levels) != 1:
        return
    level = layout.levels[0]
    each = prod(level.counts)
    wanted = np.flatnonzero(np.bincount(holders, minlength=len(objects.keys)) == each)
    if len(wanted):
        expect_at_most(objects, level.index_bytes + each * chain.stored_size.most)
        fetch_whole(objects, wanted.tolist())
