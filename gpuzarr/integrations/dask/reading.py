"""Read stored arrays as dask arrays."""

from __future__ import annotations

from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.integrations.dask.blocks import block_sizes
from gpuzarr.integrations.dask.packages import dask_array
from gpuzarr.integrations.dask.stored import Stored
from gpuzarr.nodes.array import Array


def to_dask(array: Array, chunks: Any = None) -> Any:
    """Make a dask array whose blocks are read from a stored array when they are needed.

    Blocks are on the array's device: CuPy arrays on a GPU. In other processes, such as workers of a cluster, that is
    the current GPU there. The graph holds the array once, without values, so it is small. All tasks of a process
    together hold no more memory beyond their results than a single read may (`memory_limit`).

    Parameters
    ----------
    array
        An array of gpuzarr.
    chunks
        The shape of blocks, as `dask.array.from_array` takes it: an int, a tuple, a dict by axis, "auto", "64 MiB".
        Default: a block for each object of the store, so that none is read twice: for each shard, or for each chunk if
        there are no shards. Blocks that dask chooses ("auto") are whole chunks, and whole shards if these are not
        larger. Other blocks may cut through chunks, which are then decoded once for each block.

    Returns
    -------
    dask.array.Array

    Raises
    ------
    ArgumentError
        The chunks do not fit the array, or `array` is not an array of gpuzarr.
    NoMemoryError
        There are too many blocks to list.
    UnsupportedError
        dask is not installed.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12).reshape(3, 4), chunks=(2, 2))
    >>> x = gpuzarr.to_dask(a)
    >>> x.chunks
    ((2, 1), (2, 2))
    >>> x.sum(axis=0).compute()
    array([12, 15, 18, 21])
    """
    da = dask_array()
    from dask.base import tokenize

    if not isinstance(array, Array):
        raise ArgumentError(f"to_dask() takes an array of gpuzarr, as open_array() opens one, not {shown(array)}")
    sizes = block_sizes(array, chunks)
    meta = array.device.array((0,) * array.ndim, array.dtype)
    name = f"gpuzarr-{tokenize(array, sizes)}"
    return da.from_array(Stored(array), sizes, name=name, asarray=False, meta=meta)
