"""What a store that fetches objects to know their lengths is told of a read beforehand.

So it fetches no more than will be read, in as few requests: an object that is too large not at all, and a shard of
which all chunks are wanted at once, with its index.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.read.source import Source
from gpuzarr.stores.contract import Objects, expect_at_most, fetch_whole


def foretell(objects: Objects, source: Source, chain: Chain, holders: np.ndarray | Sequence[int]) -> None:
    """Tell it of chunks of an array. `holders`: for each chunk the number of its object.

    Of an array with a cache no shard is fetched whole, as some of its chunks may be kept.
    """
    levels = source.layout.levels
    if not levels:
        expect_at_most(objects, chain.stored_size.most)
    elif len(levels) == 1 and source.cache is None:
        each = prod(levels[0].counts)
        wanted = np.flatnonzero(np.bincount(holders, minlength=len(objects.keys)) == each)
        if len(wanted):
            expect_at_most(objects, levels[0].index_bytes + each * chain.stored_size.most)
            fetch_whole(objects, wanted.tolist())
