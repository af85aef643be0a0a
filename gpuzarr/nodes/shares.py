"""The methods of `gpuzarr.Array` that divide it among workers, and tell what they have not written."""

from __future__ import annotations

from typing import Protocol

from gpuzarr.indexing.layout import Layout


class Divisible(Protocol):
    """The members of an array that these methods use."""

    @property
    def layout(self) -> Layout: ...


def shard_slices(self: Divisible, rank: int, world_size: int) -> list[tuple[slice, ...]]:
    """List the regions that one of several workers should write, so that no two workers share a chunk or a shard.

    Each region is a run of whole shards (chunks, if there are no shards) along the last axis. The regions of all
    workers together are the array.

    Parameters
    ----------
    rank
        The number of this worker, from 0.
    world_size
        The number of workers.

    Returns
    -------
    list of tuples of slices

    Raises
    ------
    ArgumentError
        There is no such worker.

    Examples
    --------
    >>> a = gpuzarr.zeros((4, 6), chunks=(2, 3))
    >>> a.shard_slices(rank=0, world_size=2)
    [(slice(0, 2, None), slice(0, 6, None))]
    """
    from gpuzarr.nodes.regions import regions

    return regions(self.layout.outer.axes, rank, world_size)


def missing_shards(self: Divisible, rank: int = 0, world_size: int = 1) -> list[tuple[slice, ...]]:
    """List the shards (chunks, where there are no shards) that were not written, as regions to write.

    A writer with `resume=True` keeps a journal of the shards that it has completed; it also knows those that hold
    nothing but the fill value, and are not stored. Where there is no journal, shards that are not stored are missing.

    Parameters
    ----------
    rank, world_size
        As for `shard_slices`: only those in the regions of this worker.

    Returns
    -------
    list of tuples of slices
        One for each shard, in C order.

    Raises
    ------
    ArgumentError
        There is no such worker.
    NoMemoryError
        They are too many for a list.

    Examples
    --------
    >>> a = gpuzarr.zeros((4, 6), chunks=(2, 3))
    >>> a[:2] = 1
    >>> a.missing_shards()
    [(slice(2, 4, None), slice(0, 3, None)), (slice(2, 4, None), slice(3, 6, None))]
    """
    from gpuzarr.nodes.missing import missing

    return missing(self, rank, world_size)
